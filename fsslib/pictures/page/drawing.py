"""Draws the pipeline as one line of steps, horizontal for screens and vertical for phones."""

from markupsafe import Markup

STEPS = (
    ("prepare", "the dataset"),
    ("extract", "features"),
    ("collect", "prototypes"),
    ("cluster", "K + 1 centres"),
    ("annotate", "pseudo-masks"),
    ("train", "the encoder"),
    ("index", "regions"),
    ("evaluate", "mIoU"),
    ("summarize", "tables"),
)
EPISODES = ("episodes", "frozen, seeded")
FIRST, LAST, BESIDE = 3, 7, 5
"""First and last step that run once per fold, and the step beside which `episodes` stands."""
EDGE, MARGIN = 14, 10
Point = tuple[float, float]


def pipeline_drawing(standing: bool) -> Markup:
    """Draw all steps, with `episodes` beside them and a frame around the steps of each fold."""
    pitch, width, height = (62, 150, 44) if standing else (116, 102, 46)
    along, across = (height, width) if standing else (width, height)
    beside = EDGE + across + (30 if standing else 34)

    def point(main: float, cross: float) -> Point:
        """Convert positions along and across the line of steps to x and y."""
        return (cross, main + MARGIN) if standing else (main + MARGIN, cross)

    def box(words: tuple[str, str], main: float, cross: float) -> Markup:
        x, y = point(main, cross)
        shape = Markup('<rect x="{}" y="{}" width="{}" height="{}" rx="6" class="box"/>')
        return shape.format(x, y, width, height) + _words(words, x + width / 2, y)

    middle, other = EDGE + across / 2, beside + across / 2
    start, end = FIRST * pitch - MARGIN, LAST * pitch + along + MARGIN
    episodes = BESIDE * pitch
    parts = [_frame(point(start, 4), point(end, beside + across + MARGIN), standing)]
    parts += [box(words, i * pitch, EDGE) for i, words in enumerate(STEPS)]
    parts.append(box(EPISODES, episodes, beside))
    for i in range(len(STEPS) - 1):
        parts.append(_arrow(point(i * pitch + along, middle), point((i + 1) * pitch, middle)))
    prepare, evaluate = along / 2, LAST * pitch + along / 2
    corner = point(prepare, other)
    parts.append(_arrow(point(prepare, EDGE + across), corner, point(episodes, other)))
    corner = point(evaluate, other)
    parts.append(_arrow(point(episodes + along, other), corner, point(evaluate, EDGE + across)))
    far = point((len(STEPS) - 1) * pitch + along, beside + across + MARGIN)
    name, size = ("standing", far) if standing else ("lying", far)
    head = Markup('<svg class="pipeline {}" viewBox="0 0 {} {}" role="img" aria-label="{}">')
    said = "Steps: " + ", ".join([*(step for step, _ in STEPS), EPISODES[0]])
    view = head.format(name, size[0] + MARGIN, size[1] + MARGIN, said)
    return view + Markup("").join(parts) + Markup("</svg>")


def _words(words: tuple[str, str], x: float, y: float) -> Markup:
    name = Markup('<text x="{}" y="{}" text-anchor="middle" class="step">{}</text>')
    what = Markup('<text x="{}" y="{}" text-anchor="middle" class="what">{}</text>')
    return name.format(x, y + 19, words[0]) + what.format(x, y + 36, words[1])


def _frame(start: Point, end: Point, standing: bool) -> Markup:
    shape = Markup('<rect x="{}" y="{}" width="{}" height="{}" rx="8" class="frame"/>')
    label = Markup('<text x="{}" y="{}" text-anchor="{}" class="what">once a fold</text>')
    drawn = shape.format(*start, end[0] - start[0], end[1] - start[1])
    x, anchor = (end[0] - 8, "end") if standing else (start[0] + 10, "start")
    return drawn + label.format(x, end[1] - 10, anchor)


def _arrow(*points: Point) -> Markup:
    """Draw a line through points with an arrowhead at the last one."""
    (x0, y0), (x, y) = points[-2:]
    dx, dy = (x > x0) - (x < x0), (y > y0) - (y < y0)
    head = [(x, y), (x - 7 * dx - 4 * dy, y - 7 * dy - 4 * dx)]
    head.append((x - 7 * dx + 4 * dy, y - 7 * dy + 4 * dx))
    line = Markup('<polyline points="{}" class="line"/><polygon points="{}" class="head"/>')
    return line.format(_joined(points), _joined(head))


def _joined(points: "tuple[Point, ...] | list[Point]") -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points)
