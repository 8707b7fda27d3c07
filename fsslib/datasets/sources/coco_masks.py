"""Semantic masks from COCO's instance annotations, by the rule stated here.

**Overlap rule.** Crowd regions lie at the bottom; above them the instances in the order of their
rendered area, the largest first, ties by ascending annotation id. So a pixel belongs to the
smallest instance that covers it: the knife on the plate stays a knife.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fsslib.data.folds import COCO_CATEGORIES
from fsslib.errors import FsslibError

CLASS_OF = {category: i for i, category in enumerate(COCO_CATEGORIES, start=1)}
"""COCO's category id (1 to 90) -> class id in our masks (1 to 80)."""

Mask = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class CocoImage:
    """One image of an annotation file.

    Attributes:
        split: `train` or `val`.
        name: file name.
        height: in px, as annotated.
        width: in px, as annotated.
        annotations: its entries of `annotations`, as they stand in the file.
    """

    split: str
    name: str
    height: int
    width: int
    annotations: tuple[Mapping[str, Any], ...] = ()

    @property
    def id(self) -> str:
        """File name without suffix."""
        return Path(self.name).stem


def decode_counts(text: str) -> list[int]:
    """Run lengths of a compressed COCO RLE: base-32 digits, differences from the third run on."""
    counts: list[int] = []
    value = shift = 0
    for byte in text.encode("ascii"):
        digit = byte - 48
        if not 0 <= digit < 64:
            raise ValueError(f"byte {byte} is no RLE digit")
        value |= (digit & 31) << shift
        shift += 5
        if shift > 40:
            raise ValueError("an RLE number has too many digits")
        if not digit & 32:
            if digit & 16:
                value -= 1 << shift
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError("the RLE ends inside a number")
    return counts


def render_rle(raw: Mapping[str, Any], height: int, width: int) -> Mask:
    """Render an RLE, compressed or not, as (height, width) uint8, 1 inside.

    Raises:
        ValueError: its lengths do not fit the size.
    """
    counts = raw.get("counts")
    counts = decode_counts(counts) if isinstance(counts, str) else counts
    if list(raw.get("size", [])) != [height, width]:
        raise ValueError(f"RLE size {raw.get('size')} is not the image's {[height, width]}")
    if not isinstance(counts, list) or not all(type(c) is int and c >= 0 for c in counts):
        raise ValueError("RLE counts are not a list of run lengths")
    if sum(counts) != height * width:
        raise ValueError(f"RLE covers {sum(counts)} px of {height * width}")
    return _fill(counts, height, width)


def _fill(counts: Sequence[int], height: int, width: int) -> Mask:
    """Runs of 0, 1, 0, ... down the columns as an (H, W) array."""
    ones = np.arange(len(counts), dtype=np.uint8) % 2
    return np.repeat(ones, counts).reshape(width, height).T


def render_polygons(polygons: Sequence[Any], height: int, width: int) -> Mask:
    """Render the union of flat polygons [x1, y1, ...] as (height, width) uint8, 1 inside.

    Raises:
        ValueError: a polygon without area, or far outside the image.
    """
    from pycocotools import mask as coco

    if not polygons:
        raise ValueError("an empty list of polygons")
    for polygon in polygons:
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
            raise ValueError("a polygon needs an even number of at least 6 coordinates")
        points = np.asarray(polygon, np.float64)
        limits = np.resize([width, height], len(polygon))
        # Far points make pycocotools walk a line of that many pixels.
        if not (np.isfinite(points) & (points >= -limits) & (points <= 2 * limits)).all():
            raise ValueError("a polygon reaches far outside the image")
    parts = coco.frPyObjects([[float(v) for v in p] for p in polygons], height, width)
    # pycocotools' own decode warns on NumPy 2 and is no quicker than this.
    return _fill(decode_counts(coco.merge(parts)["counts"].decode("ascii")), height, width)


def render_annotation(annotation: Mapping[str, Any], height: int, width: int) -> Mask:
    """Pixels of one annotation: the union of its polygon parts, or its RLE.

    Returns:
        (height, width) uint8, 1 inside.

    Raises:
        ValueError: malformed polygons or RLE.
    """
    raw = annotation["segmentation"]
    if isinstance(raw, Mapping):
        return render_rle(raw, height, width)
    if isinstance(raw, list):
        return render_polygons(raw, height, width)
    raise ValueError(f"segmentation is a {type(raw).__name__}")


def render_image(image: CocoImage) -> Mask:
    """Semantic mask of an image by the overlap rule of this module.

    Returns:
        (H, W) uint8, 0 background, 1 to 80.

    Raises:
        FsslibError: a malformed annotation; its id is named.
    """
    layers = []
    for annotation in image.annotations:
        try:
            inside = render_annotation(annotation, image.height, image.width).astype(bool)
            crowd, number = bool(annotation.get("iscrowd", 0)), int(annotation["id"])
            layers.append(
                (not crowd, -int(inside.sum()), number, CLASS_OF[annotation["category_id"]], inside)
            )
        except (ValueError, TypeError, KeyError) as error:
            raise FsslibError(
                f"annotation {annotation.get('id')} of {image.name}: {error}: "
                "download the annotations again"
            ) from None
    values = np.zeros((image.height, image.width), np.uint8)
    for _, _, _, class_id, inside in sorted(layers, key=lambda layer: layer[:3]):
        values[inside] = class_id
    return values
