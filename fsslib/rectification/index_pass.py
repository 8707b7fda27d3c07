"""The pass of the region index: photographs and pseudo-masks to embeddings (section 3.4)."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fsslib.data.images import UInt8
from fsslib.data.scaling import scale_photograph
from fsslib.encoders.lanes import Arrays
from fsslib.encoders.running import PhotographEncoder
from fsslib.encoders.work import Loaded, Work
from fsslib.mining.pooling_batches import embeddings, padded, value_sums
from fsslib.rectification.index_building import (
    ImageRegions,
    Kind,
    describe_regions,
    mined_regions,
)

T = TypeVar("T")


def index_work(
    encode: PhotographEncoder,
    read: Callable[[T], tuple[str, UInt8, UInt8]],
    kind: Kind,
    min_area: float,
) -> Work[T, ImageRegions]:
    """Describe images as `describe_regions` does, one by one or in batches.

    Args:
        encode: the trained encoder.
        read: item -> id, photograph (H, W, 3) and pseudo-mask (H, W).
        kind: see `describe_regions`.
        min_area: see `describe_regions`.
    """

    def single(item: T) -> ImageRegions:
        image_id, image, mask = read(item)
        return describe_regions(image_id, encode(image), mask, kind, min_area)

    def load(item: T) -> Loaded:
        image_id, image, mask = read(item)
        numbers, labels = region_map(mask, kind, min_area)
        photograph = scale_photograph(image, encode.long_side)
        return Loaded(photograph, (numbers,), note=(image_id, labels))

    def reduce(features: Tensor, planes: Sequence[Tensor], notes: Sequence[Any]) -> list[Tensor]:
        numbers = padded([np.arange(1, len(v) + 1) for _, v in notes], features.device)
        sums, counts = value_sums(features, planes[0], numbers)
        return [embeddings(features), sums / counts.clamp(min=1).unsqueeze(2)]

    def finish(item: T, loaded: Loaded, found: Arrays) -> ImageRegions:
        image_id, labels = loaded.note
        image, regions = (torch.from_numpy(np.array(part)) for part in found)
        return ImageRegions(image_id, image, regions[: len(labels)], labels)

    return Work(single, load, reduce, finish)


def region_map(mask: UInt8, kind: Kind, min_area: float) -> tuple[npt.NDArray[Any], list[int]]:
    """Number the regions of a pseudo-mask, which do not overlap.

    Returns:
        (H, W) uint8 (int32 for many regions) in 0 (no region) to r, and the r sub-clusters.
    """
    parts = list(mined_regions(mask, kind, min_area))
    numbers = np.zeros(mask.shape, np.uint8 if len(parts) < 256 else np.int32)
    for number, (part, _) in enumerate(parts, start=1):
        numbers[part] = number
    return numbers, [value for _, value in parts]
