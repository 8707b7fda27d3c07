"""LabelMe's JSON: one file a photograph, with polygons, rectangles, circles and masks."""

import base64
import binascii
import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fsslib.data.folds import BACKGROUND, IGNORE
from fsslib.data.images import MAX_PIXELS
from fsslib.datasets.labels.label_set import LabelledImage, LabelSet
from fsslib.datasets.labels.photographs import Photographs
from fsslib.datasets.labels.shapes import (
    Bitmap,
    Ellipse,
    Outline,
    Point,
    Polygons,
    Shape,
    box,
    polygon_problem,
)
from fsslib.errors import FsslibError

FIXED = {"_background_": BACKGROUND, "__ignore__": IGNORE}
"""LabelMe's own names of background and of pixels that do not count."""

AREAS = ("polygon", "rectangle", "circle", "mask")
REMEDY = "save it with LabelMe again"


def is_labelme(raw: object) -> bool:
    """Whether parsed JSON is LabelMe's."""
    return isinstance(raw, dict) and isinstance(raw.get("shapes"), list)


def read_labelme(files: Mapping[Path, Any], photographs: Photographs) -> LabelSet:
    """Read LabelMe files.

    Args:
        files: path -> parsed JSON.
        photographs: to find `imagePath`, else the file's own name, among.

    Raises:
        FsslibError: a photograph is missing, or has two files, or a file is malformed.
    """
    found = LabelSet("labelme", [], [], fixed=dict(FIXED))
    for path, raw in sorted(files.items()):
        found.images.append(_read(path, raw, photographs, found))
    found.names = sorted(found.used())
    return found


def _read(
    path: Path, raw: Mapping[str, Any], photographs: Photographs, found: LabelSet
) -> LabelledImage:
    image = _photograph(path, raw, photographs)
    try:
        height, width = int(raw["imageHeight"]), int(raw["imageWidth"])
        if min(height, width) < 1 or height * width > MAX_PIXELS:
            raise ValueError(f"a photograph of {width}x{height} px")
        shapes = [
            shape
            for number, entry in enumerate(raw["shapes"], start=1)
            if (shape := _shape(entry, number, path, (height, width), found)) is not None
        ]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise FsslibError(f"{path} is no LabelMe file ({error!r}): {REMEDY}") from None
    return LabelledImage(image, path, height, width, tuple(shapes))


def _photograph(path: Path, raw: Mapping[str, Any], photographs: Photographs) -> Path:
    named = str(raw.get("imagePath") or path.name)
    image = photographs.find(named) or photographs.find(path.name, by_stem=True)
    if image is None:
        raise FsslibError(
            f"{path} is of the photograph {named!r}, which is not in {photographs.root}: "
            "add it or remove the file"
        )
    return image


def _shape(
    raw: Mapping[str, Any], number: int, path: Path, size: tuple[int, int], found: LabelSet
) -> Shape | None:
    """A shape, or None where it is left out and counted."""
    label, kind = str(raw["label"]).strip(), str(raw.get("shape_type") or "polygon")
    where = f"{path.name} shape {number} ({label})"
    points: list[Point] = [(float(x), float(y)) for x, y in raw["points"]]
    if not label:
        found.leave_out("no label", where)
    elif kind not in AREAS:
        found.leave_out(f"{kind} has no area", where)
    elif kind == "polygon" and (problem := polygon_problem(points, *size)):
        found.leave_out(problem, where)
    elif kind != "polygon" and (len(points) != 2 or not np.isfinite(points).all()):
        found.leave_out(f"{kind} without two points", where)
    else:
        return Shape(label, _outline(kind, points, raw, where), where)
    return None


def _outline(kind: str, points: list[Point], raw: Mapping[str, Any], where: str) -> Outline:
    if kind == "polygon":
        return Polygons((tuple(points),))
    (x, y), (right, bottom) = points
    if kind == "rectangle":
        return box(x, y, right, bottom)
    if kind == "circle":  # its centre and a point on it
        radius = math.hypot(right - x, bottom - y)
        if not radius:
            raise ValueError(f"{where}: a circle without a radius")
        return Ellipse((x, y), (radius, radius))
    return Bitmap(_bitmap(str(raw["mask"])), round(y), round(x))


def _bitmap(text: str) -> Any:  # noqa: ANN401 - an array
    """LabelMe's mask: a base64 PNG of the box around it."""
    try:
        with Image.open(io.BytesIO(base64.b64decode(text, validate=True))) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError("a mask of too many pixels")
            return np.asarray(image.convert("L"))
    except (binascii.Error, OSError) as error:
        raise ValueError(f"an unreadable mask ({error})") from None


def parse(path: Path) -> Any:  # noqa: ANN401 - any JSON
    """Parsed JSON of a file.

    Raises:
        FsslibError: missing or not JSON.
    """
    try:
        return json.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        raise FsslibError(f"{path} does not exist: check the path") from None
    except (OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:160]
        raise FsslibError(f"{path} is not readable JSON ({reason}): export it again") from None
