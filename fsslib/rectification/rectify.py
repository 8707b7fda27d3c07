"""Rectifies prototypes before matching: background by eq. 7, foreground by eq. 8 and 9.

The vectors are mixed without normalisation. Support prototypes, region embeddings and the global
background are all averages of the same layer, and the paper mixes plain vectors.
"""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from fsslib.rectification.background import fuse_background
from fsslib.rectification.index import Regions, SearchIndex

CHUNK = 256
"""Supports whose regions are gathered at once. The regions of one image per support are held at a
time: 5 MB at five regions and 1024 channels. A region's cosine does not depend on this number."""


@dataclass(frozen=True)
class Rectification:
    """Settings that rectify prototypes before matching; the default leaves prototypes unchanged.

    Attributes:
        global_background: (C,) float32 for eq. 7; None uses only the supports' background.
        w: weight of the global background in eq. 7.
        index: region index for eq. 8 and 9; None keeps the plain support prototype.
        top_n: number of images in eq. 8.
        beta: weight of the regions in eq. 8.
    """

    global_background: Tensor | None = None
    w: float = 0.9
    index: SearchIndex | None = None
    top_n: int = 4
    beta: float = 0.2

    def to(self, device: torch.device) -> "Rectification":
        """Return the same settings on another device."""
        background, index = self.global_background, self.index
        return replace(
            self,
            global_background=None if background is None else background.to(device),
            index=None if index is None else index.to(device),
        )

    def background(self, current: Tensor) -> Tensor:
        """Apply eq. 7 if there is a global background: (..., C) -> (..., C)."""
        if self.global_background is None:
            return current
        return fuse_background(self.global_background, current, self.w)

    def foreground(self, prototypes: Tensor, embeddings: Tensor) -> Tensor:
        """Apply eq. 8 and 9 if there is an index: twice (S, C), one row per support -> (S, C)."""
        if self.index is None:
            return prototypes
        return rectify_foreground(prototypes, embeddings, self.index, self.top_n, self.beta)


def rectify_foreground(
    prototypes: Tensor, support_embeddings: Tensor, index: SearchIndex, top_n: int, beta: float
) -> Tensor:
    """Pull each support's foreground prototype towards its most relevant mined regions (eq. 8, 9).

    For each support, the `top_n` images are chosen by the cosine of the image embeddings. From
    each of these images, the region most similar to the prototype is taken. Images without a region
    are skipped.

    mu of eq. 9 is computed from cosines clamped at 0, so a region that points away from the
    prototype has no weight. With raw negative cosines the weights would change sign or explode. If
    no region has weight, the prototype stays unchanged.

    Args:
        prototypes: (S, C) float32, one per support.
        support_embeddings: (S, C) float32, the average of each support image's features.
        index: index of the pool, for embeddings on their device.
        top_n: number of images, at least 1; fewer if the pool is smaller.
        beta: weight of the regions, 0 to 1.

    Returns:
        (S, C) float32.
    """
    if beta == 0 or len(prototypes) == 0:
        return prototypes
    rows = index.nearest_images(support_embeddings, top_n)
    if rows.shape[1] == 0:
        return prototypes
    pairs = zip(prototypes.split(CHUNK), rows.split(CHUNK), strict=True)
    return torch.cat([_rectify_chunk(part, index.regions_of(near), beta) for part, near in pairs])


def _rectify_chunk(prototypes: Tensor, near: Regions, beta: float) -> Tensor:
    """Apply eq. 8 and 9 to prototypes (S, C), given the regions of n images per support."""
    best = [
        _nearest_region(prototypes, near.embeddings, first, sizes)
        for first, sizes in zip(near.first.T, near.sizes.T, strict=True)
    ]
    regions = torch.stack([region for region, _ in best], dim=1)
    cosines = torch.stack([cosine for _, cosine in best], dim=1)
    return _mix(prototypes, regions, cosines, beta)


def _nearest_region(
    prototypes: Tensor, regions: Tensor, first: Tensor, sizes: Tensor
) -> tuple[Tensor, Tensor]:
    """Find, within one image per support, the region most similar to the support's prototype.

    Args:
        prototypes: (S, C).
        regions: (R, C).
        first: (S,) int64, row of the image's first region.
        sizes: (S,) int64, number of regions of the image, at least 1.

    Returns:
        region: (S, C).
        cosine: (S,).
    """
    # Images differ in their number of regions. Rows past an image's last region repeat its first.
    offsets = torch.arange(int(sizes.max()), device=regions.device)
    rows = first[:, None] + torch.where(offsets < sizes[:, None], offsets, 0)
    cosines = F.cosine_similarity(regions[rows], prototypes[:, None], dim=2)
    best = cosines.max(dim=1)
    return regions[rows.gather(1, best.indices[:, None])[:, 0]], best.values


def _mix(prototypes: Tensor, regions: Tensor, cosines: Tensor, beta: float) -> Tensor:
    """Apply eq. 8 with mu of eq. 9: (S, C), (S, n, C) and (S, n) -> (S, C)."""
    weight = cosines.clamp(min=0)
    total = weight.sum(1, keepdim=True)
    mu = weight / total.clamp(min=torch.finfo(weight.dtype).tiny)
    mixed = (1 - beta) * prototypes + beta * torch.einsum("sn,snc->sc", mu, regions)
    return torch.where(total > 0, mixed, prototypes)
