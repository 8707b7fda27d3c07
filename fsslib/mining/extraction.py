"""The feature store: encoder features, image embeddings and prototype sums of one encoder pass.

It is a folder of HDF5 shards. In each shard, images are rows of `image_id`, `size`, `grid` and
`embedding`. The dense features of all images are stacked location by location in `feature`; those
of image i begin at `start[i]`. Prototype sums are rows of (`row_image`, `row_class`, `row_sum`,
`row_count`).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fsslib.data.folds import IGNORE
from fsslib.data.images import UInt8
from fsslib.errors import FsslibError
from fsslib.files.storage import (
    create_hdf5,
    open_hdf5,
    read_array,
    read_hdf5,
    read_ids,
    read_text,
    require_form,
    telling_damage,
)
from fsslib.mining.feature_files import (
    KIND,
    REMEDY,
    UNKNOWN,
    VERSION,
    FloatRows,
    IntRows,
    Origin,
    feature_files,
    features_origin,
    write_origin,
)
from fsslib.mining.pooling import image_embedding, masked_sums

Dtype = Literal["int8", "float16"]
Packed = NDArray[np.int8] | NDArray[np.float16]

LOCATIONS = 1024
"""Rows per chunk of the dense features."""


@dataclass(frozen=True)
class ImageFeature:
    """Stored result of one encoder pass over an image.

    Attributes:
        id: id of the image.
        size: (H, W) of the photograph in px.
        grid: (h, w) of the feature.
        embedding: (C,) float32, average over all locations.
        class_ids: (n,) mask values present, without 255.
        sums: (n, C) float32, sum of the upsampled feature under each value (numerator of eq. 2).
        counts: (n,) float32, number of pixels of each value (denominator of eq. 2).
        packed: (h * w, C) int8 or float16 locations and (h * w,) float32 scales, or None.
    """

    id: str
    size: tuple[int, int]
    grid: tuple[int, int]
    embedding: FloatRows
    class_ids: IntRows
    sums: FloatRows
    counts: FloatRows
    packed: tuple[Packed, FloatRows] | None


def describe_image(
    image_id: str, feature: Tensor, mask: UInt8, dtype: Dtype | None
) -> ImageFeature:
    """Pool a feature under every value of the mask except 255 (eq. 2, sums and counts separately).

    Args:
        image_id: id of the image.
        feature: (C, h, w) float32.
        mask: (H, W) uint8, of the same size as the photograph.
        dtype: type in which the dense feature is kept, or None to drop it.
    """
    values = np.flatnonzero(np.bincount(mask.ravel(), minlength=256))
    values = values[values != IGNORE]
    labels = torch.tensor(mask, device=feature.device)
    chosen = torch.from_numpy(values).to(feature.device, torch.uint8)
    sums, counts = masked_sums(feature, labels == chosen.view(-1, 1, 1))
    rows = feature.flatten(1).T.cpu().numpy() if dtype else None
    return ImageFeature(
        id=image_id,
        size=(mask.shape[0], mask.shape[1]),
        grid=(feature.shape[1], feature.shape[2]),
        embedding=image_embedding(feature).cpu().numpy(),
        class_ids=values,
        sums=sums.cpu().numpy(),
        counts=counts.cpu().numpy(),
        packed=None if rows is None or dtype is None else quantise(rows, dtype),
    )


def stored_bytes(
    sizes: Iterable[tuple[int, int, int]], channels: int, stride: int, dtype: Dtype | None
) -> int:
    """Estimate the size of the shards on disk in bytes.

    Args:
        sizes: (H, W, number of mask values) of each image.
        channels: C of the features.
        stride: image pixels per feature location.
        dtype: type of the dense features, or None when they are not kept.
    """
    total = 0
    for height, width, values in sizes:
        locations = -(-height // stride) * -(-width // stride)
        total += 4 * (channels + 16) * (1 + values)  # embedding, sums and the small columns
        if dtype:
            total += locations * (channels * np.dtype(dtype).itemsize + 4)
    return total


def quantise(rows: FloatRows, dtype: Dtype) -> tuple[Packed, FloatRows]:
    """Pack (L, C) float32 locations; the scale is (L,) float32, all ones for float16.

    int8 has one scale per location. Eq. 3 compares directions, so the resolution of a location may
    follow from its own largest channel.
    """
    if dtype == "float16":
        return rows.astype(np.float16, order="C"), np.ones(len(rows), np.float32)
    # A few channels at a time, since buffers of full size take longer to allocate than to fill.
    channels = [slice(i, i + 32) for i in range(0, rows.shape[1], 32)]
    largest = np.zeros(len(rows), np.float32)
    for part in channels:
        np.maximum(largest, np.abs(rows[:, part]).max(axis=1), out=largest)
    scale = np.maximum(largest, 1e-12) / 127
    packed = np.empty(rows.shape, np.int8)
    for part in channels:
        steps = rows[:, part] / scale[:, None]
        packed[:, part] = np.rint(steps, out=steps)
    return packed, scale.astype(np.float32)


def write_shard(
    path: Path, images: Iterable[ImageFeature], dtype: Dtype | None, origin: Origin = UNKNOWN
) -> None:
    """Write one shard atomically; dense features are written one image at a time to save memory.

    Args:
        path: file to write.
        images: images in the order of the shard, at least one.
        dtype: type of the images' dense features (see `describe_image`), or None.
        origin: what made them.
    """
    with create_hdf5(path, KIND, VERSION) as file:
        file.text("dense", dtype or "none")
        write_origin(file, origin)
        kept, start = [], [0]
        for image in images:
            if image.packed is not None:
                file.append("feature", image.packed[0], LOCATIONS)
                file.append("scale", image.packed[1], LOCATIONS)
            kept.append(replace(image, packed=None))
            start.append(start[-1] + image.grid[0] * image.grid[1])
        file.put("image_id", np.array([i.id.encode() for i in kept]))
        file.put("size", np.array([i.size for i in kept], np.int32))
        file.put("grid", np.array([i.grid for i in kept], np.int32))
        file.put("start", np.array(start[:-1], np.int64))
        file.put("embedding", np.stack([i.embedding for i in kept]))
        rows = np.repeat(np.arange(len(kept)), [len(i.class_ids) for i in kept])
        file.put("row_image", rows.astype(np.int64))
        file.put("row_class", np.concatenate([i.class_ids for i in kept]).astype(np.int64))
        file.put("row_sum", np.concatenate([i.sums for i in kept]))
        file.put("row_count", np.concatenate([i.counts for i in kept]))


class FeatureStore:
    """Reader of a folder of shards that `write_shard` wrote; `features` opens one at a time.

    Attributes:
        files: the shards.
        dense: whether dense features were kept.
        origin: what made the features.
    """

    def __init__(self, folder: Path) -> None:
        self.files, self.origin = feature_files(folder), features_origin(folder)
        self._where: dict[str, tuple[int, int]] = {}
        for number, path in enumerate(self.files):
            with read_hdf5(path, KIND, VERSION, REMEDY) as file:
                self.dense = read_text(file, "dense") != "none"
                for row, image_id in enumerate(_checked_ids(file, self.dense)):
                    self._where[image_id] = (number, row)

    def __contains__(self, image_id: str) -> bool:
        return image_id in self._where

    def ids(self) -> list[str]:
        """Image ids in stored order."""
        return list(self._where)

    def features(self, image_ids: Sequence[str]) -> Iterator[tuple[str, tuple[int, int], Tensor]]:
        """Yield (id, (H, W), (C, h, w) float32) for each id; stored order is the fastest.

        Raises:
            FsslibError: no dense features were kept, or an id is missing.
        """
        if not self.dense:
            raise FsslibError("no dense features were kept: set dense_features to true")
        opened: tuple[int, h5py.File] | None = None
        try:
            for image_id in image_ids:
                if image_id not in self._where:
                    raise FsslibError(f"image {image_id} has no features: {REMEDY}")
                number, row = self._where[image_id]
                if opened is None or opened[0] != number:
                    if opened:
                        opened[1].close()
                    opened = (number, open_hdf5(self.files[number], KIND, VERSION, REMEDY))
                with telling_damage(self.files[number], REMEDY):
                    size, feature = _read_feature(opened[1], row)
                yield image_id, size, feature
        finally:
            if opened:
                opened[1].close()


def _checked_ids(file: h5py.File, dense: bool) -> list[str]:
    """Read the image ids of a shard and check that its columns are consistent.

    Raises:
        ValueError: the columns contradict each other.
    """
    images, channels = file["embedding"].shape
    ids = read_ids(file, images)
    size, grid = (read_array(file, name, "int32", images, 2) for name in ("size", "grid"))
    start = read_array(file, "start", "int64", images)
    ends = np.cumsum(grid.astype(np.int64).prod(axis=1))
    if (size <= 0).any() or (grid <= 0).any() or (start[1:] != ends[:-1]).any() or start[0]:
        raise ValueError("size, grid and start contradict each other")
    if dense:
        kind = "int8" if read_text(file, "dense") == "int8" else "float16"
        require_form(file["feature"], "feature", kind, int(ends[-1]), channels)
        require_form(file["scale"], "scale", "float32", int(ends[-1]))
    return ids


def _read_feature(file: h5py.File, row: int) -> tuple[tuple[int, int], Tensor]:
    height, width = (int(v) for v in file["size"][row])
    h, w = (int(v) for v in file["grid"][row])
    start = int(file["start"][row])
    packed = torch.from_numpy(file["feature"][start : start + h * w])
    scale = torch.from_numpy(file["scale"][start : start + h * w])
    rows = packed.float().mul_(scale.unsqueeze(1))
    if not torch.isfinite(scale).all():
        raise ValueError("scale has values that are not finite")
    return (height, width), rows.T.reshape(-1, h, w)
