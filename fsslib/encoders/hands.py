"""Workers that load photographs ahead of the encoder and finish what was found in them.

On a GPU they are processes, since Python runs one thread at a time. They are forked, so functions
need not be pickled, and they put arrays into memory that they share with the parent. A pipe would
copy each photograph four times.
"""

import gc
import mmap
import multiprocessing
import os
import signal
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from fsslib.encoders.lanes import Arrays
from fsslib.encoders.work import Loaded

SLOT_BYTES = 4 << 20
"""Shared memory of one photograph and what belongs to it. Larger ones go through a pipe."""

_ALIGNMENT = 64


@dataclass(frozen=True)
class Failed:
    """The exception that one item raised."""

    error: Exception


@dataclass(frozen=True)
class Place:
    """Where an array lies in the shared memory."""

    offset: int
    shape: tuple[int, ...]
    dtype: str


Held = Place | npt.NDArray[Any]
"""An array in the shared memory, or the array itself, which goes through a pipe."""


@dataclass(frozen=True)
class Parcel:
    """What was loaded, with its arrays in the shared memory.

    Attributes:
        arrays: photograph, planes and kept arrays.
        planes: number of planes.
        note: see `Loaded`.
        apart: see `Loaded`.
        end: first free byte behind the arrays.
    """

    arrays: tuple[Held, ...]
    planes: int
    note: Any
    apart: Hashable
    end: int


