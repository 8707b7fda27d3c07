"""Colour families, and the surfaces ('coats') of the classes."""

import colorsys
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fsslib.datasets.rendering.curves import Rng
from fsslib.datasets.rendering.patterns import Grain, draw_grain

Colour = npt.NDArray[np.float32]

FAMILIES: dict[str, tuple[tuple[float, float], tuple[float, float], tuple[float, float]]] = {
    "red": ((-0.04, 0.03), (0.6, 0.9), (0.55, 0.9)),
    "orange": ((0.04, 0.1), (0.6, 0.9), (0.7, 0.98)),
    "yellow": ((0.11, 0.16), (0.5, 0.85), (0.8, 1.0)),
    "green": ((0.24, 0.4), (0.4, 0.75), (0.35, 0.75)),
    "olive": ((0.16, 0.26), (0.35, 0.65), (0.35, 0.65)),
    "teal": ((0.43, 0.54), (0.4, 0.8), (0.4, 0.8)),
    "blue": ((0.55, 0.66), (0.45, 0.8), (0.4, 0.9)),
    "purple": ((0.7, 0.82), (0.3, 0.65), (0.4, 0.85)),
    "pink": ((0.87, 0.97), (0.3, 0.6), (0.75, 0.98)),
    "brown": ((0.04, 0.09), (0.4, 0.7), (0.25, 0.55)),
    "tan": ((0.07, 0.12), (0.25, 0.5), (0.6, 0.88)),
    "cream": ((0.08, 0.16), (0.05, 0.22), (0.85, 1.0)),
    "white": ((0.0, 1.0), (0.0, 0.06), (0.85, 1.0)),
    "gray": ((0.5, 0.7), (0.02, 0.12), (0.35, 0.7)),
    "dark": ((0.0, 1.0), (0.05, 0.35), (0.08, 0.24)),
    "sky": ((0.53, 0.6), (0.15, 0.5), (0.75, 1.0)),
    "sand": ((0.09, 0.13), (0.2, 0.4), (0.75, 0.92)),
}
"""Family -> ranges of hue, saturation and value, each in 0 to 1 (hue wraps)."""

VIVID = ("red", "orange", "yellow", "green", "teal", "blue", "purple", "pink")
EARTH = ("brown", "tan", "cream", "gray", "dark")


def draw_colour(rng: Rng, family: str) -> Colour:
    """Draw an RGB colour in 0 to 1, (3,) float32."""
    hue, saturation, value = (float(rng.uniform(*span)) for span in FAMILIES[family])
    return np.array(colorsys.hsv_to_rgb(hue % 1.0, saturation, value), dtype=np.float32)


@dataclass(frozen=True)
class Coat:
    """Possible looks of a surface; every object gets one pattern and one colour of each side.

    Attributes:
        patterns: names in `PATTERNS`.
        first: families of the first colour.
        second: families of the second colour.
        period: typical length of a repeat in object units.
        degrees: typical direction.
    """

    patterns: tuple[str, ...] = ("plain",)
    first: tuple[str, ...] = VIVID
    second: tuple[str, ...] = EARTH
    period: float = 0.3
    degrees: float = 0.0


@dataclass(frozen=True)
class Surface:
    """One surface drawn from a coat."""

    pattern: str
    first: Colour
    second: Colour
    grain: Grain


def draw_surface(rng: Rng, coat: Coat) -> Surface:
    """Draw the pattern, the colours and the grain of one surface."""
    pattern = coat.patterns[int(rng.integers(len(coat.patterns)))]
    first = draw_colour(rng, coat.first[int(rng.integers(len(coat.first)))])
    second = draw_colour(rng, coat.second[int(rng.integers(len(coat.second)))])
    if pattern == "plain":
        second = 0.55 * first + 0.45 * second
    return Surface(pattern, first, second, draw_grain(rng, coat.period, coat.degrees))
