"""The winged classes: parrot, butterfly, owl, bee."""

from fsslib.datasets.rendering.curves import Rng, box, bumpy, ellipse, limb, polygon, smooth
from fsslib.datasets.rendering.paint import Figure, Part
from fsslib.datasets.rendering.parts import eye


def parrot(rng: Rng) -> Figure:
    """Upright bird: hooked beak, folded wing, long tail."""
    fat, tail = rng.uniform(0.27, 0.36), rng.uniform(0.6, 0.85)
    parts = [
        Part(limb([(-0.1, 0.25), (-0.3, 0.6), (-0.42, 0.3 + tail)], 0.16, 0.07), "wing"),
        Part(limb([(0.0, 0.25), (-0.12, 0.6), (-0.22, 0.25 + tail)], 0.14, 0.06), "main"),
        Part(box(-0.45, 0.5, 0.5, 0.58, 0.04), "wood"),
        Part(limb([(0.06, 0.3), (0.08, 0.52)], 0.05, 0.05), "beak"),
        Part(ellipse(0, 0, fat, 0.5, 12), "main"),
        Part(ellipse(0.13, -0.5, 0.26, 0.25), "main"),
        Part(
            smooth([(-0.05, -0.3), (0.12, -0.05), (0.0, 0.3), (-0.25, 0.62), (-0.3, 0.1)]), "wing"
        ),
        Part(smooth([(0.32, -0.6), (0.5, -0.52), (0.47, -0.3), (0.4, -0.4), (0.3, -0.42)]), "beak"),
        Part(ellipse(0.2, -0.55, 0.1, 0.09, n=20), "light", puff=0.5),
    ]
    return parts + eye(0.21, -0.56, 0.045)


def butterfly(rng: Rng) -> Figure:
    """Four open wings around a slim body."""
    w, h, low = rng.uniform(0.6, 0.9), rng.uniform(0.55, 0.8), rng.uniform(0.45, 0.65)
    squeeze = rng.uniform(0.6, 1.0)
    parts: Figure = []
    for side, width in ((-1, 1.0), (1, squeeze)):
        s = side * width
        lower = [
            (0.02 * s, 0.05),
            (0.5 * s, 0.12),
            (0.75 * w * s, 0.5 * low),
            (0.45 * s, low + 0.12),
            (0.12 * s, 0.55 * low),
        ]
        upper = [
            (0.02 * s, 0.05),
            (0.1 * s, -0.4),
            (0.65 * w * s, -h),
            (w * s, -0.75 * h),
            (0.85 * w * s, -0.1),
            (0.4 * s, 0.14),
        ]
        parts.append(Part(smooth(lower), "second", puff=0.6))
        parts.append(Part(smooth(upper), "main", puff=0.6))
        parts.append(
            Part(limb([(0, -0.35), (0.1 * side, -0.6), (0.2 * side, -0.68)], 0.018, 0.025), "dark")
        )
    parts.append(Part(limb([(0, -0.35), (0, 0.1), (0, 0.5)], 0.075, 0.04), "dark"))
    parts.append(Part(ellipse(0, -0.38, 0.085, 0.085, n=18), "dark"))
    return parts


def owl(rng: Rng) -> Figure:
    """Round upright bird seen from the front, with large eyes and ear tufts."""
    w, h = rng.uniform(0.46, 0.6), rng.uniform(0.62, 0.78)
    parts = [
        Part(
            smooth(
                [
                    (-0.7 * w, -0.5),
                    (-0.8 * w, -1.02),
                    (-0.1, -0.72),
                    (0.1, -0.72),
                    (0.8 * w, -1.02),
                    (0.7 * w, -0.5),
                ]
            ),
            "main",
        ),
        Part(
            smooth(
                [
                    (0, -0.8),
                    (0.8 * w, -0.6),
                    (w, 0.1),
                    (0.6 * w, h),
                    (0, h + 0.08),
                    (-0.6 * w, h),
                    (-w, 0.1),
                    (-0.8 * w, -0.6),
                ]
            ),
            "main",
        ),
        Part(ellipse(0, 0.3, 0.6 * w, 0.42), "belly"),
    ]
    for side in (-1, 1):
        x = side * w
        parts.append(
            Part(
                smooth([(0.85 * x, -0.25), (1.18 * x, 0.2), (0.85 * x, 0.68), (0.62 * x, 0.2)]),
                "wing",
            )
        )
        parts.append(Part(ellipse(0.2 * side, h + 0.06, 0.12, 0.07, n=16), "beak"))
        parts.append(Part(ellipse(0.42 * x, -0.42, 0.23, 0.24, n=28), "light"))
        parts.append(Part(ellipse(0.42 * x, -0.42, 0.14, 0.14, n=20), "beak", puff=0.5))
        parts += eye(0.42 * x, -0.42, 0.085)
    parts.append(Part(polygon((-0.08, -0.36), (0.08, -0.36), (0, -0.17)), "beak"))
    return parts


def bee(rng: Rng) -> Figure:
    """Plump banded abdomen, fuzzy thorax, glassy wings."""
    length, fat = rng.uniform(0.5, 0.62), rng.uniform(0.3, 0.38)
    lift = rng.uniform(-25, 25)
    parts = [
        Part(ellipse(-0.05, -0.48, 0.2, 0.46, -30 + lift), "glass", puff=0.5, alpha=0.8),
        Part(
            polygon((-length - 0.15, 0.16), (-length - 0.32, 0.22), (-length - 0.12, 0.02)), "dark"
        ),
    ]
    for k in range(3):
        x = 0.1 + 0.14 * k
        parts.append(Part(limb([(x, 0.2), (x + 0.06, 0.42), (x - 0.02, 0.58)], 0.03, 0.02), "dark"))
    parts += [
        Part(ellipse(-0.28, 0.08, length, fat, -8), "main", puff=1.2),
        Part(bumpy(0.3, 0.0, 0.3, 0.3, 14, 0.12), "fuzz"),
        Part(ellipse(0.62, 0.04, 0.2, 0.22), "dark"),
        Part(limb([(0.68, -0.12), (0.78, -0.3), (0.92, -0.34)], 0.025, 0.03), "dark"),
        Part(limb([(0.6, -0.12), (0.64, -0.32), (0.76, -0.42)], 0.025, 0.03), "dark"),
        Part(ellipse(0.12, -0.52, 0.23, 0.5, 12 + lift), "glass", puff=0.5, alpha=0.8),
        Part(ellipse(0.7, 0.0, 0.075, 0.1, n=18), "light"),
    ]
    return parts + eye(0.71, 0.01, 0.05)
