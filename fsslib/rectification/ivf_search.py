"""Approximate search of the nearest images with faiss, for pools of a million (section 3.4).

This module is imported only for `search: ivf`, because faiss is an optional extra. K-Means divides
the pool into cells, and a support is compared only with the images in its nearest cells. Building
costs as much as an exact search of 6000 supports (docs/performance.md), so it pays off only for
more supports than that.
"""

from collections.abc import Iterator
from copy import copy
from math import isqrt
from types import ModuleType
from typing import Any

import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from fsslib.errors import FsslibError
from fsslib.rectification.index import Regions, SearchIndex
from fsslib.rectification.search import unit

POINTS = 39
"""Images per cell that K-Means is trained on: the minimum that faiss asks for."""

LEAST_IMAGES = (4 * POINTS) ** 2
"""From this size on, each of the 4 sqrt(N) cells has `POINTS` images. A smaller pool is searched
exactly."""

PROBED = 64
"""One in this many cells is searched."""

SEED = 0


def ivf_index(index: SearchIndex, probed: int = PROBED) -> SearchIndex:
    """Put a faiss search in front of an index.

    An index with fewer than `LEAST_IMAGES` usable images is returned unchanged.

    Args:
        index: index whose images are searched and whose regions are read.
        probed: one in this many cells is searched; a smaller value is slower and finds more.

    Raises:
        FsslibError: faiss is not installed.
    """
    faiss = _faiss()
    return index if len(index.usable) < LEAST_IMAGES else IvfIndex(index, faiss, probed)


class IvfIndex(SearchIndex):
    """An inverted file over the usable images: 4 sqrt(N) cells of half-precision embeddings.

    It takes 2 bytes of memory per channel and image, wherever the underlying index is stored. The
    same index always gives the same cells: the seed is fixed, and faiss runs on one thread, which
    adds in a fixed order.
    """

    def __init__(self, index: SearchIndex, faiss: ModuleType, probed: int = PROBED) -> None:
        self.index = index
        cells = 4 * isqrt(len(index.usable))
        with threadpool_limits(limits=1):
            self.searcher = _build(faiss, index, cells)
        self.searcher.nprobe = max(1, cells // probed)

    @property
    def usable(self) -> Tensor:
        """See `SearchIndex`."""
        return self.index.usable

    def image_chunks(self) -> Iterator[Tensor]:
        """See `SearchIndex`."""
        return self.index.image_chunks()

    def regions_of(self, rows: Tensor) -> Regions:
        """See `SearchIndex`."""
        return self.index.regions_of(rows)

    def nearest_images(self, embeddings: Tensor, top_n: int) -> Tensor:
        """See `SearchIndex`. A nearer image is missed if its cell is not searched."""
        number = min(top_n, len(self.usable))
        with threadpool_limits(limits=1):
            _, found = self.searcher.search(unit(embeddings).cpu().numpy(), number)
        places = torch.from_numpy(found)
        rows = self.usable.cpu()[places].to(embeddings.device)
        short = (places < 0).any(1).to(embeddings.device)  # the cells held too few images
        if short.any():
            rows[short] = self.index.nearest_images(embeddings[short], top_n)
        return rows

    @property
    def memory_bytes(self) -> int:
        """See `SearchIndex`."""
        return self.index.memory_bytes + 2 * int(self.searcher.d * self.searcher.ntotal)

    def to(self, device: torch.device) -> "IvfIndex":
        """Move the underlying index to another device; faiss stays on the CPU."""
        moved = copy(self)
        moved.index = self.index.to(device)
        return moved


def _faiss() -> ModuleType:
    try:
        import faiss
    except ImportError:
        raise FsslibError(
            "search: ivf needs faiss: pip install 'fsslib[faiss]', or set search to exact"
        ) from None
    return faiss


def _build(faiss: ModuleType, index: SearchIndex, cells: int) -> Any:  # noqa: ANN401 - untyped
    """Train the cells on an evenly spread sample of the images, then add all images."""
    images = len(index.usable)
    step = images // (POINTS * cells)
    sample, first = [], 0
    for chunk in index.image_chunks():
        sample.append(unit(chunk[-first % step :: step]).cpu())
        first += len(chunk)
    channels = sample[0].shape[1]
    searcher = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(channels),
        channels,
        cells,
        faiss.ScalarQuantizer.QT_fp16,
        faiss.METRIC_INNER_PRODUCT,
    )
    searcher.cp.seed = SEED
    searcher.train(torch.cat(sample).numpy())
    for chunk in index.image_chunks():
        searcher.add(unit(chunk).cpu().numpy())
    return searcher
