"""Own masks: index or colour files of any lossless kind, as masks of the manifest's kind."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import ImageOps

from fsslib.data.folds import MAX_CLASS_ID
from fsslib.data.images import index_values, open_mask
from fsslib.datasets.sources.classes_file import Color
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
def lookup(table: tuple[tuple[int, int], ...]) -> npt.NDArray[np.int16]:
    """Array of 2**24 entries: raw value -> mask value, -1 where undefined."""
    lookup = np.full(1 << 24, -1, np.int16)
    for raw, value in table:
        lookup[raw] = value
    return lookup
