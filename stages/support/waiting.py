"""How much of the time a loop waits for what it iterates over."""

import time
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Waited(Generic[T]):
    """An iterator that times itself.

    Args of the constructor:
        items: what is passed on.
    """

    def __init__(self, items: Iterator[T]) -> None:
        self._items, self._waiting = items, 0.0
        self._first: float | None = None

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        asked = time.perf_counter()
        item = next(self._items)
        now = time.perf_counter()
        if self._first is None:  # workers start before the first item
            self._first = now
        else:
            self._waiting += now - asked
        return item

    @property
    def share(self) -> float:
        """Share of the time since the first item came that was spent waiting, 0 to 1."""
        if self._first is None:
            return 0.0
        return self._waiting / max(1e-9, time.perf_counter() - self._first)
