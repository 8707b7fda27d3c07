"""Work on many images, divided into shards so that an interrupted run can resume.

Each shard is a file that is complete or absent. Its content depends only on its own images, so it
has the same bytes after one run and after ten interruptions. Several processes divide the shards by
rank.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from fsslib.ranks import ALONE, Ranks

T = TypeVar("T")


def scratch_key(*parts: Any) -> str:  # noqa: ANN401 - any JSON value
    """Name of a scratch folder: a hash of everything that determines its content."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, for `scratch_key`."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def split_shards(items: Sequence[T], size: int) -> list[Sequence[T]]:
    """Split items into consecutive runs of at most `size` items."""
    return [items[i : i + size] for i in range(0, len(items), size)]


def write_shards(
    shards: Sequence[Sequence[T]],
    scratch: Path,
    out: Path,
    suffix: str,
    write: Callable[[Path, Sequence[T]], None],
    skipped: Callable[[int], None] | None = None,
    ranks: Ranks = ALONE,
    begin: Callable[[Sequence[Sequence[T]]], None] | None = None,
) -> None:
    """Write every missing shard into `scratch`, then move that folder to `out`.

    With several processes, each writes every `ranks.size`-th shard, and rank 0 moves the folder.
    All processes must see the same file system.

    Args:
        shards: the items of each file.
        scratch: folder for exactly this work (see `scratch_key`); it stays after an interruption.
        out: final folder, replaced once all shards exist.
        suffix: suffix of the files, `.h5` or `.zip`.
        write: function that writes one shard atomically.
        skipped: called with the number of items in a shard that already exists.
        ranks: rank of this process and number of processes.
        begin: called with the shards that `write` will be called with, if there are any.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    missing = []
    for number, items in ranks.share(shards):
        path = scratch / f"{number:05d}{suffix}"
        if not path.exists():
            missing.append((path, items))
        elif skipped:
            skipped(len(items))
    if begin and missing:
        begin([items for _, items in missing])
    for path, items in missing:
        write(path, items)
    ranks.wait()
    if ranks.leads:
        _join(scratch, out)
    ranks.wait()


def _join(scratch: Path, out: Path) -> None:
    for stray in scratch.glob(".*.part"):
        stray.unlink()
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.exists():
        shutil.rmtree(out)
    shutil.move(scratch, out)


def shard_files(folder: Path, suffix: str) -> list[Path]:
    """The shards of a folder in order."""
    return sorted(folder.glob(f"[0-9]*{suffix}"))
