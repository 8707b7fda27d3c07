"""Vehicles, plants and household things of the benchmark, from shared parts."""

import numpy as np

from fsslib.data.rendering.curves import Rng, box, ellipse, limb, polygon, profile, smooth, turn
from fsslib.data.rendering.paint import Figure, Part


def wheel(x: float, y: float, r: float) -> Figure:
    """Tyre, rim and hub."""
    return [
        Part(ellipse(x, y, r, r), "dark"),
        Part(ellipse(x, y, 0.62 * r, 0.62 * r, n=24), "metal"),
        Part(ellipse(x, y, 0.2 * r, 0.2 * r, n=14), "dark", puff=0.3),
    ]


def sailboat(rng: Rng) -> Figure:
    """Hull, mast and two sails."""
    w, h, deep = rng.uniform(0.7, 0.92), rng.uniform(0.95, 1.15), rng.uniform(0.26, 0.36)
    mast, belly = rng.uniform(-0.12, 0.12), rng.uniform(0.02, 0.18)
    parts = [
        Part(box(mast - 0.03, -h - 0.06, mast + 0.03, 0.45, 0.02), "wood"),
        Part(
            polygon((mast, -h - 0.04), (mast + 0.26, -h + 0.03), (mast, -h + 0.1)), "flag", puff=0.3
        ),
        Part(
            np.concatenate(
                [
                    smooth(
                        [(mast + 0.06, -h + 0.14), (mast + 0.42 + belly, -0.25), (0.82 * w, 0.3)],
                        8,
                        closed=False,
                    ),
                    polygon((mast + 0.06, 0.3)),
                ]
            ),
            "sail",
            puff=0.8,
        ),
        Part(
            np.concatenate(
                [
                    smooth(
                        [(mast - 0.06, -h + 0.02), (mast - 0.3 - belly, -0.2), (-0.72 * w, 0.3)],
                        8,
                        closed=False,
                    ),
                    polygon((mast - 0.06, 0.3)),
                ]
            ),
            "second",
            puff=0.8,
        ),
        Part(
            np.concatenate(
                [
                    smooth(
                        [
                            (-w, 0.4),
                            (-0.75 * w, 0.4 + 0.8 * deep),
                            (-0.3 * w, 0.42 + deep),
                            (0.4 * w, 0.42 + deep),
                            (0.85 * w, 0.4 + 0.5 * deep),
                            (1.05 * w, 0.34),
                        ],
                        8,
                        closed=False,
                    )
                ]
            ),
            "main",
        ),
        Part(
            polygon((-w, 0.38), (1.05 * w, 0.32), (1.02 * w, 0.41), (-0.98 * w, 0.47)),
            "trim",
            puff=0.5,
        ),
    ]
    return parts


def car(rng: Rng) -> Figure:
    """Side view: cabin, bonnet, two wheels, two windows."""
    w, top, low = rng.uniform(0.85, 1.0), rng.uniform(-0.52, -0.34), 0.34
    front, back = rng.uniform(0.3, 0.5), rng.uniform(0.35, 0.8)
    deck = rng.uniform(-0.08, 0.02)
    body = smooth(
        [
            (-w, 0.25),
            (-0.97 * w, deck + 0.05),
            (-back, deck - 0.02),
            (-0.72 * back, top),
            (0.12, top - 0.02),
            (front, deck),
            (0.93 * w, deck + 0.1),
            (w, 0.26),
            (0.8 * w, low),
            (-0.85 * w, low),
        ],
        6,
    )
    glass_top = top + 0.09
    parts = [
        Part(body, "main", puff=1.2),
        Part(
            polygon(
                (-0.62 * back - 0.1, deck),
                (-0.6 * back + 0.02, glass_top),
                (-0.14, glass_top),
                (-0.14, deck),
            ),
            "glass",
            puff=0.4,
        ),
        Part(
            polygon((-0.07, deck), (-0.07, glass_top), (0.09, glass_top), (front - 0.1, deck)),
            "glass",
            puff=0.4,
        ),
        Part(box(-w, 0.2, w, 0.28, 0.03), "trim", puff=0.4),
        Part(ellipse(0.93 * w, 0.12, 0.06, 0.07, n=16), "lamp"),
        Part(ellipse(-0.95 * w, 0.12, 0.04, 0.06, n=14), "trim"),
    ]
    r = rng.uniform(0.19, 0.25)
    return parts + wheel(-0.58 * w, low + 0.02, r) + wheel(0.56 * w, low + 0.02, r)


