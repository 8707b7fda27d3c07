"""Batches on the device: from staged arrays to what was found in them, within its memory."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fsslib.encoders.lanes import Arrays, Lane
from fsslib.encoders.work import Feeding, Loaded, Work
from fsslib.errors import FsslibError

MOST_PIXELS = 1 << 24
"""Pixels of a batch of automatic size, at most: 54 photographs of 480 x 640 px."""

LARGEST_BATCH = 64
"""An H200 encodes photographs of 480 x 640 px hardly faster in larger batches than in these."""

PIXEL_BYTES = 1024
"""Rough memory of a pixel in a pass of ResNet-50 in float32. A quarter of the free memory may be
taken for one batch."""


@dataclass(frozen=True)
class Batch:
    """A batch that was launched.

    Attributes:
        wait: waits for the device, and gives the found arrays, whose first dimension is the batch.
    """

    wait: Callable[[], Arrays]


@dataclass(frozen=True)
class Staged:
    """A batch that is ready to be sent.

    Attributes:
        tensors: (B, h, w, 3) uint8 photographs, then the planes.
        notes: of each item.
    """

    tensors: list[Tensor]
    notes: Sequence[Any]

    def halves(self) -> tuple["Staged", "Staged"]:
        """Both halves of a batch of at least two."""
        half = len(self.notes) // 2
        return (
            Staged([t[:half] for t in self.tensors], self.notes[:half]),
            Staged([t[half:] for t in self.tensors], self.notes[half:]),
        )


class Device:
    """Encodes and reduces batches. If memory is short, it halves them from then on."""

    def __init__(self, work: Work[Any, Any], feeding: Feeding) -> None:
        assert feeding.encoder is not None
        self._encoder, self._reduce, self._feeding = feeding.encoder, work.reduce, feeding
        self._device = feeding.encoder.device
        self._lane = Lane(self._device)
        self._pixels = MOST_PIXELS
        if self._device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(self._device)
            self._pixels = min(self._pixels, free // 4 // PIXEL_BYTES)

    def batch_of(self, kind: Hashable) -> int:
        """Photographs in a batch, from the kind of its items, see `Loaded.kind`."""
        assert isinstance(kind, tuple)
        (height, width, _), _ = kind[0]
        wanted = self._feeding.batch
        if wanted is None:
            wanted = max(1, min(LARGEST_BATCH, self._pixels // (height * width)))
        return min(wanted, self._feeding.tally.halved or wanted)

    def stage(self, loaded: Sequence[Loaded]) -> Staged:
        """Stack the arrays of items of one kind."""
        tensors = [self._lane.stage([one.photograph for one in loaded])]
        for number in range(len(loaded[0].planes)):
            tensors.append(self._lane.stage([one.planes[number] for one in loaded]))
        return Staged(tensors, [one.note for one in loaded])

    def launch(self, staged: Staged) -> list[Batch]:
        """Launch a batch, in parts where memory is short.

        Raises:
            FsslibError: a single photograph does not fit.
        """
        try:
            return [self._launch(staged)]
        except torch.cuda.OutOfMemoryError:
            pass  # and only then is the memory of the failed pass free
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
            torch.cuda.empty_cache()
        count, (height, width) = len(staged.notes), staged.tensors[0].shape[1:3]
        if count == 1:
            raise FsslibError(
                f"a photograph of {width}x{height} px does not fit in the memory of the GPU: set "
                "long_side, or runtime.device to cpu"
            )
        tally = self._feeding.tally
        if tally.halved is None:
            self._feeding.told(
                f"{count} photographs of {width}x{height} px do not fit in the memory of the GPU: "
                f"going on with {count // 2} at a time"
            )
        tally.halved = count // 2
        return [batch for half in staged.halves() for batch in self.launch(half)]

    def _launch(self, staged: Staged) -> Batch:
        with torch.no_grad(), self._lane.chosen():
            photographs, *planes = self._lane.send(staged.tensors)
            found = self._reduce(self._encoder.encode(photographs), planes, staged.notes)
            return Batch(self._lane.fetch(found))
