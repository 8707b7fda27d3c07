"""Draws a table of experiments: a bar per row, its deviation, and the paper's mean."""

import io

from PIL import Image, ImageDraw, ImageFont

from fsslib.experiments.table import NOT_RUN, Comparison, Row

WIDTH, LABEL, BARS, LINE, MARGIN = 900, 230, 420, 30, 12
"""Sizes in px: the picture, the column of labels, the axis, a row and the border. Numbers stand
right of the axis."""
OURS, PAPER, GRID = (0, 114, 178), (213, 94, 0), (225, 225, 225)
"""Okabe and Ito's blue and vermilion."""
DAGGER = "#"
"""Replaces the table's dagger, which Pillow's font lacks."""


def comparison_picture(table: Comparison) -> bytes:
    """Draw the means as PNG, on an axis from 0 to the next ten above the largest number."""
    notes = [line for note in table.notes() for line in _wrapped(note)]
    height = 2 * MARGIN + 26 + LINE * (len(table.rows) + 1) + 18 * len(notes)
    picture = Image.new("RGB", (WIDTH, height), "white")
    draw = ImageDraw.Draw(picture)
    draw.text((MARGIN, MARGIN), f"{table.title} ({table.what} in percent)", "black", _font(15))
    top, end = MARGIN + 26, _axis_end(table)
    bottom = top + LINE * len(table.rows)
    for value in range(0, end + 1, 10):
        left = _left(value, end)
        draw.line([(left, top), (left, bottom)], GRID)
        draw.text((left, bottom + 4), str(value), "black", _font(12), anchor="mt")
    for number, row in enumerate(table.rows):
        _bar(draw, row, top + LINE * number, end, bool(table.departures))
    for number, line in enumerate(notes):
        draw.text((MARGIN, bottom + LINE + 18 * number), line, "black", _font(12))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def _bar(draw: ImageDraw.ImageDraw, row: Row, top: int, end: int, marked: bool) -> None:
    """Draw one row: label, bar and whisker, the paper's mark, and both numbers on the right."""
    label = row.experiment.label + "*" * row.older_code
    middle, right = top + LINE // 2, MARGIN + LABEL + BARS + 8
    draw.text((MARGIN + LABEL - 8, middle), label, "black", _font(13), anchor="rm")
    mean = row.measured.mean if row.measured else None
    if row.measured is None or mean is None:
        draw.text((right, middle), NOT_RUN, "gray", _font(13), anchor="lm")
    else:
        spread = row.measured.std or 0
        draw.rectangle([_left(0, end), top + 6, _left(mean, end), top + LINE - 6], OURS)
        whisker = [(_left(mean - spread, end), middle), (_left(mean + spread, end), middle)]
        draw.line(whisker, "black", 2)
        text = f"{mean:.2f}" + ("" if row.measured.std is None else f" ± {spread:.2f}")
        draw.text((right, middle), text, "black", _font(13), anchor="lm")
    if row.experiment.published is not None:
        theirs = row.experiment.published.mean
        left = _left(theirs, end)
        draw.line([(left, top + 3), (left, top + LINE - 3)], PAPER, 3)
        text = f"paper{DAGGER * marked} {theirs:.1f}"
        draw.text((right + 110, middle), text, PAPER, _font(13), anchor="lm")


def _axis_end(table: Comparison) -> int:
    """Return the next multiple of ten above every number."""
    means = [row.measured.mean or 0 for row in table.rows if row.measured]
    means += [row.experiment.published.mean for row in table.rows if row.experiment.published]
    return 10 * (int(max(means, default=0)) // 10 + 1)


def _left(value: float, end: int) -> int:
    return MARGIN + LABEL + round(value / end * BARS)


def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size=size)


def _wrapped(text: str, width: int = 130) -> list[str]:
    """Return the lines of a note, without Markdown's marks."""
    lines = [""]
    plain = text.replace("\\", "").replace("`", "'").replace("†", DAGGER)
    for word in plain.split():
        if len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
