"""Reads the region index: into memory if it fits, otherwise from its shards at each search."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fsslib.errors import FsslibError
from fsslib.files.shards import shard_files
from fsslib.files.storage import read_array, read_hdf5, read_ids, require_form
from fsslib.rectification.index import RegionIndex, Regions, SearchIndex
from fsslib.rectification.index_building import KIND, REMEDY, VERSION
from fsslib.rectification.search import rechunked


def load_index(folder: Path, memory_bytes: int | None = None) -> SearchIndex:
    """Open an index, in memory or on disk; both give the same answers.

    Args:
        folder: folder of the shards.
        memory_bytes: largest memory in bytes for the embeddings; None for no limit.

    Returns:
        A `RegionIndex` if the embeddings fit, otherwise a `StoredIndex`.

    Raises:
        FsslibError: there is no shard, or one is damaged, of another kind or of an older version.
            A search in a `StoredIndex` can raise it as well.
    """
    stored = open_index(folder)
    if memory_bytes is None or stored.embedding_bytes <= memory_bytes:
        return stored.in_memory()
    return stored


def open_index(folder: Path) -> "StoredIndex":
    """Read only the small part of every shard: the number of regions of each image."""
    files = shard_files(folder, ".h5")
    if not files:
        raise FsslibError(f"{folder} holds no region index: {REMEDY}")
    sizes, channels = [], 0
    for path in files:
        with read_hdf5(path, KIND, VERSION, REMEDY) as file:
            images, width = file["image"].shape
            channels = channels or width
            require_form(file["image"], "image", "float32", images, channels)
            require_form(file["image_id"], "image_id", "bytes", images)
            owner = read_array(file, "owner", "int64", None)
            require_form(file["region"], "region", "float32", len(owner), channels)
            if len(owner) and not (owner[0] >= 0 and owner[-1] < images and _ascends(owner)):
                raise ValueError("owner is no ascending list of images")
            sizes.append(torch.bincount(torch.from_numpy(owner), minlength=images))
    return StoredIndex(tuple(files), tuple(map(len, sizes)), torch.cat(sizes), channels)


def _ascends(values: NDArray[np.int64]) -> bool:
    return bool((np.diff(values) >= 0).all())


def _finite(regions: NDArray[np.float32]) -> NDArray[np.float32]:
    if not np.isfinite(regions).all():
        raise ValueError("region has values that are not finite")
    return regions


@dataclass(frozen=True)
class StoredIndex(SearchIndex):
    """The pool's embeddings in HDF5 shards; a search holds one chunk at a time in memory.

    Attributes:
        files: the shards in order.
        lengths: number of images in each shard.
        sizes: (N,) int64, number of regions of each image.
        channels: number of channels C.
    """

    files: tuple[Path, ...]
    lengths: tuple[int, ...]
    sizes: Tensor
    channels: int

    @property
    def embedding_bytes(self) -> int:
        """Memory in bytes that all image and region embeddings would take as float32."""
        return 4 * self.channels * (len(self.sizes) + int(self.sizes.sum()))

    @cached_property
    def usable(self) -> Tensor:
        """See `SearchIndex`."""
        return self.sizes.nonzero().flatten()

    def image_chunks(self) -> Iterator[Tensor]:
        """See `SearchIndex`."""
        return rechunked(self._usable_parts())

    def _usable_parts(self) -> Iterator[Tensor]:
        for number, sizes in enumerate(self.sizes.split(self.lengths)):
            with self._read(number) as file:
                yield torch.from_numpy(file["image"][:])[sizes > 0]

    def regions_of(self, rows: Tensor) -> Regions:
        """See `SearchIndex`. Each image is read once; the result is on the device of `rows`."""
        chosen, place = rows.cpu().unique(return_inverse=True)
        sizes = self.sizes[chosen]
        embeddings = torch.from_numpy(np.concatenate(list(self._regions(chosen))))
        first = sizes.cumsum(0) - sizes
        device = rows.device
        return Regions(embeddings.to(device), first[place].to(device), sizes[place].to(device))

    def _regions(self, chosen: Tensor) -> Iterator[np.ndarray]:
        """Yield the regions (r, C) of each chosen image; `chosen` is ascending."""
        ends = self.sizes.cumsum(0)
        last = torch.tensor(self.lengths).cumsum(0)
        owner = torch.searchsorted(last, chosen, right=True)
        for number in owner.unique().tolist():
            before = int(ends[last[number - 1] - 1]) if number else 0
            with self._read(number) as file:
                for row in chosen[owner == number].tolist():
                    end = int(ends[row]) - before
                    yield _finite(file["region"][end - int(self.sizes[row]) : end])

    def in_memory(self) -> RegionIndex:
        """Read everything into memory.

        The arrays are allocated once and then filled, so the peak memory is their size.
        """
        ids: list[str] = []
        images = torch.empty(len(self.sizes), self.channels)
        regions = torch.empty(int(self.sizes.sum()), self.channels)
        owner = torch.arange(len(self.sizes)).repeat_interleave(self.sizes)
        filled = 0
        for number, length in enumerate(self.lengths):
            with self._read(number) as file:
                images[len(ids) : len(ids) + length] = torch.from_numpy(file["image"][:])
                part = torch.from_numpy(_finite(file["region"][:]))
                ids += read_ids(file, length)
            regions[filled : filled + len(part)] = part
            filled += len(part)
        return RegionIndex(tuple(ids), images, regions, owner)

    def _read(self, number: int) -> AbstractContextManager[h5py.File]:
        return read_hdf5(self.files[number], KIND, VERSION, REMEDY)
