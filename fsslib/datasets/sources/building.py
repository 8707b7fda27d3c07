"""Building a dataset folder that is whole or absent, and goes on where it was interrupted."""

import dataclasses
import io
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from fsslib.data.manifest import Manifest
from fsslib.data.palette import voc_palette
from fsslib.datasets.description import FILE
from fsslib.datasets.layout import count_listed
from fsslib.datasets.scan import load_dataset
from fsslib.errors import FsslibError
from fsslib.files.storage import read_json, write_json

KEY = ".inputs.json"
LOCK = ".lock"
PLAN_FILE = ".plan"
"""Where a preparation may keep how it reads values, for the next run after an interruption."""

Progress = Callable[[str, int, int | None], None]
"""Called with what is being done, how many of it are done and of how many, where that is known."""


def silent(what: str, done: int, total: int | None) -> None:
    """Report no progress."""
    del what, done, total


try:
    import fcntl
except ImportError:  # pragma: no cover - Windows has no flock; two runs at once are unguarded
    fcntl = None  # type: ignore[assignment]


def _lock(path: Path, out: Path) -> IO[bytes]:
    stream = path.open("ab")
    if fcntl is not None:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            stream.close()
            raise FsslibError(
                f"{out} is being prepared by another process: wait for it to end"
            ) from None
    return stream


def _claim(out: Path) -> None:
    """Raise unless `out` is free: absent, or an empty folder."""
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise FsslibError(f"--out {out} is not a folder: choose another name")
    if out.is_dir() and any(out.iterdir()):
        what = "holds a dataset already" if (out / FILE).exists() else "is not empty"
        raise FsslibError(f"--out {out} {what}: remove it or choose another name")


def _same_inputs(staging: Path, inputs: Mapping[str, Any]) -> bool:
    try:
        return bool(read_json(staging / KEY, "") == dict(inputs))
    except FsslibError:
        return False


@contextmanager
def staged_folder(out: Path, inputs: Mapping[str, Any]) -> Iterator[Path]:
    """Yield a hidden sibling of `out` to fill; on success it is renamed to `out`.

    When the block raises or the process is killed, the sibling stays: the next call with equal
    `inputs` yields it again with what it holds, one with other inputs starts from nothing.

    Args:
        out: the folder to make; must be absent or empty.
        inputs: whatever decides the content, as JSON values.

    Raises:
        FsslibError: `out` is taken, or another process is preparing it.
    """
    _claim(out)
    staging = out.parent / f".{out.name}.preparing"
    staging.mkdir(parents=True, exist_ok=True)
    with _lock(staging / LOCK, out):
        if not _same_inputs(staging, inputs):
            for child in staging.iterdir():
                if child.name == LOCK:
                    continue
                shutil.rmtree(child) if child.is_dir() else child.unlink()
            write_json(staging / KEY, dict(inputs))
        yield staging
        for name in (KEY, LOCK, PLAN_FILE):
            (staging / name).unlink(missing_ok=True)
        # One flush of the disk instead of one a file, which takes minutes on 120 000 masks.
        if hasattr(os, "sync"):
            os.sync()
        staging.replace(out)


def is_done(path: Path) -> bool:
    """Whether an earlier run finished this file (a power cut can leave an empty one)."""
    return path.is_file() and path.stat().st_size > 0


def put(path: Path, content: bytes) -> None:
    """Write a file of a staged folder: whole or not at all when the process is killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_bytes(content)
    temporary.replace(path)


def put_list(root: Path, split: str, ids: list[str]) -> None:
    """Write `ImageSets/<split>.txt`, sorted."""
    put(root / "ImageSets" / f"{split}.txt", "".join(f"{i}\n" for i in sorted(ids)).encode())


def encode_mask(values: npt.NDArray[np.uint8]) -> bytes:
    """PNG bytes of an (H, W) uint8 index mask, with the VOC palette."""
    image = Image.fromarray(values)
    image.putpalette(list(voc_palette()))
    stream = io.BytesIO()
    image.save(stream, format="PNG")
    return stream.getvalue()


def place(source: Path, target: Path) -> str:
    """Make `target` the photograph at `source` without doubling its bytes where possible.

    Returns:
        How: `hard link`, `symbolic link` (another disk), `copy` (neither is possible), or `kept`.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        return "kept"
    target.unlink(missing_ok=True)  # a symbolic link to nothing
    source = source.resolve()
    try:
        target.hardlink_to(source)
        return "hard link"
    except OSError:
        pass
    try:
        target.symlink_to(source)
        return "symbolic link"
    except OSError:
        put(target, source.read_bytes())
        return "copy"


def fingerprint(path: Path) -> dict[str, Any]:
    """What tells one input from another without reading 2 GB: place, size, time of change."""
    if not path.exists():
        raise FsslibError(f"{path} does not exist: check the path")
    stat = path.stat()
    size = -1 if path.is_dir() else stat.st_size
    return {"path": str(path.resolve()), "size": size, "changed": stat.st_mtime_ns}


def verify(
    staging: Path, out: Path, dataset: str, processes: int, on_progress: Progress
) -> Manifest:
    """Scan a staged folder before it gets its name.

    Returns:
        Its manifest, with `out` as the root.

    Raises:
        FsslibError: a fault in the sources that the preparation could not see before.
    """
    done = 0

    def report(count: int) -> None:
        nonlocal done
        done += count
        on_progress("verified", done, total)

    try:
        total = count_listed(staging)
        manifest = load_dataset(dataset, staging, processes, report)
    except FsslibError as error:
        raise FsslibError(f"{error} (what is made lies in {staging})") from None
    return dataclasses.replace(manifest, root=out)
