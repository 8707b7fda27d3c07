"""Approximate search of the nearest images with faiss, for pools of a million (section 3.4).

Imported only for `search: ivf`; faiss is an optional extra. The pool is cut into cells by K-Means
and a support is compared with the images of its nearest cells alone. Building costs as much as an
exact search of 6000 supports (docs/performance.md), so it pays for more of them.
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
"""Images a cell that K-Means sees: the least that faiss wants."""

LEAST_IMAGES = (4 * POINTS) ** 2
"""From here on 4 sqrt(N) cells have `POINTS` images each; a smaller pool is searched exactly."""

PROBED = 64
"""One in so many cells is searched."""

SEED = 0


def ivf_index(index: SearchIndex, probed: int = PROBED) -> SearchIndex:
    """Put faiss in front of an index; one of fewer than `LEAST_IMAGES` is returned as it is.

    Args:
        index: whose images are searched and whose regions are read.
        probed: one in so many cells is searched: fewer is slower and finds more.

    Raises:
        FsslibError: faiss is not installed.
    """
    faiss = _faiss()
    return index if len(index.usable) < LEAST_IMAGES else IvfIndex(index, faiss, probed)


class IvfIndex(SearchIndex):
    """An inverted file over the usable images: 4 sqrt(N) cells of half-precision embeddings.

    It takes 2 bytes a channel and image in memory, wherever the index behind it lies. The same
    index gives the same cells: the seed is fixed and faiss runs on one thread, whose sums have one
    order.
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
        """See `SearchIndex`; a nearer image in a cell that is not searched is missed."""
        number = min(top_n, len(self.usable))
        with threadpool_limits(limits=1):
            _, found = self.searcher.search(unit(embeddings).cpu().numpy(), number)
        places = torch.from_numpy(found)
        rows = self.usable.cpu()[places].to(embeddings.device)
        short = (places < 0).any(1).to(embeddings.device)  # the cells held fewer images than that
        if short.any():
            rows[short] = self.index.nearest_images(embeddings[short], top_n)
        return rows

    @property
    def memory_bytes(self) -> int:
        """See `SearchIndex`."""
        return self.index.memory_bytes + 2 * int(self.searcher.d * self.searcher.ntotal)

    def to(self, device: torch.device) -> "IvfIndex":
        """The index behind it for another device; faiss stays on the CPU."""
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
    """Train the cells on a part of the images that is spread evenly, then add all."""
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
