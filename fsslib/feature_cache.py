"""Features of query images within a memory budget: kept when they fit, encoded again otherwise."""

from collections.abc import Callable, Collection

from torch import Tensor


class FeatureCache:
    """Encode images, and keep those that will be asked for again while they fit.

    Attributes:
        encodings: number of forward passes so far.
        held_bytes: of the features kept now.
        peak_bytes: largest `held_bytes` so far.
    """

    def __init__(
        self, encode: Callable[[str], Tensor], again: Collection[str], memory_bytes: int | None
    ) -> None:
        """Start empty.

        Args:
            encode: image id -> (C, h, w) float32 on any device.
            again: ids that `take` will ask for after `look`.
            memory_bytes: for kept features, in the computer's memory; None for no limit.
        """
        self._encode = encode
        self._again = frozenset(again)
        self._limit = memory_bytes
        self._kept: dict[str, Tensor] = {}
        self.encodings = self.held_bytes = self.peak_bytes = 0

    def look(self, image_id: str) -> Tensor:
        """Encode an image as a support, and keep its features if a query needs them later."""
        feature = self._forward(image_id)
        size = feature.numel() * feature.element_size()
        fits = self._limit is None or self.held_bytes + size <= self._limit
        if image_id in self._again and image_id not in self._kept and fits:
            self._kept[image_id] = feature.cpu()
            self.held_bytes += size
            self.peak_bytes = max(self.peak_bytes, self.held_bytes)
        return feature

    def take(self, image_id: str) -> Tensor:
        """Features of a query: the kept ones, which are let go, or a new encoding."""
        feature = self._kept.pop(image_id, None)
        if feature is None:
            return self._forward(image_id)
        self.held_bytes -= feature.numel() * feature.element_size()
        return feature

    def _forward(self, image_id: str) -> Tensor:
        self.encodings += 1
        return self._encode(image_id).float()
