"""Two numbers beside the losses that tell whether episodes and mining learn."""

import torch
from torch import Tensor

from fsslib.data.folds import IGNORE
from fsslib.mining.pooling import upsample


def predicted_labels(scores: Tensor, size: tuple[int, int]) -> Tensor:
    """The best class of every pixel: (B, n, h, w) logits to (B, H, W) int64 in 0 to n - 1."""
    return upsample(scores.detach().float(), size).argmax(dim=1)


def label_agreement(scores: Tensor, masks: Tensor) -> Tensor:
    """Share of the valid pixels whose best class is the mask's, told from those of a grid.

    The pixels nearest to the feature locations: there the upsampled scores are the scores. Over all
    pixels it would take 2 % of a training step's time instead of nothing.

    Args:
        scores: (B, n, h, w) logits at feature size.
        masks: (B, H, W) uint8 in 0 to n - 1, 255 ignored.

    Returns:
        Scalar float32 in 0 to 1; 0 where no pixel is valid.
    """
    sampled = _at_locations(masks, (scores.shape[-2], scores.shape[-1]))
    valid = sampled != IGNORE
    equal = scores.detach().argmax(dim=1) == sampled
    return (equal & valid).sum() / valid.sum().clamp(min=1)


def _at_locations(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, H, W) to (B, h, w): align_corners locations, rounded to pixels."""
    rows, columns = (
        torch.linspace(0, full - 1, few, device=masks.device).round().long()
        for full, few in zip(masks.shape[-2:], size, strict=True)
    )
    return masks[:, rows[:, None], columns]


def foreground_iou(scores: Tensor, masks: Tensor) -> Tensor:
    """IoU of the foreground in each query, the mean over the episodes.

    Args:
        scores: (P, 2, h, w) logits at feature size, background first.
        masks: (P, H, W) uint8, 1 the class, 0 background, 255 ignored.

    Returns:
        Scalar float32 in 0 to 1; an episode with neither truth nor prediction counts as 0.
    """
    # One map to upsample, not two: upsampling is linear.
    lead = scores.detach()[:, 1].float() - scores.detach()[:, 0].float()
    won = upsample(lead, (masks.shape[-2], masks.shape[-1])) > 0
    true, valid = masks == 1, masks != IGNORE
    hits = (won & true).flatten(1).sum(dim=1)
    either = ((won | true) & valid).flatten(1).sum(dim=1)
    return torch.mean(hits / either.clamp(min=1))
