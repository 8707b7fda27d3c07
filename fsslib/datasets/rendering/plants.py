"""The plant classes: mushroom, cactus, sunflower, pine."""

import numpy as np

from fsslib.datasets.rendering.curves import Rng, box, ellipse, limb, move, polygon, smooth, turn
from fsslib.datasets.rendering.paint import Figure, Part
from fsslib.datasets.rendering.parts import pot


def mushroom(rng: Rng) -> Figure:
    """Domed cap on a thick stem."""
    w, h, stem = rng.uniform(0.68, 0.92), rng.uniform(0.6, 0.95), rng.uniform(0.17, 0.28)
    lean = rng.uniform(-0.12, 0.12)
    cap = np.concatenate(
        [
            smooth(
                [
                    (-w, 0.05),
                    (-0.85 * w, -0.4 * h),
                    (-0.35 * w, -h),
                    (0.35 * w, -h),
                    (0.85 * w, -0.4 * h),
                    (w, 0.05),
                ],
                8,
                closed=False,
            ),
            smooth([(0.7 * w, 0.2), (0, 0.14), (-0.7 * w, 0.2)], 6, closed=False),
        ]
    )
    return [
        Part(
            smooth(
                [
                    (-stem + lean, 0.0),
                    (stem + lean, 0.0),
                    (1.15 * stem, 0.5),
                    (1.5 * stem, 0.85),
                    (0, 0.94),
                    (-1.5 * stem, 0.85),
                    (-1.15 * stem, 0.5),
                ]
            ),
            "stem",
        ),
        Part(ellipse(lean, 0.12, 0.72 * w, 0.12), "gills", puff=0.5),
        Part(cap, "main", puff=1.3),
        Part(
            smooth(
                [
                    (-1.35 * stem + lean, 0.36),
                    (1.35 * stem + lean, 0.36),
                    (1.5 * stem, 0.5),
                    (0, 0.44),
                    (-1.5 * stem, 0.5),
                ]
            ),
            "stem",
        ),
    ]


def cactus(rng: Rng) -> Figure:
    """Ribbed column with raised arms, with or without a pot."""
    half, top = rng.uniform(0.2, 0.28), rng.uniform(-1.0, -0.75)
    parts: Figure = []
    for side in (-1, 1):
        if rng.random() < 0.85:
            y, out, up = rng.uniform(-0.1, 0.3), rng.uniform(0.45, 0.62), rng.uniform(0.3, 0.65)
            elbow = [
                (0, y),
                (0.75 * side * out, y + 0.02),
                (side * out, y - 0.2),
                (side * out, y - up),
            ]
            parts.append(Part(limb(elbow, 0.13, 0.11), "main"))
    parts.append(Part(box(-half, top, half, 0.75, half), "main", puff=1.3))
    if rng.random() < 0.6:
        parts += [
            Part(ellipse(0.09 * k, top - 0.02, 0.1, 0.09, 40 * k, n=16), "flower")
            for k in (-1, 1, 0)
        ]
    return parts + (
        pot(0.5, 0.98, 0.42) if rng.random() < 0.7 else [Part(ellipse(0, 0.78, 0.42, 0.12), "pot")]
    )


def sunflower(rng: Rng) -> Figure:
    """Large flower with ray petals on a leafy stem."""
    r, petals = rng.uniform(0.52, 0.66), int(rng.integers(10, 19))
    bend, core = rng.uniform(-0.2, 0.2), rng.uniform(0.36, 0.55)
    cy = -0.4
    parts = [Part(limb([(0, cy), (bend, 0.3), (0.3 * bend, 0.98)], 0.055, 0.065), "leaf")]
    for side in (-1, 1):
        y = rng.uniform(0.35, 0.7)
        leaf = turn(
            smooth([(0, 0), (0.25, -0.16), (0.58, 0.0), (0.25, 0.14)]), rng.uniform(-35, 0)
        ) * (side, 1)
        parts.append(Part(move(leaf, 0.8 * bend, y), "leaf"))
    petal = smooth(
        [(0.4 * r, 0), (0.7 * r, -1.9 * r / petals), (r, 0), (0.7 * r, 1.9 * r / petals)], 6
    )
    start = rng.uniform(0, 360)
    parts += [
        Part(move(turn(petal, start + 360 * k / petals), 0, cy), "petal", puff=0.7)
        for k in range(petals)
    ]
    parts.append(Part(ellipse(0, cy, core * r + 0.04, core * r + 0.04), "core", puff=1.2))
    return parts


def pine(rng: Rng) -> Figure:
    """Tiers of hanging boughs on a short trunk."""
    tiers, w = int(rng.integers(3, 6)), rng.uniform(0.58, 0.8)
    parts = [Part(box(-0.1, 0.5, 0.1, 0.98, 0.02), "wood")]
    for k in range(tiers):
        half = w * (1 - 0.72 * k / tiers)
        bottom = 0.72 - 1.35 * k / tiers
        top = bottom - 1.45 / tiers - 0.22
        hem = [
            (x * half, bottom + (0.07 if j % 2 else -0.05))
            for j, x in enumerate(np.linspace(1, -1, 9))
        ]
        parts.append(
            Part(
                np.concatenate([polygon((-0.06, top), (0.06, top)), polygon(*hem)]),
                "main",
                puff=1.1,
            )
        )
    return parts
