"""What the demo page does with the user's input: learn classes, find them, and explain."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from fsslib.data.images import UInt8, read_image
from fsslib.datasets.sources.own_masks import is_colored, read_any_mask
from fsslib.errors import FsslibError
from fsslib.pictures.predictions import overlay_jpeg
from fsslib.prediction.segmenter import Segmenter

MOST_QUERIES = 50
"""Maximum number of photographs per search."""


def painted(layers: Sequence[UInt8]) -> UInt8:
    """The painted mask: (H, W) uint8, 1 wherever any layer is not transparent.

    Args:
        layers: arrays (H, W, 4) uint8.

    Raises:
        FsslibError: nothing is painted.
    """
    marked = [layer[..., 3] > 0 for layer in layers]
    if not marked or not np.any(marked):
        raise FsslibError("no mask: paint over the object with the brush, or upload a mask")
    mask: UInt8 = np.any(marked, axis=0).astype(np.uint8)
    return mask


def uploaded(path: Path, photograph: UInt8) -> npt.NDArray[np.generic]:
    """Read a mask (H, W) of integers from a file, and check it against the photograph (H, W, 3).

    Raises:
        FsslibError: the mask cannot be read, or differs from the photograph in size.
    """
    mask = read_any_mask(path, by_color=is_colored(path))
    if mask.shape != photograph.shape[:2]:
        raise FsslibError(
            f"the mask is {mask.shape[1]}x{mask.shape[0]} px, the photograph "
            f"{photograph.shape[1]}x{photograph.shape[0]} px: give a mask of its size"
        )
    return mask


def learn(
    segmenter: Segmenter,
    name: str,
    photograph: UInt8 | None,
    layers: Sequence[UInt8],
    mask: Path | None,
) -> str:
    """Learn a class from a photograph and its uploaded or painted mask.

    Returns:
        What to tell the user.

    Raises:
        FsslibError: the photograph, the name or the mask is missing, or the mask does not fit.
    """
    if photograph is None:
        raise FsslibError("no photograph: drop one that shows the object")
    inside: npt.NDArray[np.generic]
    inside = uploaded(mask, photograph) if mask is not None else painted(layers)
    known = name.strip() in segmenter.names
    segmenter.learn(name.strip(), photograph, inside)
    share = np.count_nonzero(inside) / inside.size
    more = "one photograph more of" if known else "learned"
    return f"{more} **{name.strip()}** ({share:.0%} of the photograph). {known_classes(segmenter)}"


def known_classes(segmenter: Segmenter) -> str:
    """A sentence that lists the learned classes."""
    if not segmenter.names:
        return "Nothing is learned yet."
    return f"Known: {', '.join(segmenter.names)}."


def find(
    segmenter: Segmenter, queries: Sequence[Path], threshold: float | None
) -> tuple[list[tuple[Image.Image, str]], list[str]]:
    """Find the learned classes in photographs.

    Returns:
        Overlays with captions, and a line for each photograph that could not be read.

    Raises:
        FsslibError: there are no photographs or too many, or no class was learned.
    """
    if not queries:
        raise FsslibError("no photograph to search: drop one or several")
    if len(queries) > MOST_QUERIES:
        raise FsslibError(
            f"{len(queries)} photographs, {MOST_QUERIES} at most: use 'fss predict' for a folder"
        )
    segmenter.prototypes()
    pictures: list[tuple[Image.Image, str]] = []
    failed: list[str] = []
    for path in queries:
        try:
            image = read_image(path)
        except FsslibError as error:
            failed.append(str(error).replace(str(path), path.name))
            continue
        found = segmenter.predict(image, threshold)
        told = (
            f"{name} {score:.0%}" if there else f"{name} absent"
            for name, score, there in zip(found.names, found.scores, found.present, strict=True)
        )
        overlay = Image.open(io.BytesIO(overlay_jpeg(image, found)))
        pictures.append((overlay, f"{path.name}: {', '.join(told)}"))
    return pictures, failed
