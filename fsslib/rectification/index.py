"""The index of mined regions over the image pool (section 3.4): what rectification asks of it."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from fsslib.rectification import search


class Regions(NamedTuple):
    """Regions of some images.

    Attributes:
        embeddings: (R, C) float32, at least the regions asked for.
        first: row of an image's first region, of any shape, int64.
        sizes: of the same shape, number of its regions.
    """

    embeddings: Tensor
    first: Tensor
    sizes: Tensor


class SearchIndex(ABC):
    """What eq. 8 needs of an index, wherever it lies.

    The search itself is here, so that an index in memory and one on disk choose the same images.
    """

    @property
    @abstractmethod
    def usable(self) -> Tensor:
        """(U,) int64, rows of the images that hold a region, ascending."""

    @abstractmethod
    def image_chunks(self) -> Iterator[Tensor]:
        """Embeddings of the usable images in order, (`search.ROWS`, C) float32 each."""

    @abstractmethod
    def regions_of(self, rows: Tensor) -> Regions:
        """Regions of the images `rows`, each usable; `first` and `sizes` have the same shape."""

    def nearest_images(self, embeddings: Tensor, top_n: int) -> Tensor:
        """Choose the usable images that have the largest cosine with each support (section 3.4).

        Args:
            embeddings: (S, C) float32, one a support.
            top_n: images, at least 1.

        Returns:
            (S, n) int64 rows of images, nearest first; n is below `top_n` in a smaller pool.
        """
        usable = self.usable.to(embeddings.device)
        number = min(top_n, len(usable))
        return usable[search.nearest(embeddings, self.image_chunks(), number)]

    @property
    def memory_bytes(self) -> int:
        """Memory that embeddings take between searches."""
        return 0

    def to(self, device: torch.device) -> "SearchIndex":
        """The same index for embeddings on another device."""
        return self


@dataclass(frozen=True)
class RegionIndex(SearchIndex):
    """Image and region embeddings of the pool, average pooling of layer3, all in memory.

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

    @cached_property
    def sizes(self) -> Tensor:
        """(N,) int64, number of regions of each image."""
        return torch.bincount(self.owner, minlength=len(self.images))

    @cached_property
    def first(self) -> Tensor:
        """(N,) int64, row in `regions` of each image's first."""
        return self.sizes.cumsum(0) - self.sizes

    @cached_property
    def usable(self) -> Tensor:
        """See `SearchIndex`."""
        return self.sizes.nonzero().flatten()

    def image_chunks(self) -> Iterator[Tensor]:
        """See `SearchIndex`."""
        for start in range(0, len(self.usable), search.ROWS):
            yield self.images[self.usable[start : start + search.ROWS]]

    def regions_of(self, rows: Tensor) -> Regions:
        """See `SearchIndex`."""
        return Regions(self.regions, self.first[rows], self.sizes[rows])

    @property
    def memory_bytes(self) -> int:
        """See `SearchIndex`."""
        return self.images.nbytes + self.regions.nbytes

    def to(self, device: torch.device) -> "RegionIndex":
        """The same index on another device."""
        return RegionIndex(
            self.image_ids, self.images.to(device), self.regions.to(device), self.owner.to(device)
        )
