"""Figures of the pretraining pictures: none of them is a class of the benchmark."""

import numpy as np

from fsslib.data.rendering.creatures import eye
from fsslib.data.rendering.curves import (
    Rng,
    box,
    bumpy,
    ellipse,
    limb,
    polygon,
    profile,
    smooth,
    star,
    turn,
)
from fsslib.data.rendering.paint import Figure, Part


def fish(rng: Rng) -> Figure:
    """Body, forked tail, fins."""
    w, h, fork = rng.uniform(0.6, 0.75), rng.uniform(0.3, 0.5), rng.uniform(0.3, 0.5)
    return [
        Part(
            smooth([(-0.5 * w, 0), (-w - 0.35, -fork), (-w - 0.2, 0), (-w - 0.35, fork)]), "second"
        ),
        Part(smooth([(-0.35, -0.7 * h), (0.0, -h - 0.3), (0.3, -0.8 * h)]), "second", 0.6),
        Part(
            smooth(
                [
                    (-w, 0),
                    (-0.4, -0.75 * h),
                    (0.2, -h),
                    (w, -0.1),
                    (w, 0.12),
                    (0.2, h),
                    (-0.4, 0.75 * h),
                ]
            ),
            "main",
            1.2,
        ),
        Part(smooth([(0.1, 0.1), (-0.25, 0.15), (-0.3, 0.45), (0.0, 0.3)]), "second", 0.7),
        *eye(0.66 * w, -0.15, 0.07),
    ]


def turtle(rng: Rng) -> Figure:
    """Domed shell over flippers and a small head."""
    w, h = rng.uniform(0.6, 0.75), rng.uniform(0.5, 0.7)
    shell = np.concatenate(
        [
            smooth(
                [(-w, 0.25), (-0.8 * w, -0.5 * h), (0, -h), (0.8 * w, -0.5 * h), (w, 0.25)],
                8,
                closed=False,
            )
        ]
    )
    return [
        Part(limb([(-0.5 * w, 0.2), (-0.6 * w, 0.55)], 0.15, 0.13), "second"),
        Part(limb([(0.5 * w, 0.2), (0.6 * w, 0.55)], 0.15, 0.13), "second"),
        Part(limb([(0.8 * w, 0.15), (w + 0.15, 0.0), (w + 0.25, -0.12)], 0.14, 0.17), "second"),
        Part(shell, "main", 1.3),
        Part(box(-1.05 * w, 0.2, 1.05 * w, 0.34, 0.07), "trim"),
        *eye(w + 0.3, -0.16, 0.05),
    ]


def snail(rng: Rng) -> Figure:
    """Coiled shell on a creeping foot."""
    r = rng.uniform(0.48, 0.6)
    parts = [
        Part(limb([(-0.95, 0.68), (0.2, 0.62), (0.75, 0.5), (0.85, 0.05)], 0.08, 0.15, 8), "second")
    ]
    for x in (0.78, 0.95):
        parts.append(Part(limb([(x, 0.0), (x + 0.06, -0.3)], 0.03, 0.05), "second"))
    for k, share in enumerate((1.0, 0.66, 0.36)):
        parts.append(
            Part(
                ellipse(-0.1 + 0.1 * k * r, 0.05 + 0.12 * k * r, share * r, share * r), "main", 1.3
            )
        )
    return parts


def snake(rng: Rng) -> Figure:
    """A winding body with a blunt head."""
    sway = rng.uniform(0.3, 0.5)
    line = [(-0.95, 0.4), (-0.6, -sway), (-0.1, sway), (0.35, -sway), (0.75, 0.1), (0.9, -0.3)]
    return [
        Part(limb(line, 0.06, 0.17, 10), "main", 1.2),
        Part(ellipse(0.92, -0.4, 0.17, 0.22, 25), "main"),
        *eye(0.97, -0.42, 0.05),
    ]


