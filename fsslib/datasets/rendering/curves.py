"""Closed outlines of figures, as (n, 2) arrays of x and y (y points down)."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Outline = npt.NDArray[np.float64]
Rng = np.random.Generator
Points = Sequence[tuple[float, float]]


def ellipse(
    cx: float, cy: float, rx: float, ry: float, degrees: float = 0.0, n: int = 36
) -> Outline:
    """Ellipse around (cx, cy), turned clockwise by `degrees`."""
    t = np.linspace(0, 2 * np.pi, n, endpoint=False)
    points = np.stack([rx * np.cos(t), ry * np.sin(t)], axis=1)
    return move(turn(points, degrees), cx, cy)


def turn(points: Outline, degrees: float) -> Outline:
    """Rotate around the origin, clockwise on the screen."""
    a = np.deg2rad(degrees)
    turned: Outline = points @ np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
    return turned


def move(points: Outline, dx: float, dy: float) -> Outline:
    """Shift an outline."""
    return np.asarray(points + np.array([dx, dy]), dtype=np.float64)


def bumpy(
    cx: float, cy: float, rx: float, ry: float, bumps: int, depth: float, phase: float = 0.0
) -> Outline:
    """Ellipse with `bumps` bumps whose height is the share `depth` of the radius (wool, petals)."""
    t = np.linspace(0, 2 * np.pi, 8 * bumps + 24, endpoint=False)
    radius = 1 + depth * (np.abs(np.sin(t * bumps / 2 + phase)) - 0.5)
    return np.stack([cx + rx * radius * np.cos(t), cy + ry * radius * np.sin(t)], axis=1)


def lump(rng: Rng, cx: float, cy: float, rx: float, ry: float, wobble: float = 0.15) -> Outline:
    """Irregular rounded blob, used for pebbles and bushes."""
    t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    radius = np.ones_like(t)
    for harmonic in (2, 3, 4, 5):
        radius += wobble / harmonic * rng.normal() * np.cos(harmonic * t + rng.uniform(0, 6.3))
    return np.stack([cx + rx * radius * np.cos(t), cy + ry * radius * np.sin(t)], axis=1)


def smooth(points: Points, per_side: int = 8, closed: bool = True) -> Outline:
    """Catmull-Rom curve through `points`."""
    p = np.asarray(points, dtype=np.float64)
    if closed:
        p = np.concatenate([p[-1:], p, p[:2]])
    else:
        p = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    t = np.linspace(0, 1, per_side, endpoint=False)[:, None]
    runs = []
    for a, b, c, d in zip(p[:-3], p[1:-2], p[2:-1], p[3:], strict=True):
        cubic = (3 * b - a - 3 * c + d) * t**3 + (2 * a - 5 * b + 4 * c - d) * t**2
        runs.append(0.5 * (cubic + (c - a) * t + 2 * b))
    if not closed:
        runs.append(p[-2:-1])
    return np.concatenate(runs)


def limb(points: Points, start: float, end: float, per_side: int = 6) -> Outline:
    """Tapered stroke along a smooth line, used for legs, necks, tails and stems.

    Args:
        points: control points of the line.
        start: half width at the first point.
        end: half width at the last point.
        per_side: samples between two control points.
    """
    line = smooth(points, per_side, closed=False)
    step = np.gradient(line, axis=0)
    normal = np.stack([-step[:, 1], step[:, 0]], axis=1)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    half = np.linspace(start, end, len(line))[:, None]
    tip = line[-1:] + step[-1:] / max(float(np.linalg.norm(step[-1])), 1e-9) * end * 0.8
    return np.concatenate([line + normal * half, tip, (line - normal * half)[::-1]])


def box(x0: float, y0: float, x1: float, y1: float, r: float = 0.0) -> Outline:
    """Rectangle with corners rounded by radius `r`."""
    t = np.linspace(0, np.pi / 2, 6 if r else 1)
    corners = []
    for k, (x, y) in enumerate(
        [(x1 - r, y1 - r), (x0 + r, y1 - r), (x0 + r, y0 + r), (x1 - r, y0 + r)]
    ):
        a = t + k * np.pi / 2
        corners.append(np.stack([x + r * np.cos(a), y + r * np.sin(a)], axis=1))
    return np.concatenate(corners)


def polygon(*points: tuple[float, float]) -> Outline:
    """Straight-sided outline."""
    return np.asarray(points, dtype=np.float64)


def profile(points: Points) -> Outline:
    """Outline symmetric about x = 0, made from the points of its right side, top to bottom."""
    right = smooth(points, 6, closed=False)
    return np.concatenate([right, (right * (-1, 1))[::-1]])
