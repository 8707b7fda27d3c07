"""Files that are whole or absent: atomic replacement, and HDF5 with a mark that says 'complete'."""

import hashlib
import io
import json
import os
import re
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
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None  # a write names no file
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


HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")
"""Escapes of UTF-16 halves: a pair is a character, one alone a string that no file can hold."""


def read_json(path: Path, remedy: str) -> Any:  # noqa: ANN401 - any JSON value
    """Read a JSON file; a missing or broken one is an `FsslibError` that ends with `remedy`."""
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text)
        if HALF_CHARACTER.search(text):  # rare, so that the check costs nothing
            json.dumps(content, ensure_ascii=False).encode()
        return content
    except FileNotFoundError:
        raise FsslibError(f"{path} does not exist: {remedy}") from None
    except (ValueError, OSError, RecursionError) as error:
        raise FsslibError(f"{path} is not readable JSON ({error}): {remedy}") from None


CHUNK_BYTES = 1 << 26
"""Of an array that is written at once."""


class _Disk(io.FileIO):
    """A new file that keeps the first error of the disk to itself and swallows what follows.

    HDF5 cannot give up a file that it fails to write: on a full disk it printed thousands of lines
    and crashed the process. So it is told that all went well, and `Hdf5Writer` raises the error.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+")
        self.error: OSError | None = None

    def write(self, content: Any) -> int:  # noqa: ANN401 - any buffer
        """Write all of a buffer, or note why not."""
        rest = memoryview(content).cast("B")
        size = len(rest)
        try:
            while self.error is None and len(rest):
                rest = rest[super().write(rest) or 0 :]
        except OSError as error:
            self.error = error
        return size

    def truncate(self, size: int | None = None) -> int:
        """Set the size, or note why not."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0

    def check(self) -> None:
        """Raise what the disk said, with the file's name."""
        if self.error is not None:
            raise OSError(self.error.errno, self.error.strerror, str(self.name)) from None


class Hdf5Writer:
    """An HDF5 file in the making; every call raises `OSError` once the disk has refused a write."""

    def __init__(self, file: h5py.File, disk: _Disk) -> None:
        self._file, self._disk = file, disk

    def put(self, name: str, array: NDArray[Any], rows: int | None = None) -> None:
        """Write a whole array, checksummed unless it is empty.

        Args:
            name: of the dataset.
            array: at least one-dimensional.
            rows: of a chunk, which is what a reader reads at least; by default as many as
                `CHUNK_BYTES` hold (a chunk of HDF5 ends at 4 GB).
        """
        chunks = None
        if array.size:
            rows = rows or max(1, CHUNK_BYTES * len(array) // array.nbytes)
            chunks = (min(rows, len(array)), *array.shape[1:])
        self._file.create_dataset(name, data=array, chunks=chunks, fletcher32=array.size > 0)
        self._disk.check()

    def append(self, name: str, rows: NDArray[Any], chunk: int) -> None:
        """Add rows, at least one, to an array of checksummed chunks of `chunk` rows."""
        if name not in self._file:
            shape = (None, *rows.shape[1:])
            self._file.create_dataset(
                name,
                (0, *rows.shape[1:]),
                rows.dtype,
                maxshape=shape,
                chunks=(chunk, *rows.shape[1:]),
                fletcher32=True,
            )
        data = self._file[name]
        data.resize(len(data) + len(rows), axis=0)
        data[-len(rows) :] = rows
        self._disk.check()

    def text(self, name: str, value: str) -> None:
        """Write a text attribute at fixed length.

        A variable-length string lies in HDF5's global heap, which has no checksum: there a flipped
        bit went unseen or sent the library into an endless loop.
        """
        self._file.attrs[name] = np.bytes_(value.encode())

    def number(self, name: str, value: float) -> None:
        """Write a number as an attribute."""
        self._file.attrs[name] = value


@contextmanager
def create_hdf5(path: Path, kind: str, version: int) -> Iterator[Hdf5Writer]:
    """Create an HDF5 file atomically; the attribute `complete` is written last.

    Args:
        path: final name.
        kind: what the file is, checked by `open_hdf5` (for example `prototypes`).
        version: of the layout; a reader refuses another one.

    Raises:
        OSError: the disk is full or refuses to be written; `path` keeps its former content.
    """
    with atomic_path(path) as temporary, _Disk(temporary) as disk:
        try:
            # A fixed libver: the same content gives the same bytes with every h5py.
            with h5py.File(disk, "w", libver=("v110", "v110"), track_order=False) as file:
                writer = Hdf5Writer(file, disk)
                writer.text("kind", kind)
                writer.number("version", version)
                yield writer
                file.flush()
                file.attrs["complete"] = True
        except Exception:
            disk.check()  # what HDF5 says of data that it cannot read back is only the consequence
            raise
        disk.check()


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


def read_text(file: h5py.File, name: str) -> str:
    """Read a text attribute of fixed or variable length; absent, it is empty."""
    value = file.attrs.get(name, "")
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def read_array(file: h5py.File, name: str, dtype: str, *shape: int | None) -> NDArray[Any]:
    """Read a whole dataset of a known form.

    Args:
        file: opened by `read_hdf5`, which tells what is wrong.
        name: of the dataset.
        dtype: name of the type; floats have to be finite. `bytes` is text of any length.
        shape: expected lengths, None for any.

    Raises:
        ValueError: another type or shape, or a value that is not finite.
    """
    data = require_form(file[name], name, dtype, *shape)
    array: NDArray[Any] = data[:]
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"{name} has values that are not finite")
    return array


def require_form(data: h5py.Dataset, name: str, dtype: str, *shape: int | None) -> h5py.Dataset:
    """The dataset, unread, when it has a type and shape; arguments and errors as `read_array`."""
    found = "bytes" if data.dtype.kind == "S" else data.dtype.name
    lengths = zip(data.shape, shape, strict=False)
    if found != dtype or data.ndim != len(shape) or any(w not in (None, n) for n, w in lengths):
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        raise ValueError(f"{name} is {found} {tuple(data.shape)}, expected {dtype} ({wanted})")
    return data


def read_ids(file: h5py.File, count: int | None = None) -> list[str]:
    """Read the dataset `image_id`; errors as `read_array`."""
    return [raw.decode() for raw in read_array(file, "image_id", "bytes", count)]


def json_digest(content: Any) -> str:  # noqa: ANN401 - any JSON value
    """SHA-256 of a JSON value, whatever its order of keys and white space, hex."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


@contextmanager
def read_hdf5(path: Path, kind: str, version: int, remedy: str) -> Iterator[h5py.File]:
    """Open as `open_hdf5` does, and tell damage met while reading in one line too."""
    with open_hdf5(path, kind, version, remedy) as file, telling_damage(path, remedy):
        yield file


@contextmanager
def telling_damage(path: Path, remedy: str) -> Iterator[None]:
    """Turn what reading damaged or foreign content raises into an `FsslibError`.

    Such are a bad checksum, a missing dataset, and what `read_array` says of another form.
    """
    try:
        yield
    except (OSError, LookupError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise FsslibError(f"{path} is damaged ({reason}): {remedy}") from None
