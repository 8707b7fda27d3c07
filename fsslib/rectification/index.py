"""The index of mined regions over the image pool (section 3.4), and its interface."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from fsslib.rectification import search


class Regions(NamedTuple):
    """Region embeddings of several images.

    Attributes:
        embeddings: (R, C) float32. They include at least the requested regions.
        first: int64 of any shape, the row of each image's first region in `embeddings`.
        sizes: int64 of the same shape, the number of regions of each image.
    """

    embeddings: Tensor
    first: Tensor
    sizes: Tensor


class SearchIndex(ABC):
    """Interface that eq. 8 needs from an index, in memory or on disk.

    The search itself is implemented here, so that both kinds of index choose the same images.
    """

    @property
    @abstractmethod
    def usable(self) -> Tensor:
        """Rows of the images that have at least one region, (U,) int64, ascending."""

    @abstractmethod
    def image_chunks(self) -> Iterator[Tensor]:
        """Yield the embeddings of the usable images in order, (`search.ROWS`, C) float32 each."""

    @abstractmethod
    def regions_of(self, rows: Tensor) -> Regions:
        """Return the regions of the usable images `rows`; `first` and `sizes` have its shape."""

    def nearest_images(self, embeddings: Tensor, top_n: int) -> Tensor:
        """Choose the usable images that have the largest cosine with each support (section 3.4).

        Args:
            embeddings: (S, C) float32, one per support.
            top_n: number of images per support, at least 1.

        Returns:
            (S, n) int64 rows of images, nearest first; n is below `top_n` if the pool is smaller.
        """
        usable = self.usable.to(embeddings.device)
        number = min(top_n, len(usable))
        return usable[search.nearest(embeddings, self.image_chunks(), number)]

    @property
    def memory_bytes(self) -> int:
        """Memory in bytes that the embeddings occupy between searches."""
        return 0

    def to(self, device: torch.device) -> "SearchIndex":
        """Return the same index for embeddings on another device."""
        return self


@dataclass(frozen=True)
class RegionIndex(SearchIndex):
    """Image and region embeddings of the pool, all in memory.

    The embeddings are averages of layer3 features.

    Attributes:
        image_ids: ids of the N pool images.
        images: (N, C) float32, one embedding per image.
        regions: (R, C) float32, one embedding per region.
        owner: (R,) int64, sorted; the row in `images` of the image that holds the region.
    """

    image_ids: tuple[str, ...]
    images: Tensor
    regions: Tensor
    owner: Tensor

    @cached_property
    def sizes(self) -> Tensor:
        """Number of regions of each image, (N,) int64."""
        return torch.bincount(self.owner, minlength=len(self.images))

    @cached_property
    def first(self) -> Tensor:
        """Row in `regions` of each image's first region, (N,) int64."""
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
        """Return the same index on another device."""
        return RegionIndex(
            self.image_ids, self.images.to(device), self.regions.to(device), self.owner.to(device)
        )
