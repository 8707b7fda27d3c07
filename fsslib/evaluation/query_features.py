"""Keeps the features of query images within a memory budget."""

from collections.abc import Collection

from torch import Tensor


class FeatureCache:
    """Keeps the features of images that are needed again, as long as they fit.

    Attributes:
        held_bytes: bytes of the features kept now.
        peak_bytes: largest `held_bytes` so far.
    """

    def __init__(self, again: Collection[str], memory_bytes: int | None) -> None:
        """Start with an empty cache.

        Args:
            again: ids that `take` will ask for.
            memory_bytes: limit for kept features, in the computer's memory; None for no limit.
        """
        self._again = frozenset(again)
        self._limit = memory_bytes
        self._kept: dict[str, Tensor] = {}
        self.held_bytes = self.peak_bytes = 0

    def offer(self, image_id: str, feature: Tensor) -> None:
        """Keep the features (C, h, w) of an image if a query needs them later and they fit."""
        size = feature.numel() * feature.element_size()
        fits = self._limit is None or self.held_bytes + size <= self._limit
        if image_id in self._again and image_id not in self._kept and fits:
            self._kept[image_id] = feature.cpu()
            self.held_bytes += size
            self.peak_bytes = max(self.peak_bytes, self.held_bytes)

    def take(self, image_id: str) -> Tensor | None:
        """Return and release the kept features of a query; None means it must be encoded again."""
        feature = self._kept.pop(image_id, None)
        if feature is not None:
            self.held_bytes -= feature.numel() * feature.element_size()
        return feature