def whale(rng: Rng) -> Figure:
    """Great head, flukes, pale belly."""
    h, lift = rng.uniform(0.4, 0.52), rng.uniform(0.35, 0.6)
    tail = [(-0.75, -lift + 0.15), (-1.05, -lift - 0.25), (-0.8, -lift - 0.1), (-0.55, -lift - 0.3)]
    return [
        Part(smooth(tail), "main"),
        Part(
            smooth(
                [
                    (-0.85, -lift + 0.05),
                    (-0.65, -lift - 0.02),
                    (-0.2, -0.3),
                    (0.4, -h),
                    (0.9, -0.2),
                    (0.9, 0.25),
                    (0.4, h),
                    (-0.4, 0.35),
                ]
            ),
            "main",
            1.2,
        ),
        Part(smooth([(0.9, 0.2), (0.45, 0.95 * h), (-0.25, 0.38), (0.3, 0.25)]), "second", 0.5),
        Part(smooth([(0.2, 0.2), (0.0, 0.62), (-0.15, 0.55), (0.0, 0.2)]), "main"),
        *eye(0.62, 0.0, 0.06),
    ]


def jellyfish(rng: Rng) -> Figure:
    """A bell with trailing arms."""
    w = rng.uniform(0.55, 0.75)
    parts = []
    for x in np.linspace(-0.75 * w, 0.75 * w, int(rng.integers(4, 7))).tolist():
        sway = rng.uniform(-0.2, 0.2)
        parts.append(
            Part(
                limb([(x, -0.1), (x + sway, 0.35), (x - sway, 0.7), (x + sway, 0.98)], 0.07, 0.03),
                "second",
            )
        )
    parts.append(
        Part(
            np.concatenate(
                [
                    smooth(
                        [(-w, 0), (-0.7 * w, -0.6), (0, -0.85), (0.7 * w, -0.6), (w, 0)],
                        8,
                        closed=False,
                    ),
                    smooth([(0.5 * w, 0.1), (0, 0), (-0.5 * w, 0.1)], 6, closed=False),
                ]
            ),
            "main",
            1.3,
        )
    )
    return parts


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


def starfish(rng: Rng) -> Figure:
    """A fat star."""
    tips = int(rng.integers(5, 8))
    corners = star(0, 0, 0.98, rng.uniform(0.4, 0.6), tips, rng.uniform(0, 72))
    return [Part(smooth([(x, y) for x, y in corners.tolist()], 5), "main", 1.2)]


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
    parts += [Part(turn(vane, spin + 90 * k) + (0, -0.28), "second", 0.5) for k in range(4)]
    return [*parts, Part(ellipse(0, -0.28, 0.09, 0.09, n=18), "dark")]


def crab(rng: Rng) -> Figure:
    """A broad shell, claws, bent legs."""
    w = rng.uniform(0.5, 0.62)
    parts: Figure = []
    for side in (-1, 1):
        for k in range(3):
            x = side * (0.55 * w + 0.1 * k)
            parts.append(
                Part(
                    limb(
                        [(x, 0.1), (x + 0.3 * side, 0.15 + 0.1 * k), (x + 0.32 * side, 0.5)],
                        0.06,
                        0.03,
                    ),
                    "second",
                )
            )
        parts.append(
            Part(
                limb(
                    [(side * 0.7 * w, -0.1), (side * 0.92, -0.3), (side * 0.85, -0.55)], 0.08, 0.09
                ),
                "second",
            )
        )
        parts.append(
            Part(
                turn(star(0, 0, 0.28, 0.16, 3, 0), 30 * side) + (side * 0.82, -0.66), "second", 1.2
            )
        )
        parts += [
            Part(limb([(side * 0.16, -0.2), (side * 0.2, -0.5)], 0.03, 0.05), "second"),
            *eye(side * 0.2, -0.52, 0.07),
        ]
    return [*parts, Part(ellipse(0, 0.06, w, 0.38), "main", 1.3)]
