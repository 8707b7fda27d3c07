"""Outlines of masks as polygons that people can correct.

**Coordinates** are continuous: the pixel in row r and column c covers [c, c+1] x [r, r+1], and its
centre is (c + 0.5, r + 0.5). A pixel belongs to a polygon when its centre lies inside by the
even-odd rule.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from contourpy import FillType, contour_generator
from scipy import ndimage
from shapely import Polygon

from fsslib.datasets.sources.coco_masks import render_polygons

TOLERANCES = (1.0, 0.5, 0.36, 0.0)
"""How far a simplified outline may leave the exact one, px: 0.36 levels steps of one pixel, 0 drops
points on straight lines. The first that keeps the pixels is taken: few points are less work.
"""

KEPT = 0.997
"""Least share of a region's pixels that a simplified outline keeps, those it adds taken off."""

NEAR = 1e-6
"""Rounding of a crossing's place, px."""

Ring = npt.NDArray[np.float64]
Inside = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Region:
    """A connected part of a mask; pixels that share only a corner are not connected.

    Attributes:
        polygon: (N, 2) float64, x and y of its corners in px, the first not repeated. Holes are
            joined to the outer ring by bridges of two edges that coincide.
        box: left, top, width and height of its pixels.
        area: number of its pixels.
    """

    polygon: Ring
    box: tuple[int, int, int, int]
    area: int


def outline_regions(inside: Inside, tolerances: Sequence[float] = TOLERANCES) -> Iterator[Region]:
    """The connected regions of a mask, in the order of their first pixel.

    Args:
        inside: (H, W) bool.
        tolerances: to try, in this order; where none keeps the pixels, or there is none, the
            polygon has exactly the region's pixels.
    """
    labels, _ = ndimage.label(inside)
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        part = labels[rows, columns] == number
        left, top = columns.start, rows.start
        polygon = _outline(part, tolerances) + np.array([left, top])
        height, width = part.shape
        yield Region(polygon, (left, top, width, height), int(part.sum()))


def _outline(part: Inside, tolerances: Sequence[float]) -> Ring:
    """One polygon around a region that touches all sides of its array."""
    exact = _rings(part)
    shape = Polygon(exact[0], exact[1:])
    for tolerance in tolerances:
        simple = shape.simplify(tolerance, preserve_topology=True)
        if simple.is_valid and not simple.is_empty:
            rings = [simple.exterior, *simple.interiors]
            polygon = _without_holes([np.asarray(r.coords)[:-1] for r in rings])
            if _agreement(polygon, part) >= KEPT:
                return polygon
    return _without_holes(exact)


def _rings(part: Inside) -> list[Ring]:
    """Outer ring and holes of a connected region, through the middles between pixels.

    They never leave the image: between the outmost pixels and the zeros around lies its border.
    """
    around = np.pad(part, 1).astype(np.float64)
    generator = contour_generator(z=around, fill_type=FillType.OuterOffset)
    found: Any = generator.filled(0.5, np.inf)
    (points,), (offsets,) = found
    points = points - 0.5  # the zeros are one pixel wide, and centres lie at + 0.5
    return [points[a : b - 1] for a, b in pairwise(offsets)]


def _without_holes(rings: Sequence[Ring]) -> Ring:
    """Join holes to the outer ring, each by a level bridge to the next edge on its left.

    Holes are taken from left to right, so that nothing lies between a hole and the rings that are
    joined already. A bridge is walked to and fro and encloses nothing.
    """
    joined, *holes = rings
    for hole in sorted(holes, key=lambda ring: float(ring[:, 0].min())):
        turned = np.roll(hole, -int(hole[:, 0].argmin()), axis=0)
        edge, x = _edge_on_the_left(joined, *turned[0])
        foot = np.array([[x, turned[0, 1]]])
        joined = np.concatenate(
            [joined[: edge + 1], foot, turned, turned[:1], foot, joined[edge + 1 :]]
        )
    joined = joined.round(2)
    polygon: Ring = joined[(joined != np.roll(joined, 1, axis=0)).any(1)]
    return polygon


def _edge_on_the_left(ring: Ring, x: float, y: float) -> tuple[int, float]:
    """Number of the ring's nearest edge on the left of a point inside, and its x there."""
    after = np.roll(ring, -1, axis=0)
    edges = np.flatnonzero((ring[:, 1] > y) != (after[:, 1] > y))
    (x0, y0), (x1, y1) = ring[edges].T, after[edges].T
    crossed = x0 + (y - y0) * (x1 - x0) / (y1 - y0)
    nearest = int(np.where(crossed <= x + NEAR, crossed, -np.inf).argmax())
    return int(edges[nearest]), float(crossed[nearest])


def _agreement(polygon: Ring, part: Inside) -> float:
    """1 less the pixels that differ, as a share of the region's."""
    drawn = render_polygons([polygon.ravel().tolist()], *part.shape)
    return 1 - float((drawn != part).sum() / part.sum())
