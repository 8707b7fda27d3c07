"""Painting figures on a canvas: pose, pattern, puffy shading, soft shadow, label."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from fsslib.datasets.rendering.colours import Surface
from fsslib.datasets.rendering.curves import Outline
from fsslib.datasets.rendering.patterns import PATTERNS

Float = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Part:
    """One outline of a figure.

    Attributes:
        outline: (n, 2) in object units; a whole figure spans about -1 to 1.
        slot: name of the object's surface that the part has.
        puff: how round the part looks in the shading; 0 is flat.
        alpha: opacity in 0 to 1.
    """

    outline: Outline
    slot: str
    puff: float = 1.0
    alpha: float = 1.0


Figure = list[Part]


@dataclass(frozen=True)
class Pose:
    """Pose of a figure: centre in canvas px, px per object unit, clockwise degrees, mirroring."""

    x: float
    y: float
    scale: float
    degrees: float = 0.0
    flip: bool = False

    def matrix(self) -> npt.NDArray[np.float64]:
        """(2, 2) map from object units to canvas px."""
        a = np.deg2rad(self.degrees)
        rotation = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
        return self.scale * rotation @ np.diag([-1.0 if self.flip else 1.0, 1.0])

    def apply(self, outline: Outline) -> Outline:
        """Map an outline from object units to canvas px."""
        return outline @ self.matrix().T + (self.x, self.y)


@dataclass
class Canvas:
    """A picture that is being painted.

    Attributes:
        rgb: (H, W, 3) float32 in 0 to 1.
        labels: (H, W) uint8 class ids.
        light: unit vector towards the light on the screen (x, y).
        mottle: (H, W) float32 around 1, uneven brightness that applies to all surfaces.
    """

    rgb: Float
    labels: npt.NDArray[np.uint8]
    light: tuple[float, float]
    mottle: Float


Window = tuple[int, int, int, int]


def _window(points: Outline, pad: float, shape: tuple[int, ...]) -> Window | None:
    """Rows and columns that hold `points` plus `pad` px around, or None outside the canvas."""
    (x0, y0), (x1, y1) = points.min(0) - pad, points.max(0) + pad
    top, bottom = max(int(y0), 0), min(int(np.ceil(y1)) + 1, shape[0])
    left, right = max(int(x0), 0), min(int(np.ceil(x1)) + 1, shape[1])
    return (top, bottom, left, right) if top < bottom and left < right else None


def _stencil(outlines: list[Outline], window: Window) -> Image.Image:
    top, bottom, left, right = window
    image = Image.new("L", (right - left, bottom - top))
    pen = ImageDraw.Draw(image)
    for points in outlines:
        pen.polygon([(x - left, y - top) for x, y in points.tolist()], fill=255)
    return image


def _unit(image: Image.Image) -> Float:
    return np.asarray(image, dtype=np.float32) * np.float32(1 / 255)


def _shift(a: Float, dx: int, dy: int) -> Float:
    """Shift a field: a(x + dx, y + dy), zero outside the border."""
    height, width = a.shape
    moved = np.zeros_like(a)
    if abs(dx) < width and abs(dy) < height:
        rows, columns = (
            slice(max(-dy, 0), height - max(dy, 0)),
            slice(max(-dx, 0), width - max(dx, 0)),
        )
        source = a[max(dy, 0) : height + min(dy, 0), max(dx, 0) : width + min(dx, 0)]
        moved[rows, columns] = source
    return moved


def cast_shadow(canvas: Canvas, outlines: list[Outline], size: float) -> None:
    """Darken the canvas beside the outlines, away from the light."""
    reach = 0.09 * size
    window = _window(np.concatenate(outlines), 3 * reach, canvas.labels.shape)
    if window is None:
        return
    top, bottom, left, right = window
    blurred = _unit(_stencil(outlines, window).filter(ImageFilter.GaussianBlur(0.6 * reach)))
    lx, ly = canvas.light
    shadow = _shift(blurred, round(lx * reach), round(ly * reach))
    canvas.rgb[top:bottom, left:right] *= (1 - np.float32(0.42) * shadow)[..., None]


def _shading(stencil: Image.Image, light: tuple[float, float], radius: float, puff: float) -> Float:
    """Brightness of a rounded body: above 1 towards the light, below 1 on the opposite side."""
    height = _unit(stencil.filter(ImageFilter.GaussianBlur(radius)))
    dx, dy = round(light[0] * radius), round(light[1] * radius)
    slope = _shift(height, -dx, -dy) - _shift(height, dx, dy)
    return (
        1 + np.float32(puff) * (np.float32(0.5) * slope - np.float32(0.3) * (1 - height))
    ).astype(np.float32)


def _texture(surface: Surface, pose: Pose, window: Window) -> Float:
    """Colour of the surface in the window, (h, w, 3)."""
    top, bottom, left, right = window
    inverse = np.linalg.inv(pose.matrix()).astype(np.float32)
    x = np.arange(left, right, dtype=np.float32)[None, :] - np.float32(pose.x)
    y = np.arange(top, bottom, dtype=np.float32)[:, None] - np.float32(pose.y)
    u, v = inverse[0, 0] * x + inverse[0, 1] * y, inverse[1, 0] * x + inverse[1, 1] * y
    share = PATTERNS[surface.pattern](u, v, surface.grain)[..., None]
    return surface.first + (surface.second - surface.first) * share


def _paint_part(canvas: Canvas, part: Part, points: Outline, surface: Surface, pose: Pose) -> None:
    window = _window(points, 2, canvas.labels.shape)
    if window is None:
        return
    top, bottom, left, right = window
    stencil = _stencil([points], window)
    thickness = float(np.ptp(points, axis=0).min())
    radius = float(np.clip(0.16 * thickness, 1.5, 12))
    shade = _shading(stencil, canvas.light, radius, part.puff)
    colour = _texture(surface, pose, window)
    colour *= (shade * canvas.mottle[top:bottom, left:right])[..., None]
    cover = (_unit(stencil) * np.float32(part.alpha))[..., None]
    target = canvas.rgb[top:bottom, left:right]
    target += (colour - target) * cover


def paint_figure(
    canvas: Canvas, figure: Figure, surfaces: Mapping[str, Surface], pose: Pose, label: int
) -> None:
    """Paint a figure with its shadow, and write its label where it covers the canvas.

    Args:
        canvas: changed in place.
        figure: parts from back to front.
        surfaces: slot -> surface of the part.
        pose: pose of the figure.
        label: class id, 0 for clutter that counts as background.
    """
    placed = [pose.apply(part.outline) for part in figure]
    cast_shadow(canvas, placed, 2 * pose.scale)
    for part, points in zip(figure, placed, strict=True):
        _paint_part(canvas, part, points, surfaces[part.slot], pose)
    window = _window(np.concatenate(placed), 1, canvas.labels.shape)
    if window is not None:
        top, bottom, left, right = window
        canvas.labels[top:bottom, left:right][_unit(_stencil(placed, window)) > 0.5] = label
