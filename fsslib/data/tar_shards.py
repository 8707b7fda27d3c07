"""Photographs in tar files, read where they lie: pools of a million images are kept like that.

A source such as `pool-{000000..000099}.tar` names plain tar files. Their headers are read once; the
list of photographs is kept in a cache, and each photograph is then read by its offset. Other
members, such as labels of WebDataset, are passed over.
"""

import itertools
import json
import os
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fsslib.data.images import photo_suffixes
from fsslib.errors import FsslibError
from fsslib.files.shards import scratch_key
from fsslib.files.storage import write_bytes
from fsslib.files.tar_headers import BoundedTarInfo

MOST_TARS = 100_000
MOST_MEMBER_BYTES = 256 << 20
"""Of one photograph; its decoded form is limited too (`images.MAX_PIXELS`)."""

_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")


@dataclass(frozen=True)
class TarMember:
    """A photograph in a tar file.

    Attributes:
        archive: the tar file.
        name: its name there.
        offset: first byte of its content.
        size: number of bytes.
    """

    archive: Path
    name: str
    offset: int
    size: int

    @property
    def path(self) -> Path:
        """Its place for messages: the tar file's path and, as if below it, the name."""
        return self.archive / self.name

    def read(self) -> bytes:
        """Read its content.

        Raises:
            FsslibError: the tar file is missing, or shorter than it was.
        """
        try:
            with self.archive.open("rb") as stream:
                stream.seek(self.offset)
                content = stream.read(self.size)
        except OSError as error:
            raise FsslibError(
                f"image {self.path} cannot be read ({error.strerror}): put {self.archive.name} back"
            ) from None
        if len(content) < self.size:
            raise FsslibError(f"image {self.path} is cut off: copy {self.archive.name} again")
        return content


def names_tars(source: str) -> bool:
    """Whether a source names tar files, by its ending."""
    return source.endswith(".tar")


def expand_braces(pattern: str) -> list[str]:
    """Expand `{000..099}` and `{a,b}` in a name, as shells do; braces do not nest.

    Raises:
        FsslibError: braces that mean nothing, or too many names.
    """
    parts = _BRACES.split(pattern)
    if any(c in text for text in parts[::2] for c in "{}"):
        raise FsslibError(f"unlabeled: {pattern!r} has a brace without its partner: remove it")
    choices = [_choices(p, pattern) if i % 2 else [p] for i, p in enumerate(parts)]
    count = 1
    for choice in choices:
        count *= len(choice)
    if count > MOST_TARS:
        raise FsslibError(f"unlabeled: {pattern!r} names {count} files, at most {MOST_TARS} can be")
    return ["".join(words) for words in itertools.product(*choices)]


def _choices(inside: str, pattern: str) -> list[str]:
    numbers = _RANGE.fullmatch(inside)
    if numbers:
        first, last = int(numbers[1]), int(numbers[2])
        if first <= last < first + 10 * MOST_TARS:
            padded = len(numbers[1]) if numbers[1].startswith("0") else 1
            return [f"{n:0{padded}d}" for n in range(first, last + 1)]
    elif "," in inside:
        return inside.split(",")
    raise FsslibError(
        f"unlabeled: {{{inside}}} in {pattern!r} is neither a range such as {{000..099}} nor a "
        "list such as {a,b}: change it"
    )


def tar_files(source: str, base_dir: Path) -> list[Path]:
    """Paths of the tar files of a source.

    Raises:
        FsslibError: one does not exist, or braces that mean nothing.
    """
    archives = [base_dir / name for name in expand_braces(source)]
    missing = [path for path in archives if not path.is_file()]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise FsslibError(f"unlabeled: {missing[0]} does not exist{more}: correct {source!r}")
    return archives


