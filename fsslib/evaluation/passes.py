"""Runs the encoder over images by id, and counts and times the passes."""

import time
from collections.abc import Callable

from torch import Tensor

from fsslib.data.images import UInt8
from fsslib.encoders.running import Encode

Reader = Callable[[str], UInt8]
"""Maps an image id to its photograph (H, W, 3) or its index mask (H, W)."""


class Passes:
    """Encodes images by id, counts the passes and sums their seconds over the threads."""

    def __init__(self, encode: Encode, read_image: Reader) -> None:
        self._encode, self._read, self._spent = encode, read_image, list[float]()

    def __call__(self, image_id: str) -> Tensor:
        """Return the features of an image, (C, h, w) float32."""
        since = time.perf_counter()
        feature = self._encode(self._read(image_id)).float()
        self._spent.append(time.perf_counter() - since)
        return feature

    @property
    def number(self) -> int:
        """Number of passes."""
        return len(self._spent)

    @property
    def seconds(self) -> float:
        """Seconds of reading and encoding, summed over the threads."""
        return sum(self._spent)
