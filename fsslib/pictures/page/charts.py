"""Draws curves as inline SVG."""

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from fsslib.pictures.page.run import Curve

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")
"""Okabe and Ito's colours, which colour-blind readers can tell apart. Each curve also has its own
dashes."""
DASHES = ("", "6 3", "2 3", "8 3 2 3", "1 2")
WIDTH, HEIGHT = 360, 220
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 28, 34
MOST = 240
"""Largest number of points drawn per curve. More points would add ink but no information."""


def line_chart(curves: Mapping[str, Curve], top: float | None = None) -> Markup:
    """Draw curves over the same steps, from 0 upwards, with a legend above.

    Args:
        curves: label -> curve, at least one with at least one point.
        top: top of the axis; None for the greatest value drawn.
    """
    drawn = {label: thinned(curve) for label, curve in curves.items() if curve}
    points = [point for curve in drawn.values() for point in curve]
    y_ticks = ticks(top or max(y for _, y in points))
    x_ticks = ticks(max(max(x for x, _ in points), 1), 4)
    highest, last = y_ticks[-1], max(max(x for x, _ in points), 1)
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x(step: float) -> str:
        return f"{LEFT + wide * step / last:.1f}"

    def y(value: float) -> str:
        return f"{TOP + high * (1 - value / highest):.1f}"

    parts = [_y_tick(y(tick), tick) for tick in y_ticks]
    parts += [
        _text(x(tick), HEIGHT - 18, f"{tick:g}", "middle") for tick in x_ticks if tick <= last
    ]
    parts.append(_text(LEFT + wide / 2, HEIGHT - 4, "step", "middle"))
    left = float(LEFT)
    for number, (label, curve) in enumerate(drawn.items()):
        colour, dashes = COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)]
        path = " ".join(f"{x(step)},{y(value)}" for step, value in curve)
        for line in (path, f"{left:.1f},12 {left + 24:.1f},12"):
            parts.append(
                Markup(
                    '<polyline points="{}" fill="none" stroke="{}" stroke-width="1.8" '
                    'stroke-dasharray="{}"/>'
                ).format(line, colour, dashes)
            )
        parts.append(_text(left + 29, 16, label, "start"))
        left += 29 + 6.6 * len(label) + 14
    said = ", ".join(f"{label} {c[0][1]:.3g} to {c[-1][1]:.3g}" for label, c in drawn.items())
    head = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">')
    return head.format(WIDTH, HEIGHT, said) + Markup("").join(parts) + Markup("</svg>")


def thinned(curve: Curve, most: int = MOST) -> Curve:
    """Thin a curve to at most `most` points, each the mean of a group of neighbours."""
    size = math.ceil(len(curve) / most)
    groups = [curve[i : i + size] for i in range(0, len(curve), size)]
    return [(_mean([x for x, _ in g]), _mean([y for _, y in g])) for g in groups]


def ticks(highest: float, count: int = 4) -> list[float]:
    """Return round numbers from 0 to at least `highest`, about `count` steps of 1, 2, 2.5 or 5."""
    if not highest > 0:
        return [0.0, 1.0]
    power = 10.0 ** math.floor(math.log10(highest / count))
    step = next(s * power for s in (1, 2, 2.5, 5, 10) if s * power * count >= highest * 0.999)
    return [float(f"{i * step:.6g}") for i in range(math.ceil(highest / step - 1e-6) + 1)]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _y_tick(y: str, tick: float) -> Markup:
    line = Markup('<line x1="{}" x2="{}" y1="{}" y2="{}" stroke="#ddd"/>')
    label = _text(LEFT - 5, float(y) + 4, f"{tick:g}", "end")
    return line.format(LEFT, WIDTH - RIGHT, y, y) + label


def _text(x: float | str, y: float | str, content: str, anchor: str) -> Markup:
    text = Markup('<text x="{}" y="{}" text-anchor="{}" font-size="12">{}</text>')
    return text.format(x, y, anchor, content)
