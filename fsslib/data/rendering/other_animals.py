"""Animals of the pretraining scenes; none is a class of the benchmark."""

import numpy as np

from fsslib.data.rendering.curves import Rng, box, ellipse, limb, move, smooth, star, turn
from fsslib.data.rendering.paint import Figure, Part
from fsslib.data.rendering.parts import eye


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


def starfish(rng: Rng) -> Figure:
    """A fat star."""
    tips = int(rng.integers(5, 8))
    corners = star(0, 0, 0.98, rng.uniform(0.4, 0.6), tips, rng.uniform(0, 72))
    return [Part(smooth([(x, y) for x, y in corners.tolist()], 5), "main", 1.2)]


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
                move(turn(star(0, 0, 0.28, 0.16, 3, 0), 30 * side), side * 0.82, -0.66),
                "second",
                1.2,
            )
        )
        parts += [
            Part(limb([(side * 0.16, -0.2), (side * 0.2, -0.5)], 0.03, 0.05), "second"),
            *eye(side * 0.2, -0.52, 0.07),
        ]
    return [*parts, Part(ellipse(0, 0.06, w, 0.38), "main", 1.3)]
