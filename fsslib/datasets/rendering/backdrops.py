"""Backgrounds: landscapes and rooms made of noise, gradients and patterns; they have no class."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from PIL import Image

from fsslib.datasets.rendering.colours import VIVID, Coat, Colour, draw_colour, draw_surface
from fsslib.datasets.rendering.curves import Rng
from fsslib.datasets.rendering.paint import Float
from fsslib.datasets.rendering.patterns import PATTERNS

Size = tuple[int, int]


def noise(rng: Rng, size: Size, cells: tuple[int, int]) -> Float:
    """Smooth random field in about -1 to 1, (H, W); `cells` is the number of bumps on each axis."""
    coarse = rng.uniform(-1, 1, (cells[0] + 1, cells[1] + 1)).astype(np.float32)
    image = Image.fromarray(coarse).resize((size[1], size[0]), Image.Resampling.BICUBIC)
    return np.array(image, dtype=np.float32)


def cloudy(rng: Rng, size: Size, cells: int = 3, stretch: float = 1.0, octaves: int = 3) -> Float:
    """Sum of octaves of `noise`; a `stretch` above 1 stretches it horizontally."""
    total = np.zeros(size, dtype=np.float32)
    for k in range(octaves):
        across = max(1, round(cells * 2**k / stretch))
        total += noise(rng, size, (max(1, cells * 2**k), across)) * np.float32(0.6**k)
    return total


def pick(rng: Rng, *families: str) -> Colour:
    """Draw one colour from one of the families."""
    return draw_colour(rng, families[int(rng.integers(len(families)))])


def _blend(first: Colour, second: Colour, share: Float) -> Float:
    return first + (second - first) * np.clip(share, 0, 1)[..., None]


def _sky(rng: Rng, size: Size) -> Float:
    down = np.linspace(0, 1, size[0], dtype=np.float32)[:, None] * np.ones(size, np.float32)
    rgb = _blend(
        pick(rng, "sky", "sky", "blue", "pink"), pick(rng, "white", "cream", "sky", "pink"), down
    )
    clouds = np.clip(cloudy(rng, size, 2, 2.5) - rng.uniform(0.0, 0.5), 0, 1)[..., None]
    return np.asarray(rgb + (1 - rgb) * 0.8 * clouds, dtype=np.float32)


def _ground(rng: Rng, size: Size, families: tuple[str, ...], cells: int, stretch: float) -> Float:
    grain = cloudy(rng, size, cells, stretch)
    rgb = _blend(pick(rng, *families), pick(rng, *families), 0.5 + 0.5 * cloudy(rng, size, 2))
    return rgb * (1 + np.float32(rng.uniform(0.08, 0.2)) * grain)[..., None]


def _grass(rng: Rng, size: Size) -> Float:
    return _ground(rng, size, ("green", "olive", "green", "tan"), 7, 0.35)


def _sand(rng: Rng, size: Size) -> Float:
    return _ground(rng, size, ("sand", "tan", "cream"), 28, 1.0)


def _water(rng: Rng, size: Size) -> Float:
    return _ground(rng, size, ("blue", "teal", "sky"), 14, 6.0)


def _snow(rng: Rng, size: Size) -> Float:
    return _ground(rng, size, ("white", "sky", "white"), 5, 1.5)


def _leaves(rng: Rng, size: Size) -> Float:
    return _ground(rng, size, ("brown", "orange", "olive", "green"), 22, 1.0)


def patterned(rng: Rng, size: Size, coat: Coat) -> Float:
    """Paint a flat surface seen from the front, for example wallpaper, bricks or floorboards."""
    surface = draw_surface(rng, coat)
    grain = replace(surface.grain, warp=0.12 * surface.grain.warp)
    v = np.linspace(-1, 1, size[0], dtype=np.float32)[:, None] * np.ones(size, np.float32)
    u = np.linspace(-1, 1, size[1], dtype=np.float32)[None, :] * np.ones(size, np.float32)
    share = PATTERNS[surface.pattern](u, v, grain)[..., None]
    return np.asarray(surface.first + (surface.second - surface.first) * share, dtype=np.float32)


WALLS = (
    Coat(("bricks",), ("brown", "orange", "tan", "gray", "white"), ("cream", "gray", "tan"), 0.3),
    Coat(("stripes", "plain"), ("cream", "tan", "sky", "pink", "teal"), ("cream", "white"), 0.3),
    Coat(("plain",), ("cream", "gray", "sky", "teal", "tan", "pink"), ("white",), 1.5, 90),
    Coat(("spots", "checker"), ("cream", "sky", "tan", "gray"), ("white", "cream", "tan"), 0.24),
    Coat(("planks",), ("tan", "brown", "gray", "white"), ("brown", "dark"), 0.26),
)
FLOORS = (
    Coat(("planks",), ("brown", "tan"), ("dark", "brown"), 0.2, 90),
    Coat(("checker",), ("cream", "gray", "white"), ("gray", "tan", "teal", "brown"), 0.3),
    Coat(("wool", "plain"), (*VIVID, "tan", "gray"), ("brown", "gray", "cream"), 0.16),
    Coat(("bricks",), ("gray", "tan", "brown"), ("dark", "gray"), 0.4),
)


def _soften(rgb: Float, rng: Rng) -> Float:
    """Move a patterned surface towards its mean colour, so that objects stand out against it."""
    keep = np.float32(rng.uniform(0.35, 0.85))
    return np.asarray(rgb.mean((0, 1)) + (rgb - rgb.mean((0, 1))) * keep, dtype=np.float32)


def _wall(rng: Rng, size: Size) -> Float:
    return _soften(patterned(rng, size, WALLS[int(rng.integers(len(WALLS)))]), rng)


def _floor(rng: Rng, size: Size) -> Float:
    return _soften(patterned(rng, size, FLOORS[int(rng.integers(len(FLOORS)))]), rng)


def _forest(rng: Rng, size: Size) -> Float:
    rgb = _ground(rng, size, ("green", "olive", "teal"), 9, 1.0)
    trunks = np.clip(noise(rng, (1, size[1]), (1, 14)) - 0.35, 0, 1) * np.float32(1.6)
    return np.asarray(
        rgb + (pick(rng, "brown", "dark", "gray") - rgb) * np.clip(trunks, 0, 1)[..., None],
        dtype=np.float32,
    )


Painter = Callable[[Rng, Size], Float]
PLACES: tuple[tuple[Painter, Painter, float], ...] = (
    (_sky, _grass, 0.1),
    (_sky, _sand, 0.03),
    (_sky, _water, 0.02),
    (_sky, _snow, 0.12),
    (_forest, _leaves, 0.08),
    (_forest, _grass, 0.08),
    (_water, _sand, 0.05),
    (_wall, _floor, 0.0),
    (_wall, _floor, 0.0),
    (_wall, _floor, 0.0),
    (_wall, _grass, 0.03),
    (_wall, _wall, 0.0),
)
"""Painters of the far and the near part, and how uneven the line between them is."""


def draw_backdrop(rng: Rng, size: Size) -> Float:
    """Paint a background, (H, W, 3) float32 in about 0 to 1."""
    far, near, uneven = PLACES[int(rng.integers(len(PLACES)))]
    rgb, front = far(rng, size), near(rng, size)
    horizon = rng.uniform(0.3, 0.75) + uneven * cloudy(rng, (1, size[1]), 2)[0]
    rows = np.linspace(0, 1, size[0], dtype=np.float32)[:, None]
    below = np.clip((rows - horizon[None, :]) * size[0] / 2 + 0.5, 0, 1).astype(np.float32)
    haze = 1 - np.float32(0.25) * np.exp(-np.abs(rows - horizon[None, :]) * 14).astype(np.float32)
    return np.asarray((rgb + (front - rgb) * below[..., None]) * haze[..., None], dtype=np.float32)
