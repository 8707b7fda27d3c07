"""The four-legged classes: zebra, leopard, sheep, deer."""

from fsslib.datasets.rendering.curves import Rng, bumpy, ellipse, limb, polygon, smooth
from fsslib.datasets.rendering.paint import Figure, Part
from fsslib.datasets.rendering.parts import eye


def _legs(
    rng: Rng, x0: float, x1: float, top: float, bottom: float, half: float, slot: str
) -> Figure:
    """Four walking legs, the far pair first."""
    stride = rng.uniform(-0.16, 0.16, 4)
    parts = []
    for k, x in enumerate((x0 + 0.14, x1 - 0.14, x0, x1)):
        knee = (x + 0.5 * stride[k], (top + bottom) / 2)
        foot = (x + stride[k], bottom)
        parts.append(Part(limb([(x, top), knee, foot], half, 0.6 * half), slot))
        parts.append(Part(ellipse(foot[0] + 0.02, bottom, 0.75 * half, 0.5 * half, n=14), "dark"))
    return parts


def _torso(rng: Rng, length: float, depth: float) -> Figure:
    sag = rng.uniform(-0.04, 0.06)
    outline = smooth(
        [
            (-length, -0.05),
            (-0.8 * length, -0.85 * depth),
            (0, -0.8 * depth + sag),
            (0.85 * length, -depth),
            (1.05 * length, -0.2),
            (0.8 * length, 0.75 * depth),
            (0, 0.8 * depth + sag),
            (-0.8 * length, 0.8 * depth),
        ]
    )
    return [Part(outline, "main")]


def zebra(rng: Rng) -> Figure:
    """Horse build: arched neck with a mane, long muzzle, tufted tail."""
    length, depth, reach = rng.uniform(0.5, 0.66), rng.uniform(0.24, 0.34), rng.uniform(0.45, 0.7)
    drop = rng.uniform(-0.1, 0.5)
    hx, hy = 0.62 * length + 0.55 * reach, -0.35 - reach + drop
    parts = [
        Part(
            limb([(-length, -0.1), (-length - 0.15, 0.1), (-length - 0.13, 0.45)], 0.04, 0.06),
            "dark",
        )
    ]
    parts += _legs(rng, -0.7 * length, 0.75 * length, 0.1, 0.9, 0.09, "main")
    parts += _torso(rng, length, depth)
    parts.append(
        Part(
            limb(
                [(0.5 * length, -0.2), (0.8 * length, -0.45 + 0.3 * drop), (hx - 0.12, hy - 0.08)],
                0.17,
                0.09,
            ),
            "dark",
        )
    )
    parts.append(
        Part(
            limb([(0.72 * length, -0.1), (0.92 * length, -0.4 + 0.3 * drop), (hx, hy)], 0.23, 0.12),
            "main",
        )
    )
    parts.append(
        Part(polygon((hx - 0.1, hy - 0.02), (hx - 0.1, hy - 0.28), (hx + 0.03, hy - 0.06)), "main")
    )
    parts.append(
        Part(
            limb(
                [(hx - 0.04, hy - 0.01), (hx + 0.14, hy + 0.12), (hx + 0.3, hy + 0.27)], 0.13, 0.08
            ),
            "main",
        )
    )
    parts.append(Part(ellipse(hx + 0.3, hy + 0.28, 0.09, 0.075, 40, n=16), "dark"))
    return parts + eye(hx + 0.05, hy + 0.02, 0.035)


def leopard(rng: Rng) -> Figure:
    """Cat build: low and long, round head and ears, long curled tail."""
    length, depth = rng.uniform(0.58, 0.74), rng.uniform(0.2, 0.28)
    curl = rng.uniform(-0.5, 0.3)
    hx, hy = length + 0.18, rng.uniform(-0.42, -0.12)
    tail = [
        (-length, -0.1),
        (-length - 0.22, 0.05),
        (-length - 0.35, curl),
        (-length - 0.2, curl - 0.25),
    ]
    parts = [Part(limb(tail, 0.07, 0.05), "main")]
    parts += _legs(rng, -0.72 * length, 0.72 * length, 0.05, 0.62, 0.1, "main")
    parts += _torso(rng, length, depth)
    r = rng.uniform(0.2, 0.26)
    for side in (-1, 1):
        parts.append(
            Part(ellipse(hx + 0.65 * side * r, hy - 0.8 * r, 0.36 * r, 0.36 * r, n=18), "main")
        )
    parts.append(Part(ellipse(hx, hy, 1.05 * r, 0.95 * r), "main"))
    parts.append(Part(ellipse(hx + 0.25 * r, hy + 0.4 * r, 0.5 * r, 0.36 * r, n=18), "light"))
    parts.append(Part(ellipse(hx + 0.3 * r, hy + 0.22 * r, 0.16 * r, 0.11 * r, n=12), "dark"))
    return (
        parts
        + eye(hx - 0.2 * r, hy - 0.15 * r, 0.13 * r)
        + eye(hx + 0.55 * r, hy - 0.15 * r, 0.13 * r)
    )


