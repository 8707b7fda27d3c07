"""Two numbers besides the losses that show whether episodes and mining learn."""

import torch
from torch import Tensor

from fsslib.data.folds import IGNORE
from fsslib.mining.pooling import upsample


def predicted_labels(scores: Tensor, size: tuple[int, int]) -> Tensor:
    """Return each pixel's best class: (B, n, h, w) logits to (B, H, W) int64 in 0 to n - 1."""
    return upsample(scores.detach().float(), size).argmax(dim=1)


def label_agreement(scores: Tensor, masks: Tensor) -> Tensor:
    """Estimate the share of valid pixels whose best class equals the mask, from a grid of pixels.

    The grid consists of the pixels nearest to the feature locations, where the upsampled scores
    equal the scores. Comparing all pixels would take 2 % of a training step's time; the grid takes
    almost none.

    Args:
        scores: (B, n, h, w) logits at feature size.
        masks: (B, H, W) uint8 in 0 to n - 1; 255 is ignored.

    Returns:
        Scalar float32 in 0 to 1; 0 if no pixel is valid.
    """
    sampled = _at_locations(masks, (scores.shape[-2], scores.shape[-1]))
    valid = sampled != IGNORE
    equal = scores.detach().argmax(dim=1) == sampled
    return (equal & valid).sum() / valid.sum().clamp(min=1)


def _at_locations(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Sample (B, H, W) at the align_corners locations, rounded to pixels: (B, h, w)."""
    rows, columns = (
        torch.linspace(0, full - 1, few, device=masks.device).round().long()
        for full, few in zip(masks.shape[-2:], size, strict=True)
    )
    return masks[:, rows[:, None], columns]


def foreground_iou(scores: Tensor, masks: Tensor) -> Tensor:
    """Compute the foreground IoU of each query and return the mean over the episodes.

    Args:
        scores: (P, 2, h, w) logits at feature size, background first.
        masks: (P, H, W) uint8; 1 is the class, 0 background, 255 ignored.

    Returns:
        Scalar float32 in 0 to 1; an episode with neither truth nor prediction counts as 0.
    """
    # Upsampling is linear, so one map is upsampled instead of two.
    lead = scores.detach()[:, 1].float() - scores.detach()[:, 0].float()
    won = upsample(lead, (masks.shape[-2], masks.shape[-1])) > 0
    true, valid = masks == 1, masks != IGNORE
    hits = (won & true).flatten(1).sum(dim=1)
    either = ((won | true) & valid).flatten(1).sum(dim=1)
    return torch.mean(hits / either.clamp(min=1))
