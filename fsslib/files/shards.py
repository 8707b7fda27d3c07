"""Work over many images in shards: each is a file that is whole or absent, so a run can resume.

A shard's content depends on its own images alone. Whoever writes it, in one run or after ten
interruptions, writes the same bytes; several processes take turns by rank.
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
    """Name for a scratch folder: a hash of everything that decides what is written there."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, for `scratch_key`."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def split_shards(items: Sequence[T], size: int) -> list[Sequence[T]]:
    """Consecutive runs of at most `size` items."""
    return [items[i : i + size] for i in range(0, len(items), size)]


def write_shards(
    shards: Sequence[Sequence[T]],
    scratch: Path,
    out: Path,
    suffix: str,
    write: Callable[[Path, Sequence[T]], None],
    skipped: Callable[[int], None] | None = None,
    ranks: Ranks = ALONE,
) -> None:
    """Write every missing shard into `scratch`, then make `out` that folder.

    Several processes write every `ranks.size`-th shard each; the first joins them. They need a file
    system that all of them see.

    Args:
        shards: the items of each file.
        scratch: folder of this very work (see `scratch_key`); kept when interrupted.
        out: final folder, replaced when all shards are there.
        suffix: of the files, `.h5` or `.zip`.
        write: writes one shard atomically.
        skipped: told the number of items that were already there.
        ranks: this process among those that share the work.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    for number, items in ranks.share(shards):
        path = scratch / f"{number:05d}{suffix}"
        if path.exists():
            if skipped:
                skipped(len(items))
        else:
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