def sheep(rng: Rng) -> Figure:
    """Woolly body on short legs, with a smooth dark or pale face."""
    rx, ry = rng.uniform(0.55, 0.72), rng.uniform(0.38, 0.5)
    hx, hy = rx + 0.05, rng.uniform(-0.35, 0.05)
    parts = _legs(rng, -0.55 * rx, 0.55 * rx, 0.2, rng.uniform(0.68, 0.85), 0.08, "face")
    parts.append(Part(bumpy(-rx - 0.02, -0.05, 0.13, 0.12, 5, 0.3), "main"))
    parts.append(
        Part(
            bumpy(0, 0, rx, ry, int(rng.integers(11, 16)), 0.14, rng.uniform(0, 3)),
            "main",
            puff=1.2,
        )
    )
    for side in (-1, 1):
        parts.append(Part(ellipse(hx + 0.2 * side, hy - 0.05, 0.14, 0.06, 25 * side, n=18), "face"))
    parts.append(Part(ellipse(hx + 0.03, hy + 0.06, 0.17, 0.24, -12), "face"))
    parts.append(Part(bumpy(hx - 0.01, hy - 0.15, 0.19, 0.12, 6, 0.25), "main"))
    return parts + eye(hx - 0.05, hy + 0.02, 0.032) + eye(hx + 0.1, hy + 0.02, 0.032)


def deer(rng: Rng) -> Figure:
    """Slender build: long thin legs, upright neck, branched antlers, short tail."""
    length, depth = rng.uniform(0.42, 0.54), rng.uniform(0.2, 0.27)
    hx, hy = length + rng.uniform(0.15, 0.32), rng.uniform(-0.72, -0.5)
    parts = [Part(ellipse(-length - 0.06, -0.16, 0.12, 0.07, -40, n=18), "light")]
    parts += _legs(rng, -0.75 * length, 0.8 * length, 0.05, 0.98, 0.065, "main")
    parts += _torso(rng, length, depth)
    parts.append(Part(ellipse(-0.05, 0.55 * depth, 0.7 * length, 0.3 * depth), "light", puff=0.4))
    for side, lean in ((1, 0.12), (-1, -0.1)):
        bx, by = hx - 0.05 + 0.05 * side, hy - 0.08
        span = rng.uniform(0.36, 0.5)
        parts.append(
            Part(
                limb(
                    [(bx, by), (bx + lean, by - 0.5 * span), (bx + 0.4 * lean, by - span)],
                    0.035,
                    0.022,
                ),
                "horn",
            )
        )
        for height in (0.35, 0.65):
            x = bx + lean * height
            y = by - span * height
            parts.append(
                Part(limb([(x, y), (x + 0.12 * side + 0.03, y - 0.14)], 0.03, 0.018), "horn")
            )
    parts.append(
        Part(
            limb([(0.75 * length, -0.08), (0.95 * length, -0.35), (hx - 0.02, hy)], 0.17, 0.09),
            "main",
        )
    )
    parts.append(Part(ellipse(hx - 0.14, hy - 0.06, 0.13, 0.055, 25, n=18), "main"))
    parts.append(
        Part(
            limb(
                [(hx - 0.06, hy - 0.02), (hx + 0.1, hy + 0.05), (hx + 0.24, hy + 0.12)], 0.11, 0.06
            ),
            "main",
        )
    )
    parts.append(Part(ellipse(hx + 0.26, hy + 0.12, 0.045, 0.045, n=14), "dark"))
    return parts + eye(hx + 0.02, hy - 0.01, 0.034)
