"""Outlines of masks: drawn again by pycocotools, and by a plain loop, they are the mask."""

import math

import numpy as np
import pytest
from scipy import ndimage

from fsslib.prediction.outlines import KEPT, TOLERANCES, outline_regions
from tests.support.polygons import drawn


def centres_inside(polygon, height, width):
    """Pixels whose centre lies inside by the even-odd rule: a ray to the right, edge by edge."""
    inside = np.zeros((height, width), bool)
    ends = [*polygon[1:], polygon[0]]
    for row in range(height):
        for column in range(width):
            x, y = column + 0.5, row + 0.5
            for (x0, y0), (x1, y1) in zip(polygon, ends, strict=True):
                if (y0 > y) != (y1 > y) and x < x0 + (y - y0) * (x1 - x0) / (y1 - y0):
                    inside[row, column] ^= True
    return inside


def painted(*rows):
    """A mask of text: `#` is inside."""
    return np.array([[pixel == "#" for pixel in row] for row in rows])


def blobs(seed, height=150, width=200, smooth=8.0):
    noise = np.random.default_rng(seed).normal(size=(height, width))
    return ndimage.gaussian_filter(noise, smooth) > 0


def speckles(seed, height=13, width=17):
    generator = np.random.default_rng(seed)
    return generator.random((height, width)) < generator.uniform(0.2, 0.95)


HAND_MADE = {
    "one pixel": painted("...", ".#.", "..."),
    "two pixels": painted("##.", "...", "..."),
    "one pixel is all": painted("#"),
    "the image is full": np.ones((7, 9), bool),
    "a line": painted("#########"),
    "diagonal": painted("#..", ".#.", "..#"),
    "diagonal within a region": painted("###", "#.#", "##.", "#.#"),
    "a hole": painted("#####", "#...#", "#####"),
    "two holes side by side": painted("#######", "#.#.#.#", "#.###.#", "#######"),
    "holes that touch diagonally": painted("#####", "#.###", "##.##", "#####"),
    "a ring around a dot": painted("#####", "#...#", "#.#.#", "#...#", "#####"),
    "on every border": painted(".##.", "#..#", "#..#", ".##."),
    "a comb": painted("#.#.#.#", "#.#.#.#", "#######", "#.#.#.#"),
}


@pytest.mark.parametrize("name", HAND_MADE)
def test_an_exact_outline_is_the_region_by_two_oracles(name):
    check_exact(HAND_MADE[name])


@pytest.mark.parametrize("seed", range(30))
def test_exact_outlines_of_speckles_are_the_regions_by_two_oracles(seed):
    check_exact(speckles(seed))


def check_exact(mask):
    labels, count = ndimage.label(mask)
    for tolerances in ((), (0.0,)):
        found = list(outline_regions(mask, tolerances))
        assert len(found) == count
        for number, region in enumerate(found, start=1):
            assert np.array_equal(drawn(region.polygon, *mask.shape), labels == number)
            assert np.array_equal(centres_inside(region.polygon, *mask.shape), labels == number)


@pytest.mark.parametrize("name", HAND_MADE)
def test_small_regions_keep_every_pixel_when_they_are_simplified(name):
    mask = HAND_MADE[name]
    count = sum(drawn(r.polygon, *mask.shape).astype(int) for r in outline_regions(mask))
    assert np.array_equal(count, mask)  # none is lost and none is in two


@pytest.mark.parametrize("smooth", [1.0, 3.0, 8.0, 20.0])
@pytest.mark.parametrize("seed", range(4))
def test_a_simplified_outline_keeps_the_pixels_with_fewer_points(seed, smooth):
    mask = blobs(seed, smooth=smooth)
    labels, _ = ndimage.label(mask)
    simple, exact = list(outline_regions(mask)), list(outline_regions(mask, ()))
    for number, region in enumerate(simple, start=1):
        inside = labels == number
        assert (drawn(region.polygon, *mask.shape) != inside).sum() <= (1 - KEPT) * inside.sum()
    assert 2 * sum(len(r.polygon) for r in simple) < sum(len(r.polygon) for r in exact)


