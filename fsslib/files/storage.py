"""Files that are complete or absent: atomic replacement, and HDF5 with a `complete` mark."""

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
    # The name is fixed, so the next run overwrites what a killed run left, and nothing accumulates.
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
    """Write `content` to `path` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, content: Any) -> None:  # noqa: ANN401 - any JSON value
    """Write indented JSON that ends in a newline; keys keep their order, and NaN is refused."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    write_bytes(path, (text + "\n").encode())


HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")
"""Escape of a UTF-16 surrogate. A pair is a character; a single one cannot be encoded as UTF-8."""


def read_json(path: Path, remedy: str) -> Any:  # noqa: ANN401 - any JSON value
    """Read a JSON file.

    Raises:
        FsslibError: the file is missing or broken; the message ends with `remedy`.
    """
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text)
        if HALF_CHARACTER.search(text):  # rare, so the check costs almost nothing
            json.dumps(content, ensure_ascii=False).encode()
        return content
    except FileNotFoundError:
        raise FsslibError(f"{path} does not exist: {remedy}") from None
    except (ValueError, OSError, RecursionError) as error:
        raise FsslibError(f"{path} is not readable JSON ({error}): {remedy}") from None


CHUNK_BYTES = 1 << 26
"""Target size in bytes of the chunks of an array that is written at once."""


class _Disk(io.FileIO):
    """A new file that stores the first disk error and ignores every later write.

    HDF5 cannot close a file that it failed to write. On a full disk it printed thousands of lines
    and crashed the process. This class therefore reports success to HDF5, and `Hdf5Writer` raises
    the stored error.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+")
        self.error: OSError | None = None

    def write(self, content: Any) -> int:  # noqa: ANN401 - any buffer
        """Write the whole buffer, or store the error."""
        rest = memoryview(content).cast("B")
        size = len(rest)
        try:
            while self.error is None and len(rest):
                rest = rest[super().write(rest) or 0 :]
        except OSError as error:
            self.error = error
        return size

    def truncate(self, size: int | None = None) -> int:
        """Set the file size, or store the error."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0

    def check(self) -> None:
        """Raise the stored error, if any, with the file's name."""
        if self.error is not None:
            raise OSError(self.error.errno, self.error.strerror, str(self.name)) from None


class Hdf5Writer:
    """Writer of a new HDF5 file; `put` and `append` raise `OSError` after a failed write."""

    def __init__(self, file: h5py.File, disk: _Disk) -> None:
        self._file, self._disk = file, disk

    def put(self, name: str, array: NDArray[Any], rows: int | None = None) -> None:
        """Write a whole array, with a checksum unless it is empty.

        Args:
            name: name of the dataset.
            array: array with at least one dimension.
            rows: rows per chunk, the smallest unit that a reader reads. The default is as many rows
                as fit in `CHUNK_BYTES` (HDF5 limits a chunk to 4 GB).
        """
        chunks = None
        if array.size:
            rows = rows or max(1, CHUNK_BYTES * len(array) // array.nbytes)
            chunks = (min(rows, len(array)), *array.shape[1:])
        self._file.create_dataset(name, data=array, chunks=chunks, fletcher32=array.size > 0)
        self._disk.check()

    def append(self, name: str, rows: NDArray[Any], chunk: int) -> None:
        """Append one or more rows to an array with checksummed chunks of `chunk` rows."""
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
        """Write a text attribute of fixed length.

        HDF5 stores variable-length strings in its global heap, which has no checksum. A flipped bit
        there went unnoticed or sent the library into an endless loop.
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
        kind: kind of file, for example `prototypes`; `open_hdf5` checks it.
        version: version of the layout; a reader refuses any other version.

    Raises:
        OSError: the disk is full or refuses a write; `path` keeps its former content.
    """
    with atomic_path(path) as temporary, _Disk(temporary) as disk:
        try:
            # With a fixed libver, the same content gives the same bytes in every version of h5py.
            with h5py.File(disk, "w", libver=("v110", "v110"), track_order=False) as file:
                writer = Hdf5Writer(file, disk)
                writer.text("kind", kind)
                writer.number("version", version)
                yield writer
                file.flush()
                file.attrs["complete"] = True
        except Exception:
            disk.check()  # raises the cause; the HDF5 error is only its consequence
            raise
        disk.check()


def open_hdf5(path: Path, kind: str, version: int, remedy: str) -> h5py.File:
    """Open an HDF5 file of this project for reading.

    Raises:
        FsslibError: the file is missing, not HDF5, truncated, incomplete, or of another kind or
            version. The message ends with `remedy` (what to rerun).
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
    """Read a text attribute of fixed or variable length; a missing one gives an empty string."""
    value = file.attrs.get(name, "")
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def read_array(file: h5py.File, name: str, dtype: str, *shape: int | None) -> NDArray[Any]:
    """Read a whole dataset and check its type and shape.

    Args:
        file: file opened by `read_hdf5`, which turns a `ValueError` into an `FsslibError`.
        name: name of the dataset.
        dtype: name of the expected type; floats must be finite. `bytes` is text of any length.
        shape: expected lengths, None for any length.

    Raises:
        ValueError: the type or shape differs, or a value is not finite.
    """
    data = require_form(file[name], name, dtype, *shape)
    array: NDArray[Any] = data[:]
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"{name} has values that are not finite")
    return array


def require_form(data: h5py.Dataset, name: str, dtype: str, *shape: int | None) -> h5py.Dataset:
    """Check a dataset's type and shape without reading it, and return it.

    Arguments and errors are those of `read_array`.
    """
    found = "bytes" if data.dtype.kind == "S" else data.dtype.name
    lengths = zip(data.shape, shape, strict=False)
    if found != dtype or data.ndim != len(shape) or any(w not in (None, n) for n, w in lengths):
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        raise ValueError(f"{name} is {found} {tuple(data.shape)}, expected {dtype} ({wanted})")
    return data


def read_ids(file: h5py.File, count: int | None = None) -> list[str]:
    """Read the dataset `image_id`; raises as `read_array` does."""
    return [raw.decode() for raw in read_array(file, "image_id", "bytes", count)]


def json_digest(content: Any) -> str:  # noqa: ANN401 - any JSON value
    """SHA-256 of a JSON value in hex; the order of keys and white space do not change it."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


@contextmanager
def read_hdf5(path: Path, kind: str, version: int, remedy: str) -> Iterator[h5py.File]:
    """Open a file as `open_hdf5` does; damage found while reading is an `FsslibError` too."""
    with open_hdf5(path, kind, version, remedy) as file, telling_damage(path, remedy):
        yield file


@contextmanager
def telling_damage(path: Path, remedy: str) -> Iterator[None]:
    """Turn exceptions raised by reading damaged or foreign content into an `FsslibError`.

    Examples are a bad checksum, a missing dataset, and a type or shape that `read_array` refuses.
    """
    try:
        yield
    except (OSError, LookupError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise FsslibError(f"{path} is damaged ({reason}): {remedy}") from None
