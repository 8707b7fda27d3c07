"""Shapes that people draw, as masks by one rule.

**Coordinates** are continuous: the pixel in row r and column c covers [c, c+1] x [r, r+1].
pycocotools rasterises polygons by the even-odd rule. A pixel belongs to a polygon when its centre
lies inside. What lies outside the photograph is cut off.

**Overlap rule.** Shapes whose outline is unknown (boxes) and crowds lie at the bottom. Above them
lie the other shapes in the order of their area, the largest first, ties in the order of the file.
So a pixel belongs to the smallest shape that covers it. This is the rule of `fss data coco`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fsslib.data.images import UInt8
from fsslib.datasets.sources.coco_masks import render_polygons, render_rle

Inside = npt.NDArray[np.bool_]
Point = tuple[float, float]


@dataclass(frozen=True)
class Polygons:
    """The union of polygons; each is a ring of at least three points (x, y) in px."""

    rings: tuple[tuple[Point, ...], ...]

    def render(self, height: int, width: int) -> Inside:
        """(height, width) bool."""
        flat = [[value for point in ring for value in point] for ring in self.rings]
        return render_polygons(flat, height, width).astype(bool)


@dataclass(frozen=True)
class Ellipse:
    """An ellipse: centre and radii in px, turned clockwise by degrees around its centre."""

    centre: Point
    radii: Point
    degrees: float = 0.0

    def render(self, height: int, width: int) -> Inside:
        """(height, width) bool: pixels whose centre lies inside or on the ellipse."""
        y, x = np.mgrid[:height, :width] + 0.5
        x, y = x - self.centre[0], y - self.centre[1]
        turn = np.deg2rad(self.degrees)
        along = x * np.cos(turn) + y * np.sin(turn)
        across = y * np.cos(turn) - x * np.sin(turn)
        inside: Inside = (along / self.radii[0]) ** 2 + (across / self.radii[1]) ** 2 <= 1
        return inside


@dataclass(frozen=True, eq=False)
class Bitmap:
    """A bitmap (h, w), not 0 inside, whose first pixel lies at row `top` and column `left`."""

    values: UInt8
    top: int = 0
    left: int = 0

    def render(self, height: int, width: int) -> Inside:
        """(height, width) bool; parts outside are cut off."""
        inside = np.zeros((height, width), bool)
        rows, columns = self.values.shape
        first, start = max(0, self.top), max(0, self.left)
        last, end = min(height, self.top + rows), min(width, self.left + columns)
        if last > first and end > start:
            part = self.values[
                first - self.top : last - self.top, start - self.left : end - self.left
            ]
            inside[first:last, start:end] = part != 0
        return inside


@dataclass(frozen=True)
class Runs:
    """COCO's run-length encoding, `{"size": [h, w], "counts": list or text}`."""

    height: int
    width: int
    counts: str | tuple[int, ...]

    def render(self, height: int, width: int) -> Inside:
        """(height, width) bool.

        Raises:
            ValueError: malformed, or of another size.
        """
        counts = self.counts if isinstance(self.counts, str) else list(self.counts)
        raw = {"size": [self.height, self.width], "counts": counts}
        return render_rle(raw, height, width).astype(bool)


Outline = Polygons | Ellipse | Bitmap | Runs


@dataclass(frozen=True)
class Shape:
    """A labelled part of a photograph.

    Attributes:
        label: name of its class.
        outline: where it is.
        where: for messages: which entry of the file.
        below: whether all other shapes lie above it, as for crowds.
        vague: whether the outline is only a box around the object. Its pixels are then ignored.
    """

    label: str
    outline: Outline
    where: str
    below: bool = False
    vague: bool = False


def box(left: float, top: float, right: float, bottom: float) -> Polygons:
    """A rectangle as a polygon, corners in any order."""
    return Polygons((((left, top), (right, top), (right, bottom), (left, bottom)),))


def polygon_problem(points: Sequence[Point], height: int, width: int) -> str | None:
    """Why points are no usable outline in a photograph of that size, or None."""
    if len(points) < 3:
        return f"{len(points)} points enclose no area"
    values = np.asarray(points, np.float64)
    size = np.array([width, height])
    if not np.isfinite(values).all():
        return "a coordinate is no number"
    # Far points make pycocotools walk a line of that many pixels.
    if (values < -size).any() or (values > 2 * size).any():
        return "a point lies far outside the photograph"
    return None


def draw(
    shapes: Sequence[Shape], ids: Mapping[str, int], height: int, width: int, ignore: int
) -> tuple[UInt8, list[str]]:
    """Draw shapes into a mask by the overlap rule of this module.

    Args:
        shapes: of one photograph.
        ids: label -> mask value.
        height: of the mask in px.
        width: of the mask in px.
        ignore: mask value of vague shapes.

    Returns:
        (height, width) uint8, 0 where no shape lies, and `where` of the shapes without a pixel.

    Raises:
        ValueError: a malformed run-length encoding or polygon, named.
    """
    layers, empty = [], []
    for number, shape in enumerate(shapes):
        try:
            inside = shape.outline.render(height, width)
        except ValueError as error:
            raise ValueError(f"{shape.where}: {error}") from None
        area = int(inside.sum())
        if not area:
            empty.append(shape.where)
        value = ignore if shape.vague else ids[shape.label]
        layers.append((not (shape.below or shape.vague), -area, number, value, inside))
    values = np.zeros((height, width), np.uint8)
    for _, _, _, value, inside in sorted(layers, key=lambda layer: layer[:3]):
        values[inside] = value
    return values, empty
