"""Clutter that counts as background: pebbles, bushes, tufts, frames, balls, beams."""

import numpy as np

from fsslib.datasets.rendering.colours import EARTH, VIVID, Coat, Surface, draw_surface
from fsslib.datasets.rendering.curves import Rng, box, ellipse, limb, lump
from fsslib.datasets.rendering.paint import Figure, Part

ANY = ("plain", "plain", "stripes", "spots", "checker", "wool", "planks", "scales", "bricks")


def pebble(rng: Rng) -> tuple[Figure, Coat]:
    """A stone."""
    coat = Coat(("plain", "spots", "wool"), ("gray", "tan", "brown", "sand"), ("gray", "dark"), 0.3)
    return [Part(lump(rng, 0, 0, 1, rng.uniform(0.5, 0.9)), "main", 1.3)], coat


def bush(rng: Rng) -> tuple[Figure, Coat]:
    """A shrub made of a few round lumps."""
    coat = Coat(
        ("wool", "spots"), ("green", "olive", "teal", "orange"), ("olive", "dark", "yellow"), 0.3
    )
    lumps = rng.uniform(-0.5, 0.5, (3, 2))
    return [Part(lump(rng, x, 0.5 * y, 0.6, 0.5, 0.25), "main") for x, y in lumps.tolist()], coat


def tuft(rng: Rng) -> tuple[Figure, Coat]:
    """Blades of grass or reed."""
    coat = Coat(("plain",), ("green", "olive", "tan", "teal"), ("olive", "brown"))
    parts = []
    for x in np.linspace(-0.6, 0.6, int(rng.integers(4, 9))):
        sway, height = rng.normal(0, 0.35), rng.uniform(0.9, 1.8)
        line = [(0.5 * x, 0.8), (x, 0.8 - 0.5 * height), (x + sway, 0.8 - height)]
        parts.append(Part(limb(line, 0.08, 0.02), "main"))
    return parts, coat


def frame(rng: Rng) -> tuple[Figure, Coat]:
    """A picture, panel or window pane."""
    h = rng.uniform(0.5, 1.1)
    coat = Coat(ANY, (*VIVID, *EARTH), (*VIVID, *EARTH), 0.5)
    return [
        Part(box(-0.8, -h, 0.8, h, 0.03), "edge", 0.6),
        Part(box(-0.65, -h + 0.15, 0.65, h - 0.15), "main", 0.3),
    ], coat


def ball(rng: Rng) -> tuple[Figure, Coat]:
    """A ball or a coin."""
    r = rng.uniform(0.5, 0.9)
    return [Part(ellipse(0, 0, r, r), "main", 1.4)], Coat(
        ANY, (*VIVID, *EARTH), (*VIVID, *EARTH), 0.6
    )


def beam(rng: Rng) -> tuple[Figure, Coat]:
    """A pole, plank or pipe."""
    half = rng.uniform(0.08, 0.25)
    return [Part(box(-half, -1.6, half, 1.6, 0.05), "main")], Coat(
        ANY, EARTH, (*VIVID, *EARTH), 0.3
    )


MAKERS = (pebble, bush, tuft, frame, ball, beam)


def draw_clutter(rng: Rng) -> tuple[Figure, dict[str, Surface]]:
    """Draw one piece of clutter and its surfaces."""
    figure, coat = MAKERS[int(rng.integers(len(MAKERS)))](rng)
    edge = Coat(("plain", "planks"), EARTH, EARTH, 0.2)
    return figure, {"main": draw_surface(rng, coat), "edge": draw_surface(rng, edge)}
