"""Things of the pretraining scenes; none is a class of the benchmark."""

import numpy as np

from fsslib.data.rendering.curves import (
    Rng,
    box,
    bumpy,
    ellipse,
    limb,
    move,
    polygon,
    profile,
    smooth,
    turn,
)
from fsslib.data.rendering.paint import Figure, Part


def rocket(rng: Rng) -> Figure:
    """Pointed hull, port hole, fins, flame."""
    w = rng.uniform(0.24, 0.36)
    parts = [Part(smooth([(-0.15, 0.5), (0, 1.05), (0.15, 0.5)]), "flame")]
    for side in (-1, 1):
        parts.append(
            Part(
                polygon(
                    (0.7 * w * side, 0.1),
                    (side * (w + 0.3), 0.55),
                    (side * (w + 0.28), 0.78),
                    (0.6 * w * side, 0.5),
                ),
                "second",
            )
        )
    return [
        *parts,
        Part(
            profile([(0, -1.0), (0.6 * w, -0.65), (w, -0.1), (0.75 * w, 0.55), (0, 0.58)]),
            "main",
            1.3,
        ),
        Part(ellipse(0, -0.28, 0.6 * w, 0.6 * w), "trim"),
        Part(ellipse(0, -0.28, 0.42 * w, 0.42 * w), "glass", 0.6),
    ]


def house(rng: Rng) -> Figure:
    """Walls, gable roof, door, two windows."""
    w, eaves = rng.uniform(0.6, 0.8), rng.uniform(-0.3, 0.0)
    return [
        Part(box(0.3 * w, -0.9, 0.52 * w, -0.2), "trim"),
        Part(box(-w, eaves, w, 0.85), "main", 0.5),
        Part(
            polygon((-w - 0.15, eaves + 0.05), (0, -0.95), (w + 0.15, eaves + 0.05)), "second", 0.6
        ),
        Part(box(-0.16, 0.3, 0.16, 0.85, 0.03), "wood"),
        Part(box(-0.8 * w, 0.2, -0.42 * w, 0.5, 0.02), "glass", 0.4),
        Part(box(0.42 * w, 0.2, 0.8 * w, 0.5, 0.02), "glass", 0.4),
    ]


def umbrella(rng: Rng) -> Figure:
    """Scalloped canopy over a hooked stick."""
    w, h = rng.uniform(0.8, 0.98), rng.uniform(0.65, 0.85)
    hem = [(w * x, 0.12 if j % 2 else -0.02) for j, x in enumerate(np.linspace(1, -1, 9).tolist())]
    dome = smooth(
        [(-w, 0), (-0.75 * w, -0.65 * h), (0, -h), (0.75 * w, -0.65 * h), (w, 0)], 8, closed=False
    )
    return [
        Part(limb([(0, -0.8), (0, 0.75), (0.12, 0.92), (0.26, 0.78)], 0.035, 0.035), "wood"),
        Part(np.concatenate([dome, smooth(hem, 4, closed=False)]), "main", 1.2),
    ]


def cup(rng: Rng) -> Figure:
    """A mug with one ring handle."""
    w, taper = rng.uniform(0.45, 0.6), rng.uniform(0.75, 1.0)
    t = np.linspace(-1.9, 1.9, 16)
    ring = np.concatenate(
        [
            np.stack([w * 0.85 + 0.4 * np.cos(t), 0.4 * np.sin(t)], 1),
            np.stack([w * 0.85 + 0.26 * np.cos(t), 0.27 * np.sin(t)], 1)[::-1],
        ]
    )
    return [
        Part(ring, "second"),
        Part(polygon((-w, -0.65), (w, -0.65), (taper * w, 0.7), (-taper * w, 0.7)), "main", 1.3),
        Part(ellipse(0, -0.65, w, 0.13), "trim", 0.5),
    ]


