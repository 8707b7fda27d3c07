"""Reading the official archives, or the folders unpacked from them, without trusting either."""

import lzma
import os
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from fsslib.errors import FsslibError
from fsslib.files.tar_headers import BoundedTarInfo

MAX_MEMBER_BYTES = 256 * 2**20
"""Of one file that is read; the largest in VOC and SBD is below 2 MB."""

MAX_MEMBERS = 1_000_000
_DAMAGED = (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError, ValueError)


@dataclass(frozen=True)
class Member:
    """One file of an archive or folder.

    Attributes:
        name: POSIX path inside it.
        size: in bytes.
        read: returns the content; of an archive, only until the next member is asked for.
        path: of the file itself, or None in an archive.
    """

    name: str
    size: int
    read: Callable[[], bytes]
    path: Path | None = None


def _points_outside(name: str) -> bool:
    parts = name.replace("\\", "/").split("/")
    return name.startswith(("/", "\\")) or ".." in parts or bool(re.match(r"[A-Za-z]:", name))


def _refuse(source: Path, why: str) -> FsslibError:
    return FsslibError(f"archive {source}: {why}: refused, download the official archive again")


def _check(source: Path, info: tarfile.TarInfo, wanted: bool) -> None:
    """Raise for a member that no official archive has."""
    shown = info.name[:200]
    if _points_outside(info.name):
        raise _refuse(source, f"member {shown!r} points outside the archive")
    if info.issym() or info.islnk():
        # A symbolic link is relative to its folder, a hard link to the archive's root.
        folder = PurePosixPath(info.name).parent.as_posix() if info.issym() else ""
        target = os.path.normpath(f"{folder}/{info.linkname}".lstrip("/"))
        if info.linkname.startswith("/") or target.startswith("..") or wanted:
            raise _refuse(source, f"member {shown!r} is a link to {info.linkname[:200]!r}")
    elif not (info.isreg() or info.isdir()):
        raise _refuse(source, f"member {shown!r} is a device or pipe")
    if wanted and info.isreg() and info.size > MAX_MEMBER_BYTES:
        raise _refuse(source, f"member {shown!r} has {info.size} bytes, above {MAX_MEMBER_BYTES}")


def _tar_members(source: Path, wanted: Callable[[str], bool]) -> Iterator[Member]:
    seen: set[str] = set()
    with tarfile.open(source, "r:*", tarinfo=BoundedTarInfo) as archive:
        for number, info in enumerate(archive):
            # The archive keeps every header it has read; a long one would fill the memory.
            archive.members = []  # type: ignore[attr-defined]
            name = info.name.removeprefix("./")
            wants = wanted(name)
            _check(source, info, wants)
            if number >= MAX_MEMBERS:
                raise _refuse(source, f"more than {MAX_MEMBERS} members")
            if not (wants and info.isreg()):
                continue
            if name in seen:
                raise _refuse(source, f"member {name!r} is there twice")
            seen.add(name)
            yield Member(name, info.size, partial(_content, source, archive, info))


def _content(source: Path, archive: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    try:
        stream = archive.extractfile(info)
        content = stream.read() if stream is not None else b""
        if len(content) != info.size:
            raise EOFError(f"member {info.name!r} is cut off")
    except _DAMAGED as error:
        raise _damaged(source, error) from None
    return content


def _damaged(source: Path, error: Exception) -> FsslibError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return FsslibError(
        f"archive {source} is damaged or cut off ({reason}): download it again, what was read is "
        "kept"
    )


def _folder_members(source: Path, wanted: Callable[[str], bool]) -> Iterator[Member]:
    for folder, folders, names in os.walk(source):
        folders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            relative = path.relative_to(source).as_posix()
            if wanted(relative):
                yield Member(relative, path.stat().st_size, path.read_bytes, path)


def iter_members(source: Path, wanted: Callable[[str], bool]) -> Iterator[Member]:
    """Yield the regular files of a tar archive (plain, gzip, bzip2, xz) or folder.

    Args:
        source: archive or unpacked folder.
        wanted: whether a POSIX path is to be yielded.

    Raises:
        FsslibError: missing, not an archive, truncated, or with members that no official archive
            has: absolute or `..` names, links that leave it or stand for a wanted file, devices,
            doubles, absurd sizes.
    """
    if source.is_dir():
        yield from _folder_members(source, wanted)
        return
    if not source.exists():
        raise FsslibError(f"{source} does not exist: give the archive or its unpacked folder")
    try:
        yield from _tar_members(source, wanted)
    except _DAMAGED as error:
        raise _damaged(source, error) from None
