"""What a segmenter is given: photographs and masks as arrays or files, and names of classes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from fsslib.data.images import UInt8, read_image
from fsslib.errors import FsslibError
from fsslib.prediction.support_masks import read_support_mask, support_mask
from fsslib.rectification.index import SearchIndex
from fsslib.rectification.index_reading import open_index

Photograph = UInt8 | str | Path
"""(H, W, 3) uint8 sRGB, or the path of a photograph of any kind and EXIF rotation."""

Mask = npt.NDArray[Any] | str | Path
"""(H, W) integers or booleans, or the path of a lossless mask or an annotation file: JSON of
LabelMe, COCO or Label Studio, or text of YOLO."""


def fitted(image: UInt8, max_side: int | None) -> UInt8:
    """A photograph (H, W, 3), scaled down to a long side of `max_side` px where it is longer."""
    height, width = image.shape[:2]
    if max_side is None or max(height, width) <= max_side:
        return image
    scale = max_side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))


def as_photograph(image: Photograph) -> UInt8:
    """A photograph as (H, W, 3) uint8, read where it is a path.

    Raises:
        FsslibError: it cannot be read, or is an array of another shape or type.
    """
    if isinstance(image, (str, Path)):
        return read_image(Path(image))
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise FsslibError(
            f"photograph of shape {image.shape} and {image.dtype}, expected (H, W, 3) uint8: "
            "convert it to sRGB of 0 to 255"
        )
    return np.ascontiguousarray(image)  # torch takes no flipped view


def as_support(
    image: Photograph, mask: Mask, mask_value: int | None, name: str, label: str | None = None
) -> tuple[UInt8, UInt8]:
    """A photograph and its mask, read and checked.

    Args:
        image: see `Photograph`.
        mask: see `Mask`.
        mask_value: see `support_mask`.
        name: of the mask, for messages.
        label: to take of an annotation file with several.
    """
    values = as_photograph(image)
    if isinstance(mask, (str, Path)) and isinstance(image, (str, Path)):
        return values, read_support_mask(Path(mask), Path(image), mask_value, label)
    if isinstance(mask, (str, Path)):
        raise FsslibError(f"{name} is the file {mask}, its photograph an array: give both alike")
    marked = support_mask(mask, mask_value, name)
    if marked.shape != values.shape[:2]:
        raise FsslibError(
            f"{name} is {marked.shape[1]}x{marked.shape[0]} px, its photograph "
            f"{values.shape[1]}x{values.shape[0]} px: give a mask of its size"
        )
    return values, marked


def listed(given: Any, dimensions: int) -> list[Any]:  # noqa: ANN401 - photographs or masks
    """A list of one or more; one array of `dimensions` is one."""
    one = isinstance(given, (str, Path)) or getattr(given, "ndim", 0) == dimensions
    return [given] if one else list(given)


def check_name(name: str) -> None:
    """Raise `FsslibError` unless a class may be called so."""
    if not name.strip() or not name.isprintable() or name == "background":
        raise FsslibError(f"class name {name!r}: give a printable name other than background")


def known_names(names: Sequence[str]) -> str:
    """The learned classes for a message."""
    return f"learned are {', '.join(names)}" if names else "nothing is"


def open_regions(folder: Path, channels: int) -> SearchIndex:
    """A region index in memory; of as many channels as the encoder."""
    stored = open_index(folder)
    if stored.channels != channels:
        raise FsslibError(
            f"index {folder} has {stored.channels} channels, the encoder {channels}: give the "
            "index of this model"
        )
    return stored.in_memory()
