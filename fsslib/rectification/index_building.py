"""Builds and writes the region index: the mined regions of every pool image (section 3.4)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import label as connected_components
from torch import Tensor

from fsslib.data.images import UInt8
from fsslib.files.storage import create_hdf5
from fsslib.mining.pooling import image_embedding, masked_average

KIND, VERSION = "regions", 1
REMEDY = "run the stage 'index' again"

REGION_ROWS = 16
"""Regions per chunk of the file: 64 KB at 1024 channels. HDF5 reads and checks whole chunks."""

Kind = Literal["label", "component"]


@dataclass(frozen=True)
class ImageRegions:
    """The part of the index that belongs to one image.

    Attributes:
        id: id of the image.
        image: (C,) float32 image embedding.
        regions: (r, C) float32 region embeddings; r may be 0.
        labels: sub-cluster of each of the r regions.
    """

    id: str
    image: Tensor
    regions: Tensor
    labels: list[int]


def describe_regions(
    image_id: str, feature: Tensor, mask: UInt8, kind: Kind, min_area: float
) -> ImageRegions:
    """Embed an image and its mined regions by average pooling (section 3.4).

    Args:
        image_id: id of the image.
        feature: (C, h, w) float32 features of the trained encoder.
        mask: (H, W) uint8 pseudo-mask; 0 is background.
        kind: `label` makes one region of all pixels of a sub-cluster, `component` makes one
            region of each connected part.
        min_area: smallest area of a region as a share of the image; smaller ones are left out.
    """
    parts = list(mined_regions(mask, kind, min_area))
    masks, labels = [torch.from_numpy(part) for part, _ in parts], [value for _, value in parts]
    chosen = torch.stack(masks) if masks else torch.zeros(0, *mask.shape, dtype=torch.bool)
    regions = masked_average(feature, chosen.to(feature.device)).cpu()
    return ImageRegions(image_id, image_embedding(feature).cpu(), regions, labels)


def mined_regions(
    mask: UInt8, kind: Kind, min_area: float
) -> Iterator[tuple[npt.NDArray[np.bool_], int]]:
    """Yield where each region of a pseudo-mask is, (H, W), and its sub-cluster.

    The arguments are those of `describe_regions`.
    """
    for value in range(1, int(mask.max()) + 1):
        inside = mask == value
        if kind == "label":
            parts = [inside]
        else:
            numbered, count = connected_components(inside)
            parts = [numbered == i for i in range(1, count + 1)]
        for part in parts:
            if part.sum() >= max(1, min_area * mask.size):
                yield part, value


def stored_bytes(images: int, regions: int, channels: int) -> int:
    """Return the bytes that these numbers of image and region embeddings take on disk."""
    return 4 * (channels + 16) * (images + regions)


def write_regions(path: Path, images: Iterable[ImageRegions]) -> None:
    """Write one shard of the index atomically."""
    rows = list(images)
    with create_hdf5(path, KIND, VERSION) as file:
        file.put("image_id", np.array([r.id.encode() for r in rows]))
        file.put("image", torch.stack([r.image for r in rows]).numpy())
        # The chunks are small because a search reads the regions of only a few images.
        file.put("region", torch.cat([r.regions for r in rows]).numpy(), REGION_ROWS)
        owner = np.repeat(np.arange(len(rows)), [len(r.labels) for r in rows])
        file.put("owner", owner.astype(np.int64))
        file.put("label", np.array([v for r in rows for v in r.labels], np.int64))
