"""Groups of items that may share a batch."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Groups(Generic[T]):
    """Items by their kind, until they leave as batches.

    Args of the constructor:
        batch_of: kind -> number of items of a full batch.
    """

    def __init__(self, batch_of: Callable[[Hashable], int]) -> None:
        self._batch_of = batch_of
        self._groups: dict[Hashable, list[tuple[int, T]]] = {}
        self._sizes: dict[Hashable, int] = {}

    def add(self, kind: Hashable, place: int, item: T) -> None:
        """Add an item; `place` tells how old it is, and may come in any order."""
        self._groups.setdefault(kind, []).append((place, item))

    def full(self) -> list[T]:
        """Take a full batch out; empty if there is none."""
        for kind, group in self._groups.items():
            size = self._batch_of(kind)
            if len(group) >= size:
                return self._take(kind, size)
        return []

    @property
    def first_place(self) -> int | None:
        """Place of the oldest item, None if there is no item."""
        return min((min(g)[0] for g in self._groups.values()), default=None)

    def oldest(self) -> list[T]:
        """Take the batch of the oldest item out, full or not."""
        kind = min(self._groups, key=lambda k: min(place for place, _ in self._groups[k]))
        return self._take(kind, self._batch_of(kind))

    def _take(self, kind: Hashable, size: int) -> list[T]:
        group = sorted(self._groups[kind], key=lambda pair: pair[0])
        chosen, rest = group[:size], group[size:]
        if rest:
            self._groups[kind] = rest
        else:
            del self._groups[kind]
        return [item for _, item in chosen]