class Arena:
    """Memory that a process shares with its later children, in slots of equal size."""

    def __init__(self, slots: int, slot_bytes: int = SLOT_BYTES) -> None:
        self._memory = mmap.mmap(-1, max(1, slots) * slot_bytes)
        self._slot_bytes = slot_bytes

    def start(self, slot: int) -> int:
        """First byte of a slot."""
        return slot * self._slot_bytes

    def put(
        self, arrays: Sequence[npt.NDArray[Any]], slot: int, start: int
    ) -> tuple[tuple[Held, ...], int]:
        """Copy arrays into a slot from byte `start` of the memory on, as far as they fit.

        Returns:
            Where they are, and the first free byte behind them.
        """
        held: list[Held] = []
        for array in arrays:
            begin = -(-start // _ALIGNMENT) * _ALIGNMENT
            if begin + array.nbytes > self.start(slot + 1):
                held.append(array)
                continue
            place = Place(begin, array.shape, array.dtype.str)
            self.get(place)[...] = array
            held.append(place)
            start = begin + array.nbytes
        return tuple(held), start

    def get(self, held: Held) -> npt.NDArray[Any]:
        """Return an array; it is valid until its slot is used again."""
        if not isinstance(held, Place):
            return held
        return np.ndarray(held.shape, held.dtype, self._memory, held.offset)

    def pack(self, loaded: Loaded, slot: int) -> Parcel:
        """Put what was loaded into a slot."""
        arrays = (loaded.photograph, *loaded.planes, *loaded.kept)
        held, end = self.put(arrays, slot, self.start(slot))
        return Parcel(held, len(loaded.planes), loaded.note, loaded.apart, end)

    def unpack(self, parcel: Parcel) -> Loaded:
        """Return what was loaded; its arrays are valid until the slot is used again."""
        photograph, *rest = map(self.get, parcel.arrays)
        planes, kept = tuple(rest[: parcel.planes]), tuple(rest[parcel.planes :])
        return Loaded(photograph, planes, kept, parcel.note, parcel.apart)


class Hands:
    """Runs `load` and `finish` on items in threads or processes.

    Args of the constructor:
        items: what is worked on; tasks name an item by its place.
        load: function from an item to a value.
        finish: function from an item, its loaded value and what was found to a result.
        workers: threads or processes, at least 1.
        slots: items whose values are held at once, if there are processes; None for threads.
    """

    def __init__(
        self,
        items: Sequence[Any],
        load: Callable[[Any], Any],
        finish: Callable[[Any, Any, Any], Any],
        workers: int,
        slots: int | None,
    ) -> None:
        self._crew = _Crew(items, load, finish, None if slots is None else Arena(slots))
        self.processes = slots is not None
        self._pool: Executor
        if self.processes:
            context = multiprocessing.get_context("fork")
            begin = (self._crew, os.getpid())
            self._pool = ProcessPoolExecutor(workers, context, _begin, begin)
            with warnings.catch_warnings():
                # Of Python 3.12 on, about locks of other threads. The children take none of them.
                warnings.simplefilter("ignore", DeprecationWarning)
                self._pool.submit(int).result()  # forks all of them
        else:
            self._pool = ThreadPoolExecutor(workers)

    def load(self, places: Sequence[tuple[int, int]]) -> "Future[list[Any]]":
        """Load items, given as (place in `items`, slot); each gives a parcel, value or failure."""
        if self.processes:
            return self._pool.submit(_load, places)
        return self._pool.submit(self._crew.load, places)

    def finish(self, place: int, slot: int, loaded: Any, found: Arrays) -> "Future[Any]":  # noqa: ANN401
        """Finish an item, given what `load` gave for it; the future gives a result or a failure."""
        if not self.processes:
            return self._pool.submit(self._crew.finish, place, loaded, found)
        assert self._crew.arena is not None
        held, _ = self._crew.arena.put(found, slot, loaded.end)
        return self._pool.submit(_finish, place, loaded, held)

    def loaded(self, given: Any) -> Loaded:  # noqa: ANN401 - as `load` gave it
        """What the function `load` made."""
        return self._crew.loaded(given)

    def close(self) -> None:
        """Drop the tasks that have not begun, and wait for the others."""
        self._pool.shutdown(wait=True, cancel_futures=True)


@dataclass
class _Crew:
    """What every worker knows."""

    items: Sequence[Any]
    load_one: Callable[[Any], Any]
    finish_one: Callable[[Any, Any, Any], Any]
    arena: Arena | None

    def load(self, places: Sequence[tuple[int, int]]) -> list[Any]:
        return [self._load(place, slot) for place, slot in places]

    def _load(self, place: int, slot: int) -> Any:  # noqa: ANN401 - parcel, value or failure
        try:
            value = self.load_one(self.items[place])
        except Exception as error:  # told where the item's turn comes
            return self._failed(error)
        return value if self.arena is None else self.arena.pack(value, slot)

    def finish(self, place: int, given: Any, found: Sequence[Held]) -> Any:  # noqa: ANN401
        try:
            arrays = tuple(a if self.arena is None else self.arena.get(a) for a in found)
            return self.finish_one(self.items[place], self.loaded(given), arrays)
        except Exception as error:
            return self._failed(error)

    def loaded(self, given: Any) -> Loaded:  # noqa: ANN401
        if isinstance(given, Parcel):
            assert self.arena is not None
            return self.arena.unpack(given)
        assert isinstance(given, Loaded)
        return given

    def _failed(self, error: Exception) -> Failed:
        if self.arena is not None:  # a process: the traceback does not travel with the error
            error.add_note(traceback.format_exc())
            error.__cause__ = error.__context__ = None
        return Failed(error)


_mine: _Crew | None = None


def _begin(crew: _Crew, parent: int) -> None:
    """Start a worker process."""
    global _mine
    _mine = crew
    torch.set_num_threads(1)  # OpenMP's threads did not come with the fork
    gc.freeze()  # never collect what belongs to the parent, such as tensors on a GPU
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it too, and ends this process
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process once its parent is gone, even if that was killed."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _load(places: Sequence[tuple[int, int]]) -> list[Any]:
    assert _mine is not None
    return _mine.load(places)


def _finish(place: int, loaded: Any, found: Sequence[Held]) -> Any:  # noqa: ANN401
    assert _mine is not None
    return _mine.finish(place, loaded, found)
