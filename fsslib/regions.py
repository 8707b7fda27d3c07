"""The index of mined regions over the image pool (section 3.4)."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class RegionIndex:
    """Image and region embeddings of the pool, average pooling of layer3 (section 3.4).

    Attributes:
        image_ids: of the N pool images.
        images: (N, C) float32, one embedding an image.
        regions: (R, C) float32, one embedding a region.
        owner: (R,) int64, row in `images` that the region lies in, sorted.
    """

    image_ids: tuple[str, ...]
    images: Tensor
    regions: Tensor
    owner: Tensor

    def to(self, device: torch.device) -> "RegionIndex":
        """The same index on another device."""
        return RegionIndex(
            self.image_ids, self.images.to(device), self.regions.to(device), self.owner.to(device)
        )
