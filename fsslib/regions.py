"""The index of mined regions over the image pool (section 3.4)."""

from dataclasses import dataclass

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
