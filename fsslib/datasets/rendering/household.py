"""The household classes: teapot, armchair, lamp, gift."""

import numpy as np

from fsslib.datasets.rendering.curves import Rng, box, ellipse, limb, move, polygon, profile, smooth
from fsslib.datasets.rendering.paint import Figure, Part


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
        arm = move(box(-0.16, -0.12, 0.16, 0.8, 0.14), side * w, 0.02)
        parts.append(Part(arm, "main", puff=1.1))
    return parts


def lamp(rng: Rng) -> Figure:
    """Table lamp: shade, lathe-turned stand, foot."""
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
        parts.append(Part(move(loop, 0, y0 - 0.02), "ribbon", puff=1.2))
        parts.append(
            Part(
                limb([(0, y0), (0.16 * side, y0 + 0.1), (0.3 * side, y0 + 0.22)], 0.06, 0.05),
                "ribbon",
            )
        )
    return [*parts, Part(ellipse(0, y0 - 0.02, 0.1, 0.09, n=18), "ribbon")]
