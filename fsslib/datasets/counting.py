"""Pixel counts of masks, computed by several processes and cached by file content."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from fsslib.data.images import decode_mask, image_size, require_file
from fsslib.errors import FsslibError
from fsslib.files.storage import write_bytes

CACHE_VERSION = 1
SMALL = 400
"""Number of items up to which one process is faster than starting others (0.3 s each)."""

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class MaskCount:
    """Entry of a mask in the manifest: its size in px, and value -> number of pixels."""

    height: int
    width: int
    pixels: Mapping[int, int]


@dataclass(frozen=True)
class Measured:
    """Sizes and counts of one image-mask pair, or one line that names its problem."""

    image_size: tuple[int, int] | None = None
    mask: MaskCount | None = None
    digest: str = ""
    problem: str | None = None


def content_digest(content: bytes) -> str:
    """128-bit hash of a file's content, hex."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def count_values(values: npt.NDArray[np.uint8]) -> MaskCount:
    """Count each value of an (H, W) uint8 mask."""
    height, width = values.shape
    # Pillow's histogram takes a quarter of the time of numpy.bincount on uint8.
    histogram = Image.fromarray(values).histogram()
    return MaskCount(height, width, {v: n for v, n in enumerate(histogram) if n})


def read_bytes(kind: str, path: Path) -> bytes:
    """Read a file; a failure is an `FsslibError` that names the file."""
    require_file(kind, path)
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise FsslibError(f"{kind} {path} does not exist: check data_root") from None
    except OSError as error:
        raise FsslibError(f"{kind} {path} cannot be read ({error}): replace the file") from None


def measure_pair(pair: tuple[Path, Path], known: Mapping[str, MaskCount]) -> Measured:
    """Measure a photograph's size and count its mask's values; masks in `known` are not decoded.

    Args:
        pair: paths of photograph and mask.
        known: content digest -> counts.
    """
    image, mask = pair
    try:
        content = read_bytes("mask", mask)
        digest = content_digest(content)
        count = known.get(digest) or count_values(decode_mask(mask, content)[0])
        return Measured(image_size(image), count, digest)
    except FsslibError as error:
        return Measured(problem=str(error))


_shared: Mapping[str, MaskCount] = {}


def _start_worker(known: Mapping[str, MaskCount]) -> None:
    global _shared
    _shared = known


def _measure_in_worker(pair: tuple[Path, Path]) -> Measured:
    return measure_pair(pair, _shared)


def measure_pairs(
    pairs: Sequence[tuple[Path, Path]],
    known: Mapping[str, MaskCount],
    processes: int = 1,
) -> Iterator[Measured]:
    """Yield `measure_pair` of every pair in order, computed by `processes` processes."""
    if processes <= 1 or len(pairs) <= SMALL:
        yield from (measure_pair(pair, known) for pair in pairs)
        return
    with worker_pool(processes, _start_worker, (known,)) as pool:
        yield from pool.map(_measure_in_worker, pairs, chunksize=64)


@contextmanager
def worker_pool(
    processes: int,
    initializer: Callable[..., None] | None = None,
    initargs: tuple[Any, ...] = (),
) -> Iterator[ProcessPoolExecutor]:
    """Pool of spawned processes, which inherit no threads or handles; an error stops it at once."""
    context: Any = get_context("spawn")
    pool = ProcessPoolExecutor(processes, context, initializer, initargs)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def map_in_processes(
    function: Callable[[Task], Result], tasks: Sequence[Task], processes: int, chunk: int = 16
) -> Iterator[Result]:
    """Yield `function(task)` in the order of `tasks`; few tasks run in this process."""
    if processes <= 1 or len(tasks) <= SMALL // 10:
        yield from map(function, tasks)
        return
    with worker_pool(processes) as pool:
        yield from pool.map(function, tasks, chunksize=chunk)


def load_cache(path: Path | None) -> dict[str, MaskCount]:
    """Read a cache; a missing, broken or foreign file gives an empty cache."""
    try:
        raw = json.loads(path.read_bytes()) if path is not None else {}
        if not isinstance(raw, dict) or raw.get("version") != CACHE_VERSION:
            return {}
        return {
            digest: MaskCount(int(h), int(w), {int(c): int(n) for c, n in pixels})
            for digest, (h, w, pixels) in raw["masks"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def save_cache(path: Path, counts: Mapping[str, MaskCount]) -> None:
    """Write the cache, one mask per line, in sorted order."""
    rows = ",\n".join(
        f'"{d}": {json.dumps([c.height, c.width, sorted(c.pixels.items())])}'
        for d, c in sorted(counts.items())
    )
    write_bytes(path, f'{{"version": {CACHE_VERSION}, "masks": {{\n{rows}\n}}}}\n'.encode())
