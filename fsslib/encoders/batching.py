"""The loop behind `feed`: loads ahead, forms batches, keeps the device busy, keeps the order."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from typing import Any

from fsslib.encoders.device_batches import Batch, Device
from fsslib.encoders.grouping import Groups
from fsslib.encoders.hands import Failed, Hands
from fsslib.encoders.lanes import Arrays
from fsslib.encoders.work import Feeding, Loaded, Work
from fsslib.errors import FsslibError

CHUNK = 8
"""Items of one task of a process: a task costs about as much Python as the items themselves."""

DEPTH = 3
"""Batches on their way through the device: one runs, one waits to run, one is copied."""

HELD_BYTES = 4 << 30
"""Memory for what is loaded and found of the window's items: where an item takes more than a
1024th of it, the window is shorter."""


@dataclass(eq=False)
class Item:
    """An item on its way.

    Attributes:
        place: its place in the list.
        slot: its slot in the workers' memory.
        held: what the workers' `load` gave.
        loaded: the same with its arrays.
    """

    place: int
    slot: int
    held: Any = None
    loaded: Loaded | None = None


class Engine:
    """One pass. `results` yields in order, while a thread of its own does the work.

    The thread takes events from one queue: workers that ended a task, batches that came back from
    the device, results that were taken. After each it starts what can be started.
    """

    def __init__(self, work: Work[Any, Any], items: Sequence[Any], feeding: Feeding) -> None:
        self._work, self._items, self._tally = work, items, feeding.tally
        self._window = max(1, min(feeding.window, len(items)))
        workers, processes = max(1, feeding.workers), feeding.processes and feeding.workers > 0
        slots = self._window if processes else None
        self._hands = Hands(items, work.load, work.finish, workers, slots)
        self._chunk = CHUNK if processes else 1
        self._ahead = 2 * workers * self._chunk
        self._device = Device(work, feeding)
        self._groups: Groups[Item] = Groups(self._device.batch_of)
        self._threads = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        self._events: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._results: dict[int, Any] = {}
        self._changed = threading.Condition()
        self._failure: BaseException | None = None
        self._slots = deque(range(self._window))
        self._begun = self._loading = self._running = self._finishing = self._taken = 0
        self._measured = self._bytes = self._furthest = 0
        self._stopping = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def results(self) -> Iterator[Any]:
        """Yield the results in order, or raise what an item raised when its turn comes."""
        self._thread.start()
        for place in range(len(self._items)):
            with self._changed:
                while place not in self._results and self._failure is None:
                    self._changed.wait()
                if place not in self._results and self._failure is not None:
                    raise self._failure
                result = self._results.pop(place)
            if isinstance(result, Failed):
                raise result.error
            yield result
            self._events.put(self._take)

    def close(self) -> None:
        """End the pass: begun tasks end, the others are dropped."""
        self._stopping = True
        self._events.put(lambda: None)
        if self._thread.is_alive():
            self._thread.join()
        for pool in self._threads:
            pool.shutdown(wait=True, cancel_futures=True)
        self._hands.close()

    def _run(self) -> None:
        try:
            while self._taken < len(self._items) and not self._stopping:
                self._load_ahead()
                self._launch()
                self._events.get()()
        except BrokenProcessPool:
            self._fail(
                FsslibError(
                    "a process that reads photographs was killed, perhaps because memory was "
                    "short: lower runtime.workers, then run the same command again"
                )
            )
        except BaseException as error:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        with self._changed:
            self._failure = error
            self._changed.notify()

    def _when_done(self, future: "Future[Any]", then: Callable[[Any], None]) -> None:
        """Let the thread call `then` with the future's result."""

        def tell(done: "Future[Any]") -> None:
            if not done.cancelled():
                self._events.put(lambda: then(done.result()))

        future.add_done_callback(tell)

    def _take(self) -> None:
        self._taken += 1

    def _limit(self) -> int:
        """Items that may be held now: the window, or as many as there is memory for."""
        each = self._bytes // max(1, self._measured)
        return max(1, min(self._window, HELD_BYTES // max(1, each)))

    def _load_ahead(self) -> None:
        limit = self._limit()
        while True:
            left, free = len(self._items) - self._begun, limit - (self._begun - self._taken)
            room = min(self._chunk, left, free, len(self._slots))
            if room <= 0 or self._loading >= self._ahead:
                return
            chunk = [Item(self._begun + i, self._slots.popleft()) for i in range(room)]
            self._begun += room
            self._loading += room
            self._tally.most_held = max(self._tally.most_held, self._begun - self._taken)
            future = self._hands.load([(item.place, item.slot) for item in chunk])
            self._when_done(future, partial(self._loaded, chunk))

    def _loaded(self, chunk: list[Item], held: list[Any]) -> None:
        self._loading -= len(chunk)
        for item, given in zip(chunk, held, strict=True):
            if isinstance(given, Failed):
                self._give(item, given)
                continue
            item.held, item.loaded = given, self._hands.loaded(given)
            assert item.loaded is not None
            self._measured += 1
            self._bytes += item.loaded.nbytes
            self._furthest = max(self._furthest, item.place)
            self._groups.add(item.loaded.kind, item.place, item)

    def _launch(self) -> None:
        while self._running < DEPTH:
            items = self._groups.full() or (self._groups.oldest() if self._must_go() else [])
            if not items:
                return
            self._running += 1
            loaded = [item.loaded for item in items if item.loaded is not None]
            batch = self._device.stage(loaded)
            self._tally.batches.append(len(items))
            launched = self._threads[0].submit(self._device.launch, batch)
            launched.add_done_callback(partial(self._await, items))

    def _must_go(self) -> bool:
        """Whether a group that is not full has to be encoded.

        That is so at the end; once half a window was loaded after its first item, so that the other
        half keeps the device busy meanwhile; and when nothing else can go on.
        """
        first = self._groups.first_place
        if first is None:
            return False
        if self._begun == len(self._items):
            return not self._loading
        idle = not (self._loading or self._running or self._finishing)
        return 2 * (self._furthest - first) > self._limit() or (
            idle and self._taken not in self._results
        )

    def _await(self, items: list[Item], launched: "Future[list[Batch]]") -> None:
        """Hand a launched batch to the thread that waits for it; the device's thread calls this."""
        if launched.cancelled() or self._stopping:
            return
        if launched.exception():
            self._when_done(launched, lambda _: None)  # raises it in the loop
            return
        waiting = self._threads[1].submit(lambda: [part.wait() for part in launched.result()])
        self._when_done(waiting, partial(self._came_back, items))

    def _came_back(self, items: list[Item], parts: list[Arrays]) -> None:
        self._running -= 1
        rest = iter(items)
        for arrays in parts:
            for row in range(len(arrays[0])):
                found = tuple(array[row] for array in arrays)
                self._bytes += sum(array.nbytes for array in found)
                self._finish(next(rest), found)

    def _finish(self, item: Item, found: tuple[Any, ...]) -> None:
        if self._work.in_worker:
            self._finishing += 1
            future = self._hands.finish(item.place, item.slot, item.held, found)
            self._when_done(future, partial(self._finished, item))
            return
        assert item.loaded is not None
        try:
            result = self._work.finish(self._items[item.place], item.loaded, found)
        except Exception as error:  # told when the item's turn comes
            result = Failed(error)
        self._give(item, result)

    def _finished(self, item: Item, result: Any) -> None:  # noqa: ANN401
        self._finishing -= 1
        self._give(item, result)

    def _give(self, item: Item, result: Any) -> None:  # noqa: ANN401
        """Put a result where its turn is waited for; the item's slot is free again."""
        item.loaded = item.held = None
        self._slots.append(item.slot)
        with self._changed:
            self._results[item.place] = result
            self._tally.most_waiting = max(self._tally.most_waiting, len(self._results))
            self._changed.notify()
