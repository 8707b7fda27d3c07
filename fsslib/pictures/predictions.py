"""Draws predictions: an index PNG, and the photograph with the found classes and a legend."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fsslib.data.images import UInt8
from fsslib.pictures.panels import overlay
from fsslib.prediction.found import Prediction

COLOURS = (
    (213, 94, 0), (0, 114, 178), (240, 228, 66), (0, 158, 115), (204, 121, 167), (86, 180, 233),
    (230, 159, 0),
)  # fmt: skip
"""Okabe and Ito's colours, which colour-blind readers can tell apart: vermilion, blue, yellow,
bluish green, reddish purple, sky blue, orange. An eighth class starts again; the legend gives the
names."""

OVERLAY_SIDE = 1280
"""Largest long side of an overlay, px; the index PNG keeps the photograph's size."""

PAPER, INK, FAINT = (255, 255, 255), (30, 30, 30), (130, 130, 130)


def colour_of(number: int) -> tuple[int, int, int]:
    """Return the colour of class `number`, counted from 0."""
    return COLOURS[number % len(COLOURS)]


def index_png(prediction: Prediction) -> bytes:
    """Draw the mask as a palette PNG in the overlay's colours; pixel values are class numbers."""
    palette = [0, 0, 0]
    for number in range(255):
        palette += colour_of(number)
    picture = Image.fromarray(prediction.mask)
    picture.putpalette(palette)
    return _encoded(picture, "PNG", compress_level=4)


def overlay_jpeg(image: UInt8, prediction: Prediction) -> bytes:
    """Draw the photograph with each class tinted and outlined, above a legend with the scores."""
    shown, mask = _scaled(image, prediction.mask)
    for number, there in enumerate(prediction.present):
        if there:
            inside = (mask == number + 1).astype(np.uint8)
            shown = np.asarray(overlay(shown, inside, colour_of(number), tint=0.45))
    legend = _legend(prediction, shown.shape[1], shown.shape[0])
    sheet = Image.new("RGB", (shown.shape[1], shown.shape[0] + legend.height), PAPER)
    sheet.paste(Image.fromarray(shown), (0, 0))
    sheet.paste(legend, (0, shown.shape[0]))
    return _encoded(sheet, "JPEG", quality=90)


def _scaled(image: UInt8, mask: UInt8) -> tuple[UInt8, UInt8]:
    """Scale photograph and mask so that their long side is at most `OVERLAY_SIDE`."""
    height, width = mask.shape
    scale = min(1.0, OVERLAY_SIDE / max(height, width))
    if scale == 1:
        return image, mask
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return (
        np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)),
        np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST)),
    )


def _legend(prediction: Prediction, width: int, height: int) -> Image.Image:
    """Draw a strip with swatch, name and score of each class; an absent class is gray."""
    text = max(11, round(max(width, height) / 32))
    font = ImageFont.load_default(size=text)
    entries = zip(prediction.names, prediction.scores, prediction.present, strict=True)
    labels = [
        f"{name} {100 * score:.0f} %" if there else f"{name} absent ({100 * score:.0f} %)"
        for name, score, there in entries
    ]
    places, rows = _flow([round(font.getlength(label)) + 2 * text for label in labels], width, text)
    line = round(1.6 * text)
    strip = Image.new("RGB", (width, rows * line + text // 2), PAPER)
    draw = ImageDraw.Draw(strip)
    for number, (label, (row, left)) in enumerate(zip(labels, places, strict=True)):
        middle = text // 4 + row * line + line // 2
        there = prediction.present[number]
        box = (left, middle - text // 2, left + text, middle + text // 2)
        colour = colour_of(number) if there else PAPER
        draw.rectangle(box, fill=colour, outline=colour_of(number) if there else FAINT, width=2)
        where = (left + round(1.4 * text), middle)
        draw.text(where, label, fill=INK if there else FAINT, font=font, anchor="lm")
    return strip


def _flow(widths: Sequence[int], width: int, gap: int) -> tuple[list[tuple[int, int]], int]:
    """Place entries from left to right in rows.

    Returns:
        The row and left edge of each entry, and the number of rows.
    """
    places, row, left = [], 0, gap // 2
    for entry in widths:
        if left > gap // 2 and left + entry > width:
            row, left = row + 1, gap // 2
        places.append((row, left))
        left += entry + gap
    return places, row + 1


def _encoded(picture: Image.Image, kind: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()