def balloon(rng: Rng) -> Figure:
    """Hot-air balloon: envelope, ropes, wicker basket."""
    w, h = rng.uniform(0.58, 0.74), rng.uniform(0.6, 0.72)
    basket = rng.uniform(0.14, 0.2)
    parts = [
        Part(limb([(s * 0.3 * w, 0.2), (s * basket, 0.72)], 0.014, 0.014), "dark")
        for s in (-1.0, -0.3, 0.3, 1.0)
    ]
    envelope = profile(
        [
            (0.0, -0.35 - h),
            (0.7 * w, -0.27 - 0.75 * h),
            (w, -0.3),
            (0.72 * w, 0.12),
            (0.24 * w, 0.42),
            (0.0, 0.43),
        ]
    )
    return [
        *parts,
        Part(envelope, "main", puff=1.3),
        Part(
            profile([(0.0, 0.33), (0.32 * w, 0.33), (0.22 * w, 0.44), (0.0, 0.44)]),
            "trim",
            puff=0.6,
        ),
        Part(box(-basket, 0.7, basket, 0.98, 0.05), "basket"),
        Part(box(-basket - 0.03, 0.68, basket + 0.03, 0.75, 0.03), "trim"),
    ]


def train(rng: Rng) -> Figure:
    """Steam engine: boiler, cabin, chimney, four wheels."""
    w, r = rng.uniform(0.88, 1.0), rng.uniform(0.26, 0.34)
    roof = rng.uniform(-0.78, -0.6)
    parts = [
        Part(box(-w, 0.22, w, 0.42, 0.03), "dark"),
        Part(polygon((w - 0.02, 0.22), (w + 0.14, 0.58), (w - 0.12, 0.58)), "trim"),
        Part(
            polygon((0.5 * w, -r), (0.46 * w, -r - 0.34), (0.66 * w, -r - 0.34), (0.62 * w, -r)),
            "dark",
        ),
        Part(box(0.42 * w, -r - 0.42, 0.7 * w, -r - 0.31, 0.03), "trim"),
        Part(ellipse(0.1, -r + 0.02, 0.11, 0.15, n=20), "trim"),
        Part(box(-0.3, -r, 0.93 * w, r - 0.02, 0.12), "main", puff=1.4),
        Part(box(0.02, -r - 0.01, 0.08, r, 0.0), "trim", puff=0.5),
        Part(box(0.46, -r - 0.01, 0.52, r, 0.0), "trim", puff=0.5),
        Part(ellipse(0.94 * w, -0.02, 0.07, r - 0.04, n=24), "metal"),
        Part(box(-w, roof, -0.24, 0.28, 0.04), "cabin"),
        Part(box(-w - 0.07, roof - 0.08, -0.17, roof + 0.03, 0.04), "trim"),
        Part(box(-0.83 * w, roof + 0.14, -0.4, -0.12, 0.04), "glass", puff=0.4),
    ]
    size = rng.uniform(0.17, 0.22)
    for x in np.linspace(-0.75 * w, 0.75 * w, int(rng.integers(3, 5))):
        parts += wheel(float(x), 0.46, size)
    return parts


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


