"""Label Studio's JSON export: polygons, rectangles, ellipses and brush strokes."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from fsslib.data.images import MAX_PIXELS, UInt8
from fsslib.datasets.labels.label_set import LabelledImage, LabelSet
from fsslib.datasets.labels.photographs import Photographs
from fsslib.datasets.labels.shapes import (
    Bitmap,
    Ellipse,
    Outline,
    Point,
    Polygons,
    Shape,
    polygon_problem,
)
from fsslib.errors import FsslibError

REMEDY = "export it again as JSON"
KINDS = {
    "polygonlabels": "polygon", "rectanglelabels": "rectangle", "ellipselabels": "ellipse",
    "brushlabels": "brush",
}  # fmt: skip


def is_label_studio(raw: object) -> bool:
    """Whether parsed JSON is Label Studio's: a list of tasks."""
    return (
        isinstance(raw, list)
        and bool(raw)
        and all(isinstance(t, dict) and "data" in t and "annotations" in t for t in raw)
    )


def read_label_studio(files: Mapping[Path, Any], photographs: Photographs) -> LabelSet:
    """Read exports; of several annotations of a task the last that was not cancelled counts.

    Raises:
        FsslibError: a missing photograph or a malformed file.
    """
    found = LabelSet("label-studio", [], [])
    for path, raw in sorted(files.items()):
        try:
            for task in raw:
                image = _task(path, task, photographs, found)
                found.images += [image] if image is not None else []
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise FsslibError(f"{path} is no Label Studio file ({error!r}): {REMEDY}") from None
    found.names = sorted(found.used())
    return found


def _task(
    path: Path, task: Mapping[str, Any], photographs: Photographs, found: LabelSet
) -> LabelledImage | None:
    given = [a for a in task["annotations"] if not a.get("was_cancelled")]
    where = f"task {task.get('id')}"
    if not given:
        found.leave_out("tasks without an annotation", where)
        return None
    named = next(
        (v for v in task["data"].values() if isinstance(v, str) and "." in v.rsplit("/", 1)[-1]), ""
    )
    image = _photograph(named, photographs)
    if image is None:
        raise FsslibError(
            f"{path}: photograph {named!r} of {where} is not in {photographs.root}: add it or "
            "remove the task"
        )
    results = [r for r in given[-1]["result"] if "value" in r]
    first: Mapping[str, Any] = results[0] if results else {}
    height, width = first.get("original_height"), first.get("original_width")
    shapes = [
        shape
        for number, result in enumerate(results, start=1)
        if (shape := _shape(result, f"{where} result {number}", found)) is not None
    ]
    return LabelledImage(image, path, height, width, tuple(shapes))


def _photograph(named: str, photographs: Photographs) -> Path | None:
    """By name, or without the eight characters that an upload puts before it."""
    name = unquote(named.split("?d=")[-1]).rsplit("/", 1)[-1]
    return photographs.find(name) or photographs.find(re.sub(r"^[0-9a-f]{8}-", "", name))


def _shape(raw: Mapping[str, Any], where: str, found: LabelSet) -> Shape | None:
    """A shape, or None where it is left out and counted."""
    kind, value = str(raw.get("type")), raw["value"]
    if kind not in KINDS or not value.get(kind):
        found.leave_out(f"{kind} is no labelled area", where)
        return None
    height, width = int(raw["original_height"]), int(raw["original_width"])
    if min(height, width) < 1 or height * width > MAX_PIXELS:
        raise ValueError(f"{where}: a photograph of {width}x{height} px")
    outline = _outline(KINDS[kind], value, height, width)
    if isinstance(outline, Polygons):
        problem = polygon_problem(outline.rings[0], height, width)
        if problem:
            found.leave_out(problem, where)
            return None
    return Shape(str(value[kind][0]).strip(), outline, where)


def _outline(kind: str, value: Mapping[str, Any], height: int, width: int) -> Outline:
    """Numbers are percent of the photograph's width and height."""
    if kind == "polygon":
        points = [(x / 100 * width, y / 100 * height) for x, y in value["points"]]
        return Polygons((tuple(points),))
    if kind == "brush":
        return Bitmap(decode_brush(value["rle"], height, width))
    left, top = value["x"] / 100 * width, value["y"] / 100 * height
    degrees = float(value.get("rotation", 0))
    if kind == "ellipse":
        radii = value["radiusX"] / 100 * width, value["radiusY"] / 100 * height
        if min(radii) <= 0:
            raise ValueError("an ellipse without a radius")
        return Ellipse((left, top), radii, degrees)
    across, down = value["width"] / 100 * width, value["height"] / 100 * height
    corners = ((0.0, 0.0), (across, 0.0), (across, down), (0.0, down))
    return Polygons((tuple(_turned(left, top, x, y, degrees) for x, y in corners),))


def _turned(left: float, top: float, x: float, y: float, degrees: float) -> Point:
    """A corner of a rectangle that is turned clockwise around its top left corner."""
    turn = math.radians(degrees)
    return (
        left + x * math.cos(turn) - y * math.sin(turn),
        top + x * math.sin(turn) + y * math.cos(turn),
    )


class _Bits:
    """A reader of numbers of any number of bits, the most significant bit first."""

    def __init__(self, values: list[int]) -> None:
        self._bits = np.unpackbits(np.asarray(values, np.uint8))
        self._at = 0

    def take(self, number: int) -> int:
        """The next `number` bits as one number."""
        part = self._bits[self._at : self._at + number]
        if len(part) < number:
            raise ValueError("the brush stroke ends too early")
        self._at += number
        return int("".join(map(str, part.tolist())), 2)


def decode_brush(values: list[int], height: int, width: int) -> UInt8:
    """Label Studio's run-length encoding of a brush stroke: bytes of RGBA pixels.

    The stream holds the number of bytes (32 bits), the size of a byte (5 bits: 8 minus 1) and four
    sizes of run lengths (4 bits each, minus 1). Blocks follow: one bit says whether a single byte
    is repeated, two bits choose the size of the length, which is stored minus 1.

    Returns:
        (height, width) uint8, the alpha channel.

    Raises:
        ValueError: another number of pixels, or a stream that ends too early.
    """
    if len(values) > 8 * height * width + 64:
        raise ValueError("a brush stroke longer than its photograph")
    bits = _Bits(values)
    number, word = bits.take(32), bits.take(5) + 1
    sizes = [bits.take(4) + 1 for _ in range(4)]
    if number != height * width * 4 or word != 8:
        raise ValueError(f"a brush stroke of {number} bytes for {width}x{height} px")
    decoded = np.empty(number, np.uint8)
    done = 0
    while done < number:
        repeated = bits.take(1)
        length = min(bits.take(sizes[bits.take(2)]) + 1, number - done)
        if repeated:
            decoded[done : done + length] = bits.take(8)
        else:
            decoded[done : done + length] = [bits.take(8) for _ in range(length)]
        done += length
    return decoded.reshape(height, width, 4)[..., 3]
