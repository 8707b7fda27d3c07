"""Parts that several figures share."""

from fsslib.datasets.rendering.curves import box, ellipse, polygon
from fsslib.datasets.rendering.paint import Figure, Part


def eye(x: float, y: float, r: float) -> Figure:
    """A round eye with a glint."""
    return [
        Part(ellipse(x, y, r, r, n=16), "dark"),
        Part(ellipse(x + 0.3 * r, y - 0.35 * r, 0.35 * r, 0.35 * r, n=10), "light", puff=0),
    ]


def wheel(x: float, y: float, r: float) -> Figure:
    """Tyre, rim and hub."""
    return [
        Part(ellipse(x, y, r, r), "dark"),
        Part(ellipse(x, y, 0.62 * r, 0.62 * r, n=24), "metal"),
        Part(ellipse(x, y, 0.2 * r, 0.2 * r, n=14), "dark", puff=0.3),
    ]


def pot(top: float, bottom: float, half: float) -> Figure:
    """Flower pot with a rim."""
    return [
        Part(
            polygon((-half, top), (half, top), (0.72 * half, bottom), (-0.72 * half, bottom)),
            "pot",
            puff=1.2,
        ),
        Part(box(-1.12 * half, top - 0.04, 1.12 * half, top + 0.12, 0.03), "pot"),
    ]