def apple(rng: Rng) -> Figure:
    """A round fruit with stalk and leaf."""
    w, h = rng.uniform(0.65, 0.8), rng.uniform(0.6, 0.8)
    return [
        Part(limb([(0, -0.4), (0.05, -0.75), (0.15, -0.9)], 0.05, 0.04), "wood"),
        Part(smooth([(0.08, -0.75), (0.4, -0.98), (0.62, -0.8), (0.35, -0.68)]), "leaf"),
        Part(
            smooth(
                [
                    (0, -0.75 * h),
                    (0.55 * w, -h),
                    (w, -0.3),
                    (0.75 * w, 0.6 * h),
                    (0.3 * w, h),
                    (0, 0.9 * h),
                    (-0.3 * w, h),
                    (-0.75 * w, 0.6 * h),
                    (-w, -0.3),
                    (-0.55 * w, -h),
                ]
            ),
            "main",
            1.5,
        ),
    ]


def icecream(rng: Rng) -> Figure:
    """Scoops on a cone."""
    w = rng.uniform(0.36, 0.46)
    parts = [Part(polygon((-w, 0.0), (w, 0.0), (0, 1.0)), "cone", 0.9)]
    for k in range(int(rng.integers(1, 4))):
        slot = "main" if k % 2 == 0 else "second"
        parts.append(
            Part(
                bumpy(0.06 * (-1) ** k, -0.1 - 0.36 * k, w + 0.04 - 0.05 * k, 0.33, 9, 0.1),
                slot,
                1.2,
            )
        )
    return parts


def hat(rng: Rng) -> Figure:
    """A tall crown, a band, a wide brim."""
    w, top = rng.uniform(0.45, 0.6), rng.uniform(-0.8, -0.45)
    flare = rng.uniform(0.8, 1.1)
    return [
        Part(ellipse(0, 0.42, 0.98, 0.22), "main"),
        Part(
            smooth(
                [
                    (-w, 0.4),
                    (-flare * w, top),
                    (0, top - 0.08),
                    (flare * w, top),
                    (w, 0.4),
                    (0, 0.5),
                ]
            ),
            "main",
            1.2,
        ),
        Part(polygon((-w, 0.18), (w, 0.18), (w, 0.38), (0, 0.46), (-w, 0.38)), "second", 0.6),
    ]


def guitar(rng: Rng) -> Figure:
    """A waisted body, a hole, a long neck."""
    w = rng.uniform(0.4, 0.5)
    return [
        Part(box(-0.07, -1.0, 0.07, 0.2), "wood"),
        Part(box(-0.12, -1.12, 0.12, -0.86, 0.03), "dark"),
        Part(
            profile(
                [
                    (0.1, -0.12),
                    (0.75 * w, -0.05),
                    (0.62 * w, 0.3),
                    (w, 0.65),
                    (0.6 * w, 0.98),
                    (0, 1.02),
                ]
            ),
            "main",
            1.1,
        ),
        Part(ellipse(0, 0.28, 0.14, 0.14, n=20), "dark", 0.3),
        Part(box(-0.2, 0.7, 0.2, 0.77), "trim"),
    ]


def crown(rng: Rng) -> Figure:
    """A jagged band with balls on its tips."""
    tips, deep = int(rng.integers(3, 6)), rng.uniform(0.0, 0.25)
    parts: Figure = []
    edge = []
    for k, x in enumerate(np.linspace(-0.9, 0.9, 2 * tips - 1).tolist()):
        edge.append((x, -0.55 if k % 2 == 0 else deep))
    parts.append(Part(polygon(*edge, (0.75, 0.6), (-0.75, 0.6)), "main", 0.9))
    parts.append(Part(box(-0.8, 0.42, 0.8, 0.66, 0.05), "second"))
    parts += [Part(ellipse(x, y, 0.1, 0.1, n=18), "trim", 1.3) for x, y in edge[::2]]
    return parts


def windmill(rng: Rng) -> Figure:
    """A tower with four turning vanes."""
    spin = rng.uniform(0, 90)
    parts = [
        Part(polygon((-0.24, -0.3), (0.24, -0.3), (0.4, 0.98), (-0.4, 0.98)), "main", 1.2),
        Part(polygon((-0.32, -0.28), (0, -0.62), (0.32, -0.28)), "trim"),
    ]
    vane = box(0.08, -0.02, 0.85, 0.2)
    parts += [Part(move(turn(vane, spin + 90 * k), 0, -0.28), "second", 0.5) for k in range(4)]
    return [*parts, Part(ellipse(0, -0.28, 0.09, 0.09, n=18), "dark")]
