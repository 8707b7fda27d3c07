"""Surface patterns: share of the second colour, 0 to 1, at each point in object coordinates."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fsslib.datasets.rendering.curves import Rng

Field = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Grain:
    """Random constants of the pattern on one surface.

    Attributes:
        period: length of one repeat in object units.
        degrees: direction of the pattern in object coordinates.
        warp: how far the pattern bends, in repeats.
        phase: three offsets in 0 to 2 pi.
        edge: sharpness of the pattern's borders.
    """

    period: float
    degrees: float
    warp: float
    phase: tuple[float, float, float]
    edge: float


def draw_grain(rng: Rng, period: float, degrees: float) -> Grain:
    """Draw the constants around a class's typical period and direction."""
    phase = rng.uniform(0, 2 * np.pi, 3)
    return Grain(
        period=period * float(np.exp(rng.normal(0, 0.25))),
        degrees=degrees + float(rng.normal(0, 12)),
        warp=float(rng.uniform(0.05, 0.3)),
        phase=(float(phase[0]), float(phase[1]), float(phase[2])),
        edge=float(rng.uniform(3, 7)),
    )


def _frame(u: Field, v: Field, grain: Grain) -> tuple[Field, Field]:
    """Rotate, bend and scale object coordinates so that one repeat has length 1."""
    a = np.deg2rad(grain.degrees)
    c, s = np.float32(np.cos(a) / grain.period), np.float32(np.sin(a) / grain.period)
    x, y = u * c + v * s, v * c - u * s
    p, q, _ = grain.phase
    bent = x + grain.warp * np.sin(1.7 * y + p).astype(np.float32)
    return bent, y + grain.warp * np.sin(1.3 * x + q).astype(np.float32)


def _share(field: npt.NDArray[np.floating]) -> Field:
    return np.asarray(np.clip(field, 0, 1), dtype=np.float32)


def _soft(signed: npt.NDArray[np.floating], edge: float) -> Field:
    return _share(0.5 + edge * signed)


def _hash(i: Field, j: Field, salt: float) -> Field:
    """Pseudo-random number in 0 to 1 for every integer cell."""
    mixed = np.sin(i * np.float32(12.9898) + j * np.float32(78.233) + np.float32(salt))
    return np.asarray((mixed * np.float32(437.585)) % np.float32(1), dtype=np.float32)


def plain(u: Field, v: Field, grain: Grain) -> Field:
    """Slow transition from one colour towards the other."""
    _, y = _frame(u, v, grain)
    return _share(0.22 + 0.22 * np.sin(0.6 * y + grain.phase[2]))


def stripes(u: Field, v: Field, grain: Grain) -> Field:
    """Bent bands."""
    x, _ = _frame(u, v, grain)
    return _soft(np.sin(2 * np.pi * x) * np.float32(0.35), grain.edge)


def spots(u: Field, v: Field, grain: Grain) -> Field:
    """Round patches of unequal size, one per cell."""
    x, y = _frame(u, v, grain)
    i, j = np.floor(x), np.floor(y)
    salt = grain.phase[2]
    dx = x - i - 0.5 - 0.35 * (_hash(i, j, salt) - 0.5)
    dy = y - j - 0.5 - 0.35 * (_hash(j, i, salt + 1) - 0.5)
    radius = 0.2 + 0.16 * _hash(i + 7, j, salt + 2)
    return _soft(radius - np.sqrt(dx * dx + dy * dy), 1.6 * grain.edge)


def checker(u: Field, v: Field, grain: Grain) -> Field:
    """Squares of two colours."""
    x, y = _frame(u, v, grain)
    return _soft(np.sin(np.pi * x) * np.sin(np.pi * y), grain.edge)


def scales(u: Field, v: Field, grain: Grain) -> Field:
    """Overlapping round shingles: scales, feathers, roof tiles."""
    x, y = _frame(u, v, grain)
    y = y * np.float32(1.4)
    row = np.floor(y)
    dx = (x + 0.5 * (row % 2)) % 1 - 0.5
    dy = y - row
    rim = np.sqrt(dx * dx * np.float32(2.4) + dy * dy)
    return _share(0.15 + 0.85 * np.clip(rim - 0.35, 0, 1) ** 1.5 * 1.9)


def wool(u: Field, v: Field, grain: Grain) -> Field:
    """Curly fleece or foliage: crossing waves of several directions."""
    x, y = _frame(u, v, grain)
    p, q, r = grain.phase
    bend = 1.8 * np.sin(3.1 * y + q + 1.3 * np.sin(2.3 * x + r))
    wave = np.sin(5.1 * x + p + bend) + np.sin(5.7 * y + r + 1.9 * np.sin(4.3 * x - 2.1 * y))
    return _share(0.35 + 0.25 * wave)


def planks(u: Field, v: Field, grain: Grain) -> Field:
    """Boards with dark joints and fine veins."""
    x, y = _frame(u, v, grain)
    board = np.floor(x)
    joint = _soft(np.abs(x - board - 0.5) - 0.44, 14)
    vein = 0.18 * np.sin(24 * (x - board) + 2 * np.sin(1.1 * y + 5 * board) + 7 * board)
    return _share(0.2 + 0.25 * _hash(board, board, 0.3) + vein + joint)


def bricks(u: Field, v: Field, grain: Grain) -> Field:
    """Rows of bricks; the second colour is the mortar."""
    x, y = _frame(u, v, grain)
    y = y * np.float32(2)
    row = np.floor(y)
    x = (x + 0.5 * (row % 2)).astype(np.float32)
    i = np.floor(x)
    mortar = np.maximum(np.abs(x - i - 0.5) - 0.45, (np.abs(y - row - 0.5) - 0.4) * 0.6)
    return _share(_soft(mortar, 22) + 0.3 * _hash(i, row, 1.7))


PATTERNS: dict[str, Callable[[Field, Field, Grain], Field]] = {
    "plain": plain,
    "stripes": stripes,
    "spots": spots,
    "checker": checker,
    "scales": scales,
    "wool": wool,
    "planks": planks,
    "bricks": bricks,
}
"""Every pattern by name."""