def test_an_outline_that_loses_too_much_is_not_simplified():
    disc = np.hypot(*(np.mgrid[:41, :41] - 20)) < 18
    (coarse,) = outline_regions(disc, (15.0,))
    (exact,) = outline_regions(disc, ())
    assert np.array_equal(coarse.polygon, exact.polygon)
    (fine,) = outline_regions(disc, (15.0, *TOLERANCES))
    assert 8 < len(fine.polygon) < len(exact.polygon) / 2


def test_a_square_has_its_four_sides():
    """Corners are cut half a pixel from each side: a line through the middles between pixels."""
    mask = np.zeros((12, 15), bool)
    mask[3:9, 4:14] = True
    (region,) = outline_regions(mask, (0.0,))
    corners = {(4.5, 3), (13.5, 3), (14, 3.5), (14, 8.5), (13.5, 9), (4.5, 9), (4, 8.5), (4, 3.5)}
    assert {tuple(point) for point in region.polygon.tolist()} == corners
    assert region.box == (4, 3, 10, 6)
    assert region.area == 60


def test_a_hole_is_joined_by_a_bridge_that_is_walked_twice():
    (region,) = outline_regions(HAND_MADE["a hole"], ())
    points = [tuple(point) for point in region.polygon.tolist()]
    edges = list(zip(points, [*points[1:], points[0]], strict=True))
    both_ways = [edge for edge in edges if edge[::-1] in edges]
    assert sorted(both_ways) == [((0.0, 1.5), (1.0, 1.5)), ((1.0, 1.5), (0.0, 1.5))]
    assert region.area == 12


@pytest.mark.parametrize("seed", range(4))
def test_bridges_cross_nothing(seed):
    """No two edges cross in their inner points, bridges of holes in a row included."""
    mask = blobs(seed, 60, 80, 2.0) | (blobs(seed + 9, 60, 80, 6.0))
    for tolerances in ((), TOLERANCES):
        for region in outline_regions(mask, tolerances):
            assert not crossings(region.polygon)


def crossings(polygon):
    """Pairs of edges of which each has its ends strictly on both sides of the other."""
    start, end = polygon, np.roll(polygon, -1, axis=0)

    def side(a, b, c):
        turn = (b - a)[..., 0] * (c - a)[..., 1] - (b - a)[..., 1] * (c - a)[..., 0]
        return np.where(abs(turn) < 0.05, 0, np.sign(turn))  # corners of bridges are rounded

    a, b, c, d = start[:, None], end[:, None], start[None], end[None]
    cross = (side(a, b, c) * side(a, b, d) < 0) & (side(c, d, a) * side(c, d, b) < 0)
    return np.argwhere(cross).tolist()


def test_coordinates_never_leave_the_image():
    for seed in range(5):
        mask = blobs(seed, 90, 70, 5.0)
        for region in outline_regions(mask):
            assert (region.polygon >= 0).all()
            assert (region.polygon <= (70, 90)).all()


def test_nothing_inside_has_no_outline():
    assert list(outline_regions(np.zeros((5, 6), bool))) == []


def test_area_and_box_are_those_of_the_pixels():
    mask = blobs(3)
    labels, _ = ndimage.label(mask)
    for number, region in enumerate(outline_regions(mask), start=1):
        rows, columns = np.nonzero(labels == number)
        left, top, width, height = region.box
        assert (left, top) == (columns.min(), rows.min())
        assert (left + width - 1, top + height - 1) == (columns.max(), rows.max())
        assert region.area == len(rows)


def test_many_holes_are_joined_in_little_time():
    """A grid of 600 holes in one region: all of them are there."""
    mask = np.ones((200, 300), bool)
    mask[5::10, 5::10] = False
    assert (~mask).sum() == 600
    (region,) = outline_regions(mask)
    lost = (drawn(region.polygon, *mask.shape) != mask).sum()
    assert lost <= math.floor((1 - KEPT) * mask.sum())