def list_tars(source: str, base_dir: Path, cache: Path | None) -> list[tuple[str, TarMember]]:
    """List the photographs of tar files.

    Args:
        source: path of one tar file or, with braces, of several.
        base_dir: folder that a relative path is relative to.
        cache: folder where the list of each tar file is kept, with its size and time; or None.

    Returns:
        Name below the folder that holds all tar files, unique, and the member; by tar file and
        position.

    Raises:
        FsslibError: a tar file is missing, compressed, damaged or hostile, or none holds an image.
    """
    archives = tar_files(source, base_dir)
    shared = os.path.commonpath([path.parent for path in archives])
    found = []
    for path in archives:
        prefix = path.relative_to(shared).as_posix()
        found += [(f"{prefix}/{m.name}", m) for m in _members(path, cache)]
    if not found:
        kinds = ", ".join(photo_suffixes())
        raise FsslibError(f"unlabeled: {source!r} holds no image ({kinds}): name another source")
    return found


def _members(path: Path, cache: Path | None) -> list[TarMember]:
    """Members of one tar file, from the cache if the file is as it was."""
    now = path.stat()
    key = scratch_key(str(path.resolve()), now.st_size, now.st_mtime_ns, photo_suffixes())
    kept = None if cache is None else cache / f"tar-{key}.json"
    rows: list[tuple[str, int, int]]
    if kept is not None and kept.exists():
        try:
            rows = [(str(n), int(o), int(s)) for n, o, s in json.loads(kept.read_text("utf-8"))]
            return [TarMember(path, *row) for row in rows]
        except (OSError, ValueError, TypeError):
            pass  # it is made again
    members = list(_scan(path, now.st_size))
    if kept is not None:
        rows = [(m.name, m.offset, m.size) for m in members]
        write_bytes(kept, json.dumps(rows).encode())
    return members


def _scan(path: Path, length: int) -> Iterator[TarMember]:
    """Read the headers of a tar file; yield its photographs."""
    seen: set[str] = set()
    suffixes = photo_suffixes()
    try:
        with tarfile.open(path, "r:", tarinfo=BoundedTarInfo) as archive:
            for info in archive:
                archive.members = []  # type: ignore[attr-defined]  # else it keeps every header
                _refuse_hostile(path, info)
                name = info.name.removeprefix("./")
                hidden = any(part.startswith(".") for part in name.split("/"))
                if not info.isreg() or hidden or not name.lower().endswith(suffixes):
                    continue
                if name in seen:
                    raise _refused(path, f"{name!r} is there twice", "pack it again")
                if info.offset_data + info.size > length:
                    raise tarfile.ReadError("unexpected end of data")
                seen.add(name)
                yield TarMember(path, name, info.offset_data, info.size)
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        with path.open("rb") as stream:
            packed = stream.read(6).startswith(_COMPRESSED)
        if packed:
            raise _refused(path, "it is compressed", "unpack it to a plain tar file") from None
        reason = " ".join(str(error).split()) or type(error).__name__
        raise _refused(path, f"it is damaged or cut off ({reason})", "copy it again") from None


def _refuse_hostile(path: Path, info: tarfile.TarInfo) -> None:
    """Raise for a member that could lead out of the tar file, or is no plain file or folder."""
    shown = repr(info.name[:200])
    outside = info.name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", info.name)
    if outside or ".." in re.split(r"[/\\]", info.name):
        raise _refused(path, f"{shown} points outside", "pack it again")
    if info.issym() or info.islnk():
        raise _refused(path, f"{shown} is a link", "pack the file itself")
    if not (info.isfile() or info.isdir()) or info.sparse is not None:
        raise _refused(path, f"{shown} is no plain file", "pack it again")
    if not info.name.isprintable():
        raise _refused(path, f"{shown} has a name with control characters", "rename it")
    if info.size > MOST_MEMBER_BYTES:
        limit = f"{info.size} bytes, above {MOST_MEMBER_BYTES}"
        raise _refused(path, f"{shown} has {limit}", "leave it out")


def _refused(path: Path, why: str, remedy: str) -> FsslibError:
    return FsslibError(f"unlabeled: {path}: {why}: {remedy}")
