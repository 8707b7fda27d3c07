"""The two losses of eq. 1 and the episode's forward pass (eq. 2, 4 and 5), batched."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from fsslib.data.folds import IGNORE
from fsslib.mining.pooling import project_masks, upsample
from fsslib.ranks import ALONE, Ranks
from fsslib.rectification.background import fuse_background
from fsslib.training.across_ranks import GlobalBatchNorm

HEAD_WIDTH = 256
LAST_BIAS = "6.bias"
"""Name of the last bias in the head's state. It has one value per class, K + 1 in all."""


def episode_prototypes(features: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the prototypes of each episode from its supports (eq. 2), as the mean over the shots.

    Args:
        features: (P, S, C, h, w) float32 features of the supports.
        masks: (P, S, H, W) uint8; 1 is the class, 0 background, 255 ignored.

    Returns:
        foreground, background: (P, C) float32; zero if no support has such a pixel.
    """
    kinds = torch.stack([masks == 1, masks == 0], dim=2).float()
    weights = project_masks(kinds, (features.shape[-2], features.shape[-1]))
    sums = torch.einsum("pschw,psnhw->psnc", features, weights)
    counts = kinds.sum(dim=(-2, -1)).unsqueeze(-1)
    each = sums / counts.clamp(min=1)
    present = (counts > 0).float()
    mean = (each * present).sum(dim=1) / present.sum(dim=1).clamp(min=1)
    return mean[:, 0], mean[:, 1]


def score_map(features: Tensor, prototypes: Tensor, sigma: float) -> Tensor:
    """Compute the scaled cosine of every location with every prototype, the logits of eq. 5.

    Args:
        features: (P, C, h, w) float32.
        prototypes: (P, n, C) float32.
        sigma: factor before the softmax.

    Returns:
        (P, n, h, w) float32, from -sigma to sigma.
    """
    unit = normalize(features.flatten(2), dim=1)
    scores = normalize(prototypes, dim=2) @ unit
    return sigma * scores.view(*scores.shape[:2], *features.shape[-2:])


def query_scores(
    features: Tensor,
    foreground: Tensor,
    background: Tensor,
    known: Tensor | None,
    share: float,
    sigma: float,
) -> Tensor:
    """Compute the logits of each episode's query (eq. 5) with the fused background (eq. 7).

    Args:
        features: (P, C, h, w) float32 features of the queries.
        foreground: (P, C) float32, from `episode_prototypes`.
        background: (P, C) float32, from `episode_prototypes`.
        known: (C,) float32 global background prototype, or None if there is none yet.
        share: weight of `known` in the background.
        sigma: factor before the softmax.

    Returns:
        (P, 2, h, w) float32, background first.
    """
    if share > 0 and known is not None:
        background = fuse_background(known.to(background), background, share)
    return score_map(features, torch.stack([background, foreground], dim=1), sigma)


def pixel_loss(scores: Tensor, masks: Tensor) -> Tensor:
    """Compute the cross-entropy at image size: mean over an image's pixels, then images (eq. 4).

    The paper's eq. 4 lacks the minus sign of a loss; this function computes its negative.

    Args:
        scores: (B, n, h, w) float32 logits at feature size.
        masks: (B, H, W) uint8 in 0 to n - 1; 255 is ignored.

    Returns:
        Scalar; an image without a valid pixel counts as 0.
    """
    logits = upsample(scores.float(), (masks.shape[-2], masks.shape[-1]))
    target = masks.long()
    loss = cross_entropy(logits, target, ignore_index=IGNORE, reduction="none")
    valid = (target != IGNORE).flatten(1).sum(1).clamp(min=1)
    return (loss.flatten(1).sum(1) / valid).mean()


class MiningHead(nn.Sequential):
    """The auxiliary branch: three convolutions, batch norm and ReLU after the first two (4.1)."""

    def __init__(
        self, channels: int, classes: int, generator: torch.Generator, ranks: Ranks = ALONE
    ) -> None:
        last = nn.Conv2d(HEAD_WIDTH, classes, 1)
        super().__init__(
            nn.Conv2d(channels, HEAD_WIDTH, 3, padding=1, bias=False),
            GlobalBatchNorm(HEAD_WIDTH, ranks),
            nn.ReLU(inplace=True),
            nn.Conv2d(HEAD_WIDTH, HEAD_WIDTH, 3, padding=1, bias=False),
            GlobalBatchNorm(HEAD_WIDTH, ranks),
            nn.ReLU(inplace=True),
            last,
        )
        for module in self:
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, generator=generator)
        nn.init.normal_(last.weight, std=0.01, generator=generator)
        assert last.bias is not None
        nn.init.zeros_(last.bias)
