"""What `extract`, `annotate` and `index` share: work on many images, written in shards."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from fsslib.files.disk import folder_bytes, require_space
from fsslib.files.shards import scratch_key, split_shards, write_shards
from fsslib.ranks import read_ranks
from stages.support import paths
from stages.support.common import Bar, say
from stages.support.heap import trim_heap

T = TypeVar("T")

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


def write_sharded(work: Sharded[T], write: Callable[[Path, Sequence[T], Bar], None]) -> None:
    """Do this rank's share of the missing work, with a progress bar.

    Args:
        work: see `Sharded`.
        write: function that writes one shard atomically and counts each item on the bar.
    """
    ranks = read_ranks()
    scratch = paths.SCRATCH / f"{work.key[0]}-{scratch_key(*work.key)}"
    shards = split_shards(work.items, work.size)
    if ranks.leads:
        left = max(0, work.need - folder_bytes(scratch))
        say(f"{work.title}: {require_space(work.out, left, work.remedy)}")
    mine = sum(len(items) for _, items in ranks.share(shards))
    with _TrimmingBar(work.title, mine, silent=not ranks.leads) as bar:
        write_shards(
            shards,
            scratch,
            work.out,
            work.suffix,
            lambda path, items: write(path, items, bar),
            bar.skip,
            ranks,
        )


class _TrimmingBar(Bar):
    """A progress bar that trims the heap while it counts."""

    def count(self, items: Iterable[T]) -> Iterator[T]:
        for number, item in enumerate(super().count(items), start=1):
            yield item
            if number % TRIM_EVERY == 0:
                trim_heap()
