"""Workers that load photographs ahead of the encoder and finish what was found in them.

On a GPU they are processes, since Python runs one thread at a time. They are forked, so functions
need not be pickled, and they put arrays into memory that they share with the parent. A pipe would
copy each photograph four times.
"""

import gc
import mmap
import multiprocessing
import os
import pickle  # nosec B403: only between a process and its own children
import signal
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

SLOT_BYTES = 4 << 20
"""Shared memory of one photograph and what belongs to it. Larger ones go through a pipe."""

_ALIGNMENT = 64


@dataclass(frozen=True)
class Failed:
    """The exception that one item raised."""

    error: Exception


@dataclass(frozen=True)
class Parcel:
    """A value whose arrays lie in a slot of the shared memory.

    Attributes:
        head: the value, pickled without its arrays, or with them if they did not fit.
        places: start and length of each array in the shared memory.
    """

    head: bytes
    places: tuple[tuple[int, int], ...]

    @property
    def end(self) -> int | None:
        """First free byte after the arrays; None if there are none."""
        return sum(self.places[-1]) if self.places else None


class Arena:
    """Memory that a process shares with its later children, in slots of equal size."""

    def __init__(self, slots: int, slot_bytes: int = SLOT_BYTES) -> None:
        self._memory = memoryview(mmap.mmap(-1, max(1, slots) * slot_bytes))
        self._slot_bytes = slot_bytes

    def put(self, value: object, slot: int, start: int | None = None) -> Parcel:
        """Put a value into a slot, from byte `start` of the memory on if that is given."""
        buffers: list[pickle.PickleBuffer] = []
        head = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
        place = slot * self._slot_bytes if start is None else start
        end, places = (slot + 1) * self._slot_bytes, []
        for raw in (buffer.raw() for buffer in buffers):
            place = -(-place // _ALIGNMENT) * _ALIGNMENT
            if place + raw.nbytes > end:
                return Parcel(pickle.dumps(value, protocol=5), ())
            self._memory[place : place + raw.nbytes] = raw
            places.append((place, raw.nbytes))
            place += raw.nbytes
        return Parcel(head, tuple(places))

    def get(self, parcel: Parcel) -> Any:  # noqa: ANN401 - whatever was put there
        """Return the value; its arrays are valid until the slot is used again."""
        arrays = [self._memory[a : a + n] for a, n in parcel.places]
        return pickle.loads(parcel.head, buffers=arrays)  # nosec B301: of our own child


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
            self._pool.submit(int).result()  # forks here, before this process starts threads
        else:
            self._pool = ThreadPoolExecutor(workers)

    def load(self, places: Sequence[tuple[int, int]]) -> "Future[list[Any]]":
        """Load items, given as (place in `items`, slot); each gives a parcel, value or failure."""
        if self.processes:
            return self._pool.submit(_load, places)
        return self._pool.submit(self._crew.load, places)

    def finish(self, place: int, slot: int, loaded: Any, found: Any) -> "Future[Any]":  # noqa: ANN401
        """Finish an item, given what `load` gave for it; the future gives a result or a failure."""
        if self.processes:
            assert self._crew.arena is not None
            held = self._crew.arena.put(found, slot, loaded.end)
            return self._pool.submit(_finish, place, loaded, held)
        return self._pool.submit(self._crew.finish, place, loaded, found)

    def value(self, loaded: Any) -> Any:  # noqa: ANN401 - as `load` made it
        """The value that `load` made."""
        return self._crew.value(loaded)

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
        return value if self.arena is None else self.arena.put(value, slot)

    def finish(self, place: int, loaded: Any, found: Any) -> Any:  # noqa: ANN401
        try:
            return self.finish_one(self.items[place], self.value(loaded), self.value(found))
        except Exception as error:
            return self._failed(error)

    def value(self, held: Any) -> Any:  # noqa: ANN401
        if isinstance(held, Parcel):
            assert self.arena is not None
            return self.arena.get(held)
        return held

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


def _finish(place: int, loaded: Any, found: Any) -> Any:  # noqa: ANN401
    assert _mine is not None
    return _mine.finish(place, loaded, found)
