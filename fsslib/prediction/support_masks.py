"""Masks of supports as people have them: painted in any colour, or one value of an index mask."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from fsslib.data.folds import IGNORE
from fsslib.data.images import UInt8, size_and_orientation
from fsslib.datasets.labels.mask_values import GRAY, as_gray, binary_cut, count_values
from fsslib.datasets.labels.single import SUFFIXES, read_support_labels
from fsslib.datasets.sources.own_masks import is_colored, read_any_mask
from fsslib.errors import FsslibError

INSIDE = 1
"""The class in a mask of `support_mask`; background is 0."""


def support_mask(values: npt.ArrayLike, mask_value: int | None, name: str) -> UInt8:
    """A mask of any integers or booleans as 0 background, 1 the class, 255 neither.

    Args:
        values: (H, W).
        mask_value: 1 to 255, the class; 255 is then neither, other values are background. None
            takes every value but 0 as the class.
        name: of the mask, for messages.

    Raises:
        FsslibError: another shape or type, or no pixel of the class.
    """
    array = np.asarray(values)
    mask: UInt8
    if array.ndim != 2 or array.dtype.kind not in "bui":
        raise FsslibError(
            f"{name} has shape {array.shape} of {array.dtype}, expected (H, W) of integers or "
            "booleans: give one value a pixel"
        )
    if mask_value is None:
        mask = np.where(array != 0, INSIDE, 0).astype(np.uint8)
    else:
        mask = np.where(array == IGNORE, IGNORE, 0).astype(np.uint8)
        mask[array == mask_value] = INSIDE
    if not (mask == INSIDE).any():
        raise FsslibError(f"{name} {_what_is_missing(array, mask_value)}")
    return mask


def _what_is_missing(array: npt.NDArray[np.generic], mask_value: int | None) -> str:
    if mask_value is None:
        return "marks no pixel, all are 0: paint the object in any other value"
    found = ", ".join(str(v) for v in np.unique(array)[:8].tolist())
    return f"holds no pixel of value {mask_value}, it holds {found}: choose one of its values"


def read_support_mask(
    path: Path, photograph: Path, mask_value: int | None, label: str | None = None
) -> UInt8:
    """Read the mask of a photograph; arguments, result and errors as `support_mask`.

    Annotation files (JSON of LabelMe, COCO and Label Studio, text of YOLO) are drawn. A gray mask
    with smoothed edges is cut at half.

    Args:
        path: of the mask or annotation file.
        photograph: that it belongs to.
        mask_value: see `support_mask`; of masks alone.
        label: of an annotation file with several labels, the one to take.

    Raises:
        FsslibError: unreadable, lossy, partly transparent, of another size than its photograph,
            in colours though a value is asked for, or an annotation file of several labels
            without `label` among them.
    """
    if path.suffix.lower() in SUFFIXES:
        labels = read_support_labels(path, photograph)
        if mask_value is not None:
            raise FsslibError(
                f"{path} holds labels, no values: leave the value {mask_value} away and name the "
                f"class ({', '.join(labels.names)})"
            )
        drawn = labels.mask(labels.choose(label), INSIDE)
        if not (drawn == INSIDE).any():
            raise FsslibError(f"{path} labels no pixel of {photograph}: draw its outline again")
        return drawn
    colored = is_colored(path)
    if colored and mask_value is not None:
        raise FsslibError(
            f"mask {path} is stored as colours, value {mask_value} needs an index mask: leave the "
            "value away, then every pixel that is not black is the object"
        )
    values = read_any_mask(path, by_color=colored)
    height, width, orientation = size_and_orientation(photograph)
    if values.shape != (height, width):
        hint = "give the mask of this photograph, at its size"
        if values.shape == (width, height) and orientation >= 5:
            hint = "the photograph has an EXIF rotation, paint the mask as viewers show it"
        raise FsslibError(
            f"mask {path} is {values.shape[1]}x{values.shape[0]} px, its photograph {photograph} "
            f"{width}x{height} px: {hint}"
        )
    if mask_value is None:
        values = (values >= smooth_cut(path)).astype(np.uint8)
    return support_mask(values, mask_value, f"mask {path}")


def smooth_cut(path: Path) -> int:
    """The value from which on a mask shows its object.

    It is half of the brightest value where the edges of a gray mask are smoothed, else 1.
    """
    colored = is_colored(path)
    counts = count_values((path, colored))
    gray = as_gray(counts) if colored else counts
    cut = binary_cut(gray) if gray is not None and len(gray.pixels) > 2 else None
    return 1 if cut is None else cut * (GRAY if colored else 1)


def marked_values(path: Path) -> list[int]:
    """The values but 0 of an index mask, ascending; nothing of other masks and annotations."""
    if path.suffix.lower() in SUFFIXES or is_colored(path) or smooth_cut(path) > 1:
        return []
    return [int(v) for v in np.unique(read_any_mask(path, by_color=False)) if v]
