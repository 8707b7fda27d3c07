"""Own masks: index or colour files of any lossless kind, as masks of the manifest's kind."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import ImageOps

from fsslib.data.folds import BACKGROUND, IGNORE, MAX_CLASS_ID
from fsslib.data.images import index_values, open_mask, size_and_orientation, turn
from fsslib.datasets.counting import map_in_processes
from fsslib.datasets.sources.building import Progress, encode_mask, is_done, put
from fsslib.datasets.sources.classes_file import BLACK, CREAM, ClassesFile, Color
from fsslib.errors import FsslibError

_INDEX_MODES = ("1", "L", "P", "I", "I;16", "I;16L", "I;16B", "I;16N")

Values = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Pair:
    """A photograph and its mask."""

    id: str
    image: Path
    mask: Path


def read_any_mask(path: Path, by_color: bool) -> Values:
    """Read a mask of any lossless kind.

    Args:
        path: of the mask.
        by_color: whether colours decide; else index modes give their values.

    Returns:
        (H, W) int32: index values of 0 to 255, or colours as `red << 16 | green << 8 | blue`.

    Raises:
        FsslibError: unreadable, lossy, partly transparent, or values above 255.
    """
    with open_mask(path) as image:
        if image.mode in _INDEX_MODES and not by_color:
            if image.mode in ("P", "L"):
                return index_values(image).astype(np.int32)
            values = np.asarray(ImageOps.exif_transpose(image)).astype(np.int32)
            if values.min() < 0 or values.max() > 255:
                raise FsslibError(
                    f"mask {path} holds value {values.max()}, ids go up to {MAX_CLASS_ID}: "
                    "renumber its classes"
                )
            return values
        if image.mode not in ("1", "L", "P", "RGB", "RGBA", "LA", "PA"):
            raise FsslibError(f"mask {path} has mode {image.mode}: save it as index or RGB PNG")
        rgba = np.asarray(ImageOps.exif_transpose(image).convert("RGBA")).astype(np.int32)
        if (rgba[..., 3] != 255).any():
            raise FsslibError(f"mask {path} is partly transparent: save it without alpha")
        return (rgba[..., 0] << 16) | (rgba[..., 1] << 8) | rgba[..., 2]


def is_colored(path: Path) -> bool:
    """Whether a mask is stored as colours instead of index values."""
    with open_mask(path) as image:
        return image.mode not in _INDEX_MODES


def as_int(color: Color) -> int:
    """`red << 16 | green << 8 | blue`."""
    return color[0] << 16 | color[1] << 8 | color[2]


@lru_cache(maxsize=1)
def _lookup(table: tuple[tuple[int, int], ...]) -> npt.NDArray[np.int16]:
    """Array of 2**24 entries: raw value -> mask value, -1 where undefined."""
    lookup = np.full(1 << 24, -1, np.int16)
    for raw, value in table:
        lookup[raw] = value
    return lookup


def _describe(raw: int, by_color: bool) -> str:
    return f"colour #{raw:06x}" if by_color else f"class id {raw}"


@dataclass(frozen=True)
class Job:
    """One mask to convert: its pair and file, raw value -> mask value, and what masks lie on."""

    pair: Pair
    target: Path
    table: tuple[tuple[int, int], ...]
    by_color: bool
    exif: str


def convert(job: Job) -> bool:
    """Write one mask; returns whether its photograph has an EXIF rotation."""
    height, width, orientation = size_and_orientation(job.pair.image)
    source = job.pair.mask
    fresh = is_done(job.target) and job.target.stat().st_mtime_ns >= source.stat().st_mtime_ns
    if fresh:
        return orientation != 1
    raw = read_any_mask(source, job.by_color)
    values = _lookup(job.table)[raw]
    if (values < 0).any():
        row, column = np.argwhere(values < 0)[0]
        what = _describe(int(raw[row, column]), job.by_color)
        raise FsslibError(
            f"mask {source} holds {what} at row {row}, column {column}, which classes.yaml does "
            "not define: name it or correct the mask"
        )
    mask = values.astype(np.uint8)
    if job.exif == "stored":
        mask = turn(mask, orientation)
    if mask.shape != (height, width):
        hint = "replace one of them"
        if mask.shape == (width, height) and orientation >= 5:
            hint = "the photograph has an EXIF rotation, use --exif stored if masks ignore it"
        raise FsslibError(
            f"mask {source} is {mask.shape[1]}x{mask.shape[0]} px, its photograph "
            f"{job.pair.image} {width}x{height} px: {hint}"
        )
    put(job.target, encode_mask(mask))
    return orientation != 1


def _values_of(task: tuple[Path, bool]) -> list[int]:
    raw = read_any_mask(*task)
    return [int(v) for v in np.unique(raw)]


def discover_classes(
    pairs: Sequence[Pair], by_color: bool, processes: int, on_progress: Progress
) -> ClassesFile:
    """Name classes from the masks alone: `class_7` for index 7, `#00ff00` for a colour.

    Black is background; 255 and VOC's cream are ignored.

    Raises:
        FsslibError: more values than classes can be, or masks of 0 and 255 alone.
    """
    seen: set[int] = set()
    tasks = [(pair.mask, by_color) for pair in pairs]
    for done, values in enumerate(map_in_processes(_values_of, tasks, processes), start=1):
        seen.update(values)
        on_progress("masks searched for classes", done, len(tasks))
        if by_color and len(seen) > MAX_CLASS_ID + 2:
            raise FsslibError(
                f"the masks up to {pairs[done - 1].mask} hold more than {MAX_CLASS_ID} colours, "
                "as smoothed edges do: list the classes' colours in --classes"
            )
    if by_color:
        plain = sorted(seen - {as_int(BLACK), as_int(CREAM)})[:MAX_CLASS_ID]
        classes = {i: f"#{raw:06x}" for i, raw in enumerate(plain, start=1)}
        colors: dict[Color, int] = {
            (raw >> 16, raw >> 8 & 255, raw & 255): i for i, raw in enumerate(plain, start=1)
        }
        return ClassesFile(classes, colors | {BLACK: BACKGROUND, CREAM: IGNORE})
    if seen <= {BACKGROUND, IGNORE}:
        raise FsslibError(
            "the masks hold only 0 and 255, background and ignore: give classes ids of 1 to 254"
        )
    return ClassesFile({i: f"class_{i}" for i in sorted(seen - {BACKGROUND, IGNORE})})
