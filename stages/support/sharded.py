"""What `extract`, `annotate` and `index` share: work on many images, written in shards."""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Generic, TypeVar

from fsslib.files.disk import folder_bytes, require_space
from fsslib.files.shards import scratch_key, split_shards, write_shards
from fsslib.ranks import read_ranks

from . import paths
from .common import Bar, say
from .heap import trim_heap

T = TypeVar("T")
R = TypeVar("R")

TRIM_EVERY = 16
"""Images between two trims of the heap. With 256, a whole shard, the peak still rose by a tenth."""


@dataclass(frozen=True)
class Sharded(Generic[T]):
    """Work to do in shards.

    Attributes:
        title: title of the progress bar.
        items: items to process, in the order of the output.
        size: items per shard.
        suffix: suffix of the files.
        out: folder of the output.
        key: the step's name and everything that decides what is written.
        need: estimate of the bytes that will be written.
        remedy: what the user can do if they do not fit on the disk.
    """

    title: str
    items: Sequence[T]
    size: int
    suffix: str
    out: Path
    key: Sequence[object]
    need: int
    remedy: str


def write_sharded(
    work: Sharded[T],
    make: Callable[[Sequence[Sequence[T]]], Iterator[R]],
    write: Callable[[Path, Iterable[R]], None],
) -> None:
    """Do this rank's share of the missing work, with a progress bar.

    Args:
        work: see `Sharded`.
        make: yields a result for each item of the missing shards, in order. It is one pass over all
            of them, so that the encoder is never idle between two files; it is not called where
            nothing is missing.
        write: function that writes one shard of results atomically and takes all of them.
    """
    ranks = read_ranks()
    scratch = paths.SCRATCH / f"{work.key[0]}-{scratch_key(*work.key)}"
    shards = split_shards(work.items, work.size)
    if ranks.leads:
        left = max(0, work.need - folder_bytes(scratch))
        say(f"{work.title}: {require_space(work.out, left, work.remedy)}")
    mine = sum(len(items) for _, items in ranks.share(shards))
    with (
        _TrimmingBar(work.title, mine, silent=not (ranks.leads or ranks.apart)) as bar,
        _Pass(make) as results,
    ):
        write_shards(
            shards,
            scratch,
            work.out,
            work.suffix,
            lambda path, items: write(path, bar.count(results.take(len(items)))),
            bar.skip,
            ranks,
            results.begin,
        )


class _Pass(Generic[T, R]):
    """The results of one pass, taken shard by shard."""

    def __init__(self, make: Callable[[Sequence[Sequence[T]]], Iterator[R]]) -> None:
        self._make = make
        self._results: Iterator[R] = iter(())

    def __enter__(self) -> "_Pass[T, R]":
        return self

    def __exit__(self, *exc: object) -> None:
        if isinstance(self._results, Generator):
            self._results.close()  # ends its threads and processes

    def begin(self, shards: Sequence[Sequence[T]]) -> None:
        self._results = self._make(shards)

    def take(self, count: int) -> Iterator[R]:
        return islice(self._results, count)


class _TrimmingBar(Bar):
    """A progress bar that trims the heap while it counts."""

    def count(self, items: Iterable[R]) -> Iterator[R]:
        for number, item in enumerate(super().count(items), start=1):
            yield item
            if number % TRIM_EVERY == 0:
                trim_heap()
