"""The vehicle classes: sailboat, car, balloon, train."""

import numpy as np

from fsslib.datasets.rendering.curves import Rng, box, ellipse, limb, polygon, profile, smooth
from fsslib.datasets.rendering.paint import Figure, Part
from fsslib.datasets.rendering.parts import wheel


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
