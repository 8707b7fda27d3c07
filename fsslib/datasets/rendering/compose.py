"""Composition of a picture: backdrop, clutter, separated objects, light, blur and noise."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from fsslib.data.folds import IGNORE
from fsslib.datasets.rendering.backdrops import cloudy, draw_backdrop, noise
from fsslib.datasets.rendering.classes import COMMON, Kind
from fsslib.datasets.rendering.clutter import draw_clutter
from fsslib.datasets.rendering.colours import draw_surface
from fsslib.datasets.rendering.curves import Rng
from fsslib.datasets.rendering.paint import Canvas, Float, Pose, paint_figure

OVERSAMPLING = 2
"""Painted px per px of the picture, on each axis."""

UInt8 = npt.NDArray[np.uint8]


def new_canvas(rng: Rng, size: tuple[int, int]) -> Canvas:
    """Make a canvas with a backdrop and a light from above.

    Args:
        rng: random generator.
        size: height and width of the final picture in px; the canvas is larger.
    """
    angle = rng.uniform(0.15, 0.85) * np.pi
    return Canvas(
        rgb=_enlarge(draw_backdrop(rng, size)),
        labels=np.zeros((size[0] * OVERSAMPLING, size[1] * OVERSAMPLING), dtype=np.uint8),
        light=(float(np.cos(angle)), -float(np.sin(angle))),
        mottle=_enlarge(1 + np.float32(0.09) * cloudy(rng, size, 9)),
    )


def _enlarge(field: Float) -> Float:
    """Repeat every px.

    Backdrops need no oversampling and are the slowest part of a picture.
    """
    return field.repeat(OVERSAMPLING, axis=0).repeat(OVERSAMPLING, axis=1).astype(np.float32)


def add_clutter(canvas: Canvas, rng: Rng, pieces: int, span: tuple[float, float]) -> None:
    """Paint clutter at random places; `span` is the range of half size / canvas height."""
    height, width = canvas.labels.shape
    for _ in range(pieces):
        figure, surfaces = draw_clutter(rng)
        scale = rng.uniform(*span) * height
        pose = Pose(
            rng.uniform(0, width), rng.uniform(0.1, 1.05) * height, scale, rng.normal(0, 20)
        )
        paint_figure(canvas, figure, surfaces, pose, 0)


def add_object(canvas: Canvas, rng: Rng, kind: Kind, label: int, pose: Pose) -> None:
    """Paint one object of a class."""
    figure = kind.figure(rng)
    surfaces = {}
    for slot in dict.fromkeys(part.slot for part in figure):
        surfaces[slot] = draw_surface(rng, kind.coats[slot] if slot in kind.coats else COMMON[slot])
    paint_figure(canvas, figure, surfaces, pose, label)


def place(rng: Rng, taken: Sequence[Pose], scale: float, size: tuple[int, int]) -> Pose:
    """Choose the one of eight random places that is farthest from the places already taken."""
    height, width = size
    margin = 0.55 * scale
    best, best_gap = (0.5 * width, 0.5 * height), -np.inf
    for _ in range(8):
        x, y = rng.uniform(margin, width - margin), rng.uniform(margin, height - margin)
        gaps = [np.hypot(x - t.x, y - t.y) / (scale + t.scale) for t in taken]
        gap = min(gaps, default=2.0)
        if gap > best_gap:
            best, best_gap = (float(x), float(y)), gap
    return Pose(*best, scale, float(rng.normal(0, 14)), bool(rng.random() < 0.5))


@dataclass(frozen=True)
class Crowding:
    """Amount of clutter and sizes of objects in a scene.

    Attributes:
        clutter: minimum and maximum number of pieces of clutter behind the objects.
        first: range of the first object's half size as a share of the picture.
        others: range of the other objects' half sizes, likewise.
    """

    clutter: tuple[int, int] = (2, 6)
    first: tuple[float, float] = (0.3, 0.42)
    others: tuple[float, float] = (0.23, 0.34)


def paint_scene(
    rng: Rng,
    size: tuple[int, int],
    kinds: Sequence[Kind],
    ids: Sequence[int],
    crowding: Crowding = Crowding(),
) -> Canvas:
    """Paint a backdrop, clutter and one object per entry of `ids`; the first object is largest.

    Args:
        rng: random generator.
        size: height and width of the final picture in px.
        kinds: the classes; class id 1 is the first.
        ids: class ids of the objects.
        crowding: sizes of objects and amount of clutter.
    """
    canvas = new_canvas(rng, size)
    low, high = crowding.clutter
    add_clutter(canvas, rng, int(rng.integers(low, high + 1)), (0.04, 0.16))
    height, width = canvas.labels.shape
    poses: list[Pose] = []
    spread = rng.uniform(0.9, 1.1) * (1.0 - 0.07 * (len(ids) - 2)) * min(height, width)
    for number in range(len(ids)):
        share = rng.uniform(*(crowding.first if number == 0 else crowding.others))
        scale = float(spread * share * kinds[ids[number] - 1].size)
        poses.append(place(rng, poses, scale, (height, width)))
    for number in np.argsort([pose.y + 0.5 * pose.scale for pose in poses]).tolist():
        add_object(canvas, rng, kinds[ids[number] - 1], ids[number], poses[number])
    if rng.random() < 0.4:
        add_clutter(canvas, rng, 1, (0.04, 0.12))
    return canvas


def develop(canvas: Canvas, rng: Rng) -> UInt8:
    """Apply light, colour cast, blur and noise, and reduce to (H, W, 3) uint8 sRGB."""
    rgb, size = canvas.rgb, canvas.labels.shape
    rgb = (
        rgb
        * (1 + np.float32(rng.uniform(0.05, 0.22)) * noise(rng, (size[0], size[1]), (1, 1)))[
            ..., None
        ]
    )
    cast = rng.normal(1, 0.05, 3) * rng.uniform(0.82, 1.15)
    grey = np.float32(0.5)
    rgb = grey + (rgb * cast.astype(np.float32) - grey) * np.float32(rng.uniform(0.8, 1.12))
    image = Image.fromarray((np.clip(rgb, 0, 1) * 255).astype(np.uint8))
    small = image.resize((size[1] // OVERSAMPLING, size[0] // OVERSAMPLING), Image.Resampling.BOX)
    if rng.random() < 0.25:
        small = small.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 0.8)))
    film = rng.normal(0, rng.uniform(1, 4.5), (*np.asarray(small).shape[:2], 1))
    return np.clip(np.asarray(small) + film, 0, 255).astype(np.uint8)


def index_mask(canvas: Canvas) -> UInt8:
    """Class ids at the picture's size, (H, W) uint8, with a thin line of 255 where two ids meet."""
    height, width = canvas.labels.shape
    padded = np.pad(canvas.labels, 1, mode="edge")
    starts = [(i, j) for i in range(OVERSAMPLING + 1) for j in range(OVERSAMPLING + 1)]
    near = [padded[i:, j:][:height:OVERSAMPLING, :width:OVERSAMPLING] for i, j in starts]
    low, high = np.minimum.reduce(near), np.maximum.reduce(near)
    return np.where(low == high, low, np.uint8(IGNORE)).astype(np.uint8)
