"""Rectifying prototypes before matching: background by eq. 7, foreground by eq. 8 and 9.

Prototypes are mixed as they are, without normalisation: support prototypes, region embeddings and
the global background are averages of the same layer, and the paper mixes plain vectors.
"""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from fsslib.rectification.background import fuse_background
from fsslib.rectification.index import Regions, SearchIndex

CHUNK = 256
"""Supports whose regions are gathered at once, 256 x regions of one image: 5 MB at five regions and
1024 channels. A region's cosine does not depend on it."""


@dataclass(frozen=True)
class Rectification:
    """What happens to prototypes before matching; the default leaves them as they are.

    Attributes:
        global_background: (C,) float32 for eq. 7, None for the supports' background alone.
        w: of eq. 7.
        index: for eq. 8 and 9, None for the plain support prototype.
        top_n: images of eq. 8.
        beta: of eq. 8.
    """

    global_background: Tensor | None = None
    w: float = 0.9
    index: SearchIndex | None = None
    top_n: int = 4
    beta: float = 0.2

    def to(self, device: torch.device) -> "Rectification":
        """The same on another device."""
        background, index = self.global_background, self.index
        return replace(
            self,
            global_background=None if background is None else background.to(device),
            index=None if index is None else index.to(device),
        )

    def background(self, current: Tensor) -> Tensor:
        """Eq. 7 where it is asked for: (..., C) -> (..., C)."""
        if self.global_background is None:
            return current
        return fuse_background(self.global_background, current, self.w)

    def foreground(self, prototypes: Tensor, embeddings: Tensor) -> Tensor:
        """Eq. 8 and 9 where they are asked for: twice (S, C), one row a support -> (S, C)."""
        if self.index is None:
            return prototypes
        return rectify_foreground(prototypes, embeddings, self.index, self.top_n, self.beta)


def rectify_foreground(
    prototypes: Tensor, support_embeddings: Tensor, index: SearchIndex, top_n: int, beta: float
) -> Tensor:
    """Pull each support's foreground prototype towards its most relevant mined regions (eq. 8, 9).

    For each support the `top_n` images are chosen by the cosine of the image embeddings, and in
    each of them the region that is most similar to the prototype. Images without a region are
    skipped. mu of eq. 9 is made of cosines clamped at 0: a region that points away from the
    prototype has no weight (with raw negative cosines the weights would change sign or explode);
    when no region has weight the prototype stays as it is.

    Args:
        prototypes: (S, C) float32, one a support.
        support_embeddings: (S, C) float32, average of each support image's features.
        index: of the pool, for embeddings on their device.
        top_n: images, at least 1; fewer when the pool is smaller.
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
    """Eq. 8 and 9 for prototypes (S, C), given the regions of n images a support."""
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
    """The region of one image a support that is most similar to the support's prototype.

    Args:
        prototypes: (S, C).
        regions: (R, C).
        first: (S,) int64, row of the image's first region.
        sizes: (S,) int64, number of regions of the image, at least 1.

    Returns:
        region: (S, C).
        cosine: (S,).
    """
    # Images differ in their number of regions: rows beyond an image's last repeat its first.
    offsets = torch.arange(int(sizes.max()), device=regions.device)
    rows = first[:, None] + torch.where(offsets < sizes[:, None], offsets, 0)
    cosines = F.cosine_similarity(regions[rows], prototypes[:, None], dim=2)
    best = cosines.max(dim=1)
    return regions[rows.gather(1, best.indices[:, None])[:, 0]], best.values


def _mix(prototypes: Tensor, regions: Tensor, cosines: Tensor, beta: float) -> Tensor:
    """Eq. 8 with mu of eq. 9: (S, C), (S, n, C) and (S, n) -> (S, C)."""
    weight = cosines.clamp(min=0)
    total = weight.sum(1, keepdim=True)
    mu = weight / total.clamp(min=torch.finfo(weight.dtype).tiny)
    mixed = (1 - beta) * prototypes + beta * torch.einsum("sn,snc->sc", mu, regions)
    return torch.where(total > 0, mixed, prototypes)
