"""What `feed` is told: the work on each item, and how photographs get to the encoder."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy.typing as npt
import torch
from torch import Tensor

from fsslib.data.images import UInt8
from fsslib.encoders.lanes import Arrays

T = TypeVar("T")
R = TypeVar("R")

WINDOW = 1024
"""Items between the one whose result comes next and the last one that is loaded. Rare sizes find
partners within it."""


class BatchEncoder(Protocol):
    """What encodes batches, usually a `PhotographEncoder`."""

    device: torch.device

    def encode(self, pixels: Tensor) -> Tensor:
        """Encode (B, H, W, 3) uint8 to (B, C, h, w) float32."""


class Loaded(NamedTuple):
    """What a worker has read of one item.

    Attributes:
        photograph: (h, w, 3) uint8, already of the size at which it is encoded.
        planes: index masks of any size, which go to the device too.
        kept: arrays that only `finish` needs.
        note: anything small that the other functions need.
        apart: what else items of one batch have to have in common.
    """

    photograph: UInt8
    planes: tuple[npt.NDArray[Any], ...] = ()
    kept: tuple[npt.NDArray[Any], ...] = ()
    note: Any = None
    apart: Hashable = None

    @property
    def kind(self) -> tuple[Hashable, ...]:
        """Shapes and types of what is sent, and `apart`; items of one kind share a batch."""
        arrays = ((a.shape, a.dtype.str) for a in (self.photograph, *self.planes))
        return *arrays, self.apart

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        arrays = (self.photograph, *self.planes, *self.kept)
        return sum(array.nbytes for array in arrays)


@dataclass(frozen=True)
class Work(Generic[T, R]):
    """What is done with each item: at once, or in three steps if items share batches.

    Attributes:
        single: the whole work on one item, in one thread.
        load: reads an item, in a worker.
        reduce: makes of features (B, C, h, w), of the stacked planes and of the notes any tensors
            whose first dimension is B, on their device, without waiting for it.
        finish: makes the result of an item, of what was loaded and of its rows of those tensors. No
            array outlives the call, except those of the tensors.
        in_worker: whether `finish` takes a worker, because it computes much.
    """

    single: Callable[[T], R]
    load: Callable[[T], Loaded]
    reduce: Callable[[Tensor, Sequence[Tensor], Sequence[Any]], Sequence[Tensor]]
    finish: Callable[[T, Loaded, Arrays], R]
    in_worker: bool = False


@dataclass
class Tally:
    """What a pass looked like.

    Attributes:
        batches: number of photographs in each batch, in order.
        most_held: largest number of items between loading and the end of their turn.
        most_waiting: largest number of results that waited for their turn.
        halved: size of the batch after the last halving, None if memory sufficed.
        seconds: from the start of each pass, processes included, until it is closed, summed up.
    """

    batches: list[int] = field(default_factory=list)
    most_held: int = 0
    most_waiting: int = 0
    halved: int | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Feeding:
    """How photographs get to an encoder.

    Attributes:
        encoder: encodes batches; None if it cannot, so that items are taken one by one.
        batch: photographs in a batch; None for as many as a GPU has use and memory for, and 1 on a
            CPU.
        workers: threads or processes that load and finish, 0 for the calling thread.
        processes: whether the workers are processes when photographs share batches.
        told: called with one line if memory was short.
        window: see `WINDOW`.
        tally: filled by each pass.
    """

    encoder: BatchEncoder | None = None
    batch: int | None = None
    workers: int = 0
    processes: bool = False
    told: Callable[[str], None] = lambda line: None
    window: int = WINDOW
    tally: Tally = field(default_factory=Tally)

    @property
    def one_by_one(self) -> bool:
        """Whether each item is worked on by itself."""
        if self.encoder is None:
            return True
        return self.encoder.device.type == "cpu" and self.batch in (None, 1)
