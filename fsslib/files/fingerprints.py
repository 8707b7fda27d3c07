"""Content hashes of files that others own, remembered as long as a file stays as it was.

A file is hashed again unless its size, times and inode are those of the last time. What is
remembered lies in a text file of ours, one file a line. If that is lost or damaged, everything is
hashed again.
"""

import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from fsslib.errors import FsslibError

FORMAT = "fsslib-hashes 1"
THREADS = min(8, 2 * (os.cpu_count() or 1))
"""Threads that read and hash; both release Python's lock."""
SAVE_SECONDS = 30
"""Seconds between saves of what has been hashed, so that a kill loses little."""
RECENT_NS = 2 * 10**9
"""A file that changed less than this before it was hashed is not remembered.

A second change within one tick of the file system's clock (2 s on FAT) would not show.
"""
HASH_AND_SPACE = 65
"""Characters before the stamp in a line of the memory."""
PART = 1 << 20
"""Bytes read at once."""

Progress = Callable[[int, int], None]
"""Called with the number of files hashed so far, and of all files to hash."""


class Hashed(NamedTuple):
    """SHA-256 of a file's content in hex, and device and inode, which all its links share."""

    sha256: str
    key: tuple[int, int]


def hash_file(path: Path) -> str:
    """SHA-256 of one file in hex; errors are those of `hash_files`."""
    return _hash(str(path))[0]


def hash_files(
    root: Path,
    names: Sequence[str],
    memory: Path | None = None,
    on_progress: Progress | None = None,
) -> list[Hashed]:
    """Hash files, except those that are as they were when `memory` was written.

    Args:
        root: folder that the names are relative to.
        names: names of regular files, or of links to them.
        memory: file that remembers hashes; it is written where something new was hashed, also after
            an error. None for no memory. One that cannot be written is not an error.
        on_progress: see `Progress`.

    Raises:
        FsslibError: a file is missing, unreadable or not a regular file.
    """
    known = _recall(memory)
    found: list[Hashed | None] = []
    stamps: list[str] = []  # of what may be remembered, else empty
    todo = []
    # A million files take seconds here, so the loop calls little of our own.
    for number, name in enumerate(names):
        try:
            status = os.stat(f"{root}/{name}")  # noqa: PTH116 - a million Path objects are slow
        except (OSError, ValueError):
            status = _status(f"{root}/{name}")
        stamp = _stamp(status)
        old = known.get(name, "")
        if old.endswith(stamp) and len(old) == HASH_AND_SPACE + len(stamp):
            stamps.append(stamp)
            found.append(Hashed(old[: HASH_AND_SPACE - 1], (status.st_dev, status.st_ino)))
        else:
            todo.append(number)
            stamps.append("")
            found.append(None)
    del known
    saved = time.monotonic()
    try:
        hashes = _in_threads([f"{root}/{names[n]}" for n in todo])
        for done, (number, (sha256, key, fresh)) in enumerate(zip(todo, hashes, strict=True), 1):
            found[number], stamps[number] = Hashed(sha256, key), fresh
            if on_progress is not None:
                on_progress(done, len(todo))
            if time.monotonic() - saved > SAVE_SECONDS:
                _remember(memory, names, found, stamps)
                saved = time.monotonic()
    finally:
        if todo:
            _remember(memory, names, found, stamps)
    return [item for item in found if item is not None]


def listing(names: Sequence[str], hashed: Sequence[Hashed]) -> str:
    """A line for each file, as `sha256sum` writes and checks them."""
    return "".join(f"{h.sha256}  {name}\n" for name, h in zip(names, hashed, strict=True))


def read_listing(text: str) -> dict[str, str]:
    """Name -> SHA-256 of each line that `listing` wrote; comments are left out."""
    lines = (line for line in text.split("\n") if line and not line.startswith("#"))
    return {name: sha256 for sha256, _, name in (line.partition("  ") for line in lines)}


def changes(then: Mapping[str, str], now: Mapping[str, str | None]) -> list[str]:
    """What became of each file, as `a.jpg is gone`, `is new` or `changed`, in sorted order.

    Args:
        then: name -> SHA-256, as `read_listing` gives it.
        now: name -> SHA-256; None for a file that cannot be read, which is not a change.
    """
    words = dict.fromkeys(then.keys() - now.keys(), "is gone")
    words |= dict.fromkeys(now.keys() - then.keys(), "is new")
    both = then.keys() & now.keys()
    words |= {name: "changed" for name in both if now[name] not in (then[name], None)}
    return [f"{name} {word}" for name, word in sorted(words.items())]


