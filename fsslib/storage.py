"""Files that are whole or absent: atomic replacement, and HDF5 with a mark that says 'complete'."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from fsslib.errors import FsslibError


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; on success flush it to disk and rename it into place.

    When the block raises, or the process is killed, `path` keeps its former content.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # A fixed name: what a killed run left behind is overwritten by the next, never collected.
    temporary = path.with_name(f".{path.name}.part")
    try:
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path`, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, content: Any) -> None:  # noqa: ANN401 - any JSON value
    """Write indented JSON that ends in a newline, keys in the order given, NaN refused."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    write_bytes(path, (text + "\n").encode())


def read_json(path: Path, remedy: str) -> Any:  # noqa: ANN401 - any JSON value
    """Read a JSON file; a missing or broken one is an `FsslibError` that ends with `remedy`."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FsslibError(f"{path} does not exist: {remedy}") from None
    except (ValueError, OSError) as error:
        raise FsslibError(f"{path} is not readable JSON ({error}): {remedy}") from None


@contextmanager
def create_hdf5(path: Path, kind: str, version: int) -> Iterator[h5py.File]:
    """Create an HDF5 file atomically; the attribute `complete` is written last.

    Args:
        path: final name.
        kind: what the file is, checked by `open_hdf5` (for example `prototypes`).
        version: of the layout; a reader refuses another one.
    """
    # A fixed libver: the same content gives the same bytes with every h5py.
    with (
        atomic_path(path) as temporary,
        h5py.File(temporary, "w", libver=("v110", "v110"), track_order=False) as file,
    ):
        write_text(file, "kind", kind)
        file.attrs["version"] = version
        yield file
        file.flush()
        file.attrs["complete"] = True


def open_hdf5(path: Path, kind: str, version: int, remedy: str) -> h5py.File:
    """Open one of our HDF5 files for reading.

    Raises:
        FsslibError: missing, not HDF5, truncated, incomplete, another kind or another version;
            the message ends with `remedy` (what to rerun).
    """
    try:
        file = h5py.File(path, "r")
    except FileNotFoundError:
        raise FsslibError(f"{path} does not exist: {remedy}") from None
    except OSError as error:
        raise FsslibError(f"{path} is not a readable HDF5 file ({error}): {remedy}") from None
    try:
        with telling_damage(path, remedy):
            found, number = read_text(file, "kind"), file.attrs.get("version")
            complete = file.attrs.get("complete", False)
        if not complete:
            raise FsslibError(f"{path} is incomplete, its writer was interrupted: {remedy}")
        if found != kind:
            raise FsslibError(f"{path} holds '{found}', expected '{kind}': {remedy}")
        if number != version:
            raise FsslibError(f"{path} has layout {number}, this code reads {version}: {remedy}")
    except BaseException:
        file.close()
        raise
    return file


def write_text(file: h5py.File, name: str, value: str) -> None:
    """Write a text attribute at fixed length.

    A variable-length string lies in HDF5's global heap, which has no checksum: there a flipped bit
    went unseen or sent the library into an endless loop.
    """
    file.attrs[name] = np.bytes_(value.encode())


def read_text(file: h5py.File, name: str) -> str:
    """Read a text attribute of fixed or variable length; absent, it is empty."""
    value = file.attrs.get(name, "")
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


@contextmanager
def read_hdf5(path: Path, kind: str, version: int, remedy: str) -> Iterator[h5py.File]:
    """Open as `open_hdf5` does, and tell damage met while reading in one line too."""
    with open_hdf5(path, kind, version, remedy) as file, telling_damage(path, remedy):
        yield file


@contextmanager
def telling_damage(path: Path, remedy: str) -> Iterator[None]:
    """Turn what h5py raises on a bad checksum or a missing dataset into an `FsslibError`."""
    try:
        yield
    except (OSError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise FsslibError(f"{path} is damaged ({reason}): {remedy}") from None


def put_array(file: h5py.File, name: str, array: NDArray[Any]) -> None:
    """Write a whole array as one checksummed chunk; an empty one has nothing to check."""
    chunks = array.shape if array.size else None
    file.create_dataset(name, data=array, chunks=chunks, fletcher32=array.size > 0)