def cactus(rng: Rng) -> Figure:
    """Ribbed column with raised arms, in a pot or not."""
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
    """Large ray flower on a leafy stem."""
    r, petals = rng.uniform(0.52, 0.66), int(rng.integers(10, 19))
    bend, core = rng.uniform(-0.2, 0.2), rng.uniform(0.36, 0.55)
    cy = -0.4
    parts = [Part(limb([(0, cy), (bend, 0.3), (0.3 * bend, 0.98)], 0.055, 0.065), "leaf")]
    for side in (-1, 1):
        y = rng.uniform(0.35, 0.7)
        leaf = turn(
            smooth([(0, 0), (0.25, -0.16), (0.58, 0.0), (0.25, 0.14)]), rng.uniform(-35, 0)
        ) * (side, 1)
        parts.append(Part(leaf + (0.8 * bend, y), "leaf"))
    petal = smooth(
        [(0.4 * r, 0), (0.7 * r, -1.9 * r / petals), (r, 0), (0.7 * r, 1.9 * r / petals)], 6
    )
    start = rng.uniform(0, 360)
    parts += [
        Part(turn(petal, start + 360 * k / petals) + (0, cy), "petal", puff=0.7)
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


def teapot(rng: Rng) -> Figure:
    """Round pot with spout, handle and lid."""
    w, h = rng.uniform(0.52, 0.66), rng.uniform(0.46, 0.62)
    t = np.linspace(-2.2, 2.2, 18)
    outer = np.stack([-w * 0.85 - 0.36 * np.cos(t), 0.42 * np.sin(t)], axis=1)
    inner = np.stack([-w * 0.85 - 0.25 * np.cos(t), 0.3 * np.sin(t)], axis=1)
    tip = rng.uniform(-0.55, -0.35)
    return [
        Part(np.concatenate([outer, inner[::-1]]), "trim"),
        Part(limb([(0.6 * w, 0.22), (w + 0.16, 0.06), (w + 0.3, tip)], 0.19, 0.07), "main"),
        Part(
            profile(
                [
                    (0.3 * w, -h),
                    (0.85 * w, -0.6 * h),
                    (w, 0.05),
                    (0.8 * w, 0.8 * h),
                    (0.45 * w, h),
                    (0, h),
                ]
            ),
            "main",
            puff=1.4,
        ),
        Part(box(-0.5 * w, h - 0.04, 0.5 * w, h + 0.06, 0.03), "trim"),
        Part(
            profile(
                [(0.0, -h - 0.17), (0.3 * w, -h - 0.12), (0.46 * w, -h + 0.02), (0, -h + 0.04)]
            ),
            "trim",
        ),
        Part(ellipse(0, -h - 0.21, 0.08, 0.08, n=18), "main"),
    ]


def armchair(rng: Rng) -> Figure:
    """Upholstered chair from the front: back, seat, arms, feet."""
    w, back, seat = rng.uniform(0.6, 0.74), rng.uniform(-0.98, -0.72), rng.uniform(0.05, 0.2)
    parts = [
        Part(limb([(s * 0.8 * w, 0.7), (s * 0.85 * w, 0.98)], 0.07, 0.045), "wood") for s in (-1, 1)
    ]
    r = rng.uniform(0.08, 0.3)
    parts += [
        Part(box(-0.86 * w, back, 0.86 * w, 0.5, r), "main", puff=1.1),
        Part(box(-0.9 * w, 0.3, 0.9 * w, 0.78, 0.06), "main"),
        Part(box(-0.72 * w, seat, 0.72 * w, seat + 0.3, 0.1), "cushion", puff=1.2),
    ]
    for side in (-1, 1):
        arm = [box(-0.16, -0.12, 0.16, 0.8, 0.14) + (side * w, 0.02)]
        parts += [Part(outline, "main", puff=1.1) for outline in arm]
    return parts


def lamp(rng: Rng) -> Figure:
    """Table lamp: shade, turned stand, foot."""
    top, low, h = rng.uniform(0.22, 0.42), rng.uniform(0.58, 0.78), rng.uniform(0.62, 0.8)
    fat = rng.uniform(0.12, 0.3)
    y = -1.0 + h
    return [
        Part(box(-0.035, y - 0.1, 0.035, 0.9, 0), "metal"),
        Part(
            profile(
                [(0.05, y + 0.08), (fat, y + 0.35), (0.8 * fat, 0.4), (0.07, 0.72), (0.07, 0.8)]
            ),
            "stand",
            puff=1.3,
        ),
        Part(profile([(0.06, 0.78), (0.3, 0.86), (0.36, 0.96), (0, 0.98)]), "metal"),
        Part(
            np.concatenate(
                [
                    polygon((-top, -1.0), (top, -1.0)),
                    smooth([(low, y), (0, y + 0.07), (-low, y)], 6, closed=False),
                ]
            ),
            "main",
            puff=0.9,
        ),
        Part(
            polygon(
                (-low, y - 0.06), (low, y - 0.06), (1.02 * low, y + 0.01), (-1.02 * low, y + 0.01)
            ),
            "trim",
            puff=0.4,
        ),
    ]


def gift(rng: Rng) -> Figure:
    """Wrapped box seen from a corner, with ribbon and bow."""
    w, h, skew = rng.uniform(0.62, 0.78), rng.uniform(0.5, 0.72), rng.uniform(0.14, 0.3)
    split = rng.uniform(-0.1, 0.35) * w
    y0, y1 = -0.25, -0.25 + 2 * h * 0.82
    band = 0.09
    mid = (split - w) / 2
    far = (split + w) / 2
    parts = [
        Part(
            polygon((-w, y0), (split, y0 + skew), (split, y1), (-w, y1 - 0.8 * skew)),
            "main",
            puff=0.4,
        ),
        Part(
            polygon((split, y0 + skew), (w, y0), (w, y1 - 0.8 * skew), (split, y1)),
            "side",
            puff=0.5,
        ),
        Part(
            polygon((-w, y0), (split, y0 + skew), (w, y0), (w + split * -0.9, y0 - skew)),
            "lid",
            puff=0.3,
        ),
        Part(
            polygon(
                (mid - band, y0 + 0.4 * skew),
                (mid + band, y0 + 0.55 * skew),
                (mid + band, y1 - 0.3 * skew),
                (mid - band, y1 - 0.45 * skew),
            ),
            "ribbon",
            puff=0.5,
        ),
        Part(
            polygon(
                (far - band, y0 + 0.6 * skew),
                (far + band, y0 + 0.4 * skew),
                (far + band, y1 - 0.45 * skew),
                (far - band, y1 - 0.35 * skew),
            ),
            "ribbon",
            puff=0.5,
        ),
    ]
    for side in (-1, 1):
        loop = smooth([(0, 0), (0.2 * side, -0.28), (0.46 * side, -0.24), (0.4 * side, -0.02)])
        parts.append(Part(loop + (0, y0 - 0.02), "ribbon", puff=1.2))
        parts.append(
            Part(
                limb([(0, y0), (0.16 * side, y0 + 0.1), (0.3 * side, y0 + 0.22)], 0.06, 0.05),
                "ribbon",
            )
        )
    return [*parts, Part(ellipse(0, y0 - 0.02, 0.1, 0.09, n=18), "ribbon")]