def _status(path: str) -> os.stat_result:
    """Status of a regular file; a pipe or a device may never end."""
    try:
        status = os.stat(path)  # noqa: PTH116 - a million Path objects are slow
    except OSError as error:
        raise _unreadable(path, error) from None
    except ValueError as error:  # a zero byte in the name
        raise FsslibError(f"{path!r:.80} cannot be read ({error}): rename it") from None
    if not stat.S_ISREG(status.st_mode):
        raise FsslibError(f"{path} is not a regular file: replace it")
    return status


def _unreadable(path: str, error: OSError) -> FsslibError:
    if isinstance(error, FileNotFoundError):
        return FsslibError(f"{path} does not exist (any more): run the same command again")
    return FsslibError(f"{path} cannot be read ({error.strerror}): replace the file")


def _stamp(status: os.stat_result) -> str:
    """Size, times of content and of status, and inode: any change of the content changes one."""
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"


def _hash(path: str) -> tuple[str, tuple[int, int], str]:
    """Hash, device and inode, and the stamp, which is empty if the file may be changing."""
    _status(path)
    now = time.time_ns()
    digest = hashlib.sha256()
    try:
        with open(path, "rb", buffering=0) as stream:  # noqa: PTH123 - as above
            before = os.fstat(stream.fileno())
            while part := stream.read(PART):
                digest.update(part)
            after = os.fstat(stream.fileno())
    except OSError as error:
        raise _unreadable(path, error) from None
    settled = max(after.st_mtime_ns, after.st_ctime_ns) + RECENT_NS < now
    stamp = _stamp(after) if settled and _stamp(after) == _stamp(before) else ""
    return digest.hexdigest(), (after.st_dev, after.st_ino), stamp


def _in_threads(paths: Sequence[str]) -> Iterator[tuple[str, tuple[int, int], str]]:
    """`_hash` of each path in order; threads take some files at a time and stay close together."""
    if len(paths) < 2:
        yield from map(_hash, paths)
        return
    size = max(1, min(32, len(paths) // THREADS))
    chunks = iter([paths[i : i + size] for i in range(0, len(paths), size)])
    with ThreadPoolExecutor(THREADS) as pool:
        ahead = [pool.submit(lambda c: [*map(_hash, c)], c) for c in islice(chunks, 2 * THREADS)]
        try:
            while ahead:
                result = ahead.pop(0).result()
                ahead.extend(pool.submit(lambda c: [*map(_hash, c)], c) for c in islice(chunks, 1))
                yield from result
        finally:
            for future in ahead:
                future.cancel()


def _recall(memory: Path | None) -> dict[str, str]:
    """Name -> hash, space and stamp; nothing where the file is missing, damaged or foreign."""
    try:
        raw = memory.read_bytes() if memory is not None else b""
    except OSError:
        return {}
    head, _, body = raw.partition(b"\n")
    if head != _head(body):
        return {}
    lines = body.decode("utf-8", "surrogateescape").split("\n")[:-1]
    return {name: old for old, _, name in (line.partition("\t") for line in lines)}


def _remember(
    memory: Path | None,
    names: Sequence[str],
    found: Sequence[Hashed | None],
    stamps: Sequence[str],
) -> None:
    if memory is None:
        return
    rows = [
        f"{item.sha256} {stamp}\t{name}\n"
        for name, item, stamp in zip(names, found, stamps, strict=True)
        if item is not None and stamp and "\n" not in name
    ]
    body = "".join(rows).encode("utf-8", "surrogateescape")
    # Two experiments may write at once, so each has a name of its own.
    temporary = memory.with_name(f".{memory.name}.{os.getpid()}.part")
    with suppress(OSError):
        memory.parent.mkdir(parents=True, exist_ok=True)
        for stray in memory.parent.glob(f".{memory.name}.*.part"):  # of killed processes
            if time.time() - stray.stat().st_mtime > 3600:
                stray.unlink()
        try:
            temporary.write_bytes(_head(body) + b"\n" + body)
            temporary.replace(memory)
        finally:
            temporary.unlink(missing_ok=True)


def _head(body: bytes) -> bytes:
    return f"{FORMAT} {hashlib.sha256(body).hexdigest()}".encode()
