"""The pass of extraction: photographs and masks to what `write_shard` stores."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from torch import Tensor

from fsslib.data.folds import IGNORE
from fsslib.data.images import UInt8
from fsslib.data.scaling import scale_photograph
from fsslib.encoders.lanes import Arrays
from fsslib.encoders.running import PhotographEncoder
from fsslib.encoders.work import Loaded, Work
from fsslib.mining.extraction import Dtype, ImageFeature, describe_image
from fsslib.mining.feature_files import IntRows
from fsslib.mining.pooling_batches import embeddings, grids, padded, quantised, value_sums

T = TypeVar("T")


def extraction_work(
    encode: PhotographEncoder,
    read: Callable[[T], tuple[str, UInt8, UInt8]],
    dtype: Dtype | None,
) -> Work[T, ImageFeature]:
    """Describe images as `describe_image` does, one by one or in batches.

    Args:
        encode: the encoder.
        read: item -> id, photograph (H, W, 3) and mask (H, W).
        dtype: see `describe_image`.
    """

    def single(item: T) -> ImageFeature:
        image_id, image, mask = read(item)
        return describe_image(image_id, encode(image), mask, dtype)

    def load(item: T) -> Loaded:
        image_id, image, mask = read(item)
        photograph = scale_photograph(image, encode.long_side)
        return Loaded(photograph, (mask,), note=(image_id, mask_values(mask)))

    def reduce(features: Tensor, planes: Sequence[Tensor], notes: Sequence[Any]) -> list[Tensor]:
        values = padded([found for _, found in notes], features.device)
        found = [grids(features), embeddings(features), *value_sums(features, planes[0], values)]
        return found if dtype is None else [*found, *quantised(features, dtype)]

    def finish(item: T, loaded: Loaded, found: Arrays) -> ImageFeature:
        image_id, values = loaded.note
        grid, embedding, sums, counts = (np.array(part) for part in found[:4])
        return ImageFeature(
            id=image_id,
            size=loaded.planes[0].shape,
            grid=(int(grid[0]), int(grid[1])),
            embedding=embedding,
            class_ids=values,
            sums=sums[: len(values)],
            counts=counts[: len(values)],
            packed=None if dtype is None else (found[4], found[5]),
        )

    return Work(single, load, reduce, finish)


def mask_values(mask: UInt8) -> IntRows:
    """The values of a mask in ascending order, without 255: (n,) int64."""
    values = np.flatnonzero(np.bincount(mask.ravel(), minlength=256))
    kept: IntRows = values[values != IGNORE]
    return kept
