"""Draws overlays, sheets of pictures and pseudo-masks (figure 3)."""

import io
import math
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fsslib.data.folds import IGNORE
from fsslib.data.images import UInt8, read_image, read_mask
from fsslib.data.manifest import Manifest
from fsslib.data.palette import voc_palette

Rows = Sequence[Sequence[tuple[str, Image.Image]]]
"""Captions and pictures, row by row."""
TILE = 192
"""Height of a picture in a panel, px."""
GAP = 6
TRUTH, PREDICTION = (0, 158, 115), (213, 94, 0)
"""Okabe and Ito's bluish green and vermilion, which colour-blind readers can tell apart."""


def overlay(
    image: UInt8, mask: UInt8, colour: tuple[int, int, int], tint: float = 0.5
) -> Image.Image:
    """Draw the mask on the photograph: class 1 tinted and outlined, ignored pixels (255) paler.

    `tint` is the share of the colour in tinted pixels.
    """
    canvas = image.astype(np.float32)
    inside = mask == 1
    canvas[inside] = (1 - tint) * canvas[inside] + tint * np.array(colour)
    canvas[mask == IGNORE] = _paled(canvas[mask == IGNORE], 0.4)
    edge = inside & ~(_shrink(inside))
    canvas[edge] = colour
    return Image.fromarray(canvas.round().astype(np.uint8))


def _paled(colours: NDArray[Any], white: float) -> NDArray[Any]:
    """Mix colours with a share of white."""
    return (1 - white) * colours + white * 255


def _shrink(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    padded = np.pad(inside, 2, constant_values=True)
    eroded: NDArray[np.bool_] = (
        padded[:-4, 2:-2] & padded[4:, 2:-2] & padded[2:-2, :-4] & padded[2:-2, 4:] & inside
    )
    return eroded


def colour_mask(mask: UInt8) -> Image.Image:
    """Draw an index mask in the VOC palette, as RGB."""
    picture = Image.fromarray(mask, "L")
    picture.putpalette(list(voc_palette()))
    return picture.convert("RGB")


def compared_mask(mask: UInt8, reference: UInt8) -> Image.Image:
    """Draw `colour_mask` and make it pale where the mask differs from the reference.

    The difference is thus visible without telling colours apart.
    """
    canvas = np.array(colour_mask(mask))
    differs = mask != reference
    canvas[differs] = _paled(canvas[differs], 0.6).round()
    return Image.fromarray(canvas)


def grid(rows: Rows, height: int = TILE) -> bytes:
    """Draw captioned pictures in rows, all of one height (px), as PNG."""
    return sheet([("", rows)], height)


def sheet(blocks: Sequence[tuple[str, Rows]], height: int = TILE) -> bytes:
    """Draw grids below each other as PNG, each under its title if it has one."""
    lines = []
    for title, rows in blocks:
        lines += [*_titled(title), *_captioned(rows, height)]
    buffer = io.BytesIO()
    _below(lines).save(buffer, "PNG")
    return buffer.getvalue()


def _titled(title: str) -> list[Image.Image]:
    if not title:
        return []
    font = ImageFont.load_default(size=17)
    line = Image.new("RGB", (GAP + math.ceil(font.getlength(title)), 30), "white")
    ImageDraw.Draw(line).text((2, 6), title, fill="black", font=font)
    return [line]


def _captioned(rows: Rows, height: int) -> list[Image.Image]:
    font = ImageFont.load_default(size=13)
    lines = []
    for row in rows:
        tiles = []
        for caption, picture in row:
            width = max(1, round(picture.width * height / picture.height))
            tile = Image.new("RGB", (width, height + 20), "white")
            tile.paste(picture.resize((width, height), Image.Resampling.BILINEAR), (0, 20))
            ImageDraw.Draw(tile).text((2, 2), caption, fill="black", font=font)
            tiles.append(tile)
        lines.append(_beside(tiles))
    return lines


def _beside(tiles: Sequence[Image.Image]) -> Image.Image:
    width = sum(t.width + GAP for t in tiles)
    line = Image.new("RGB", (width, max(t.height for t in tiles)), "white")
    left = 0
    for tile in tiles:
        line.paste(tile, (left, 0))
        left += tile.width + GAP
    return line


def _below(lines: Sequence[Image.Image]) -> Image.Image:
    height = sum(line.height + GAP for line in lines)
    sheet = Image.new("RGB", (max(line.width for line in lines), height), "white")
    top = 0
    for line in lines:
        sheet.paste(line, (0, top))
        top += line.height + GAP
    return sheet


def episode_tiles(
    support: UInt8, given: UInt8, query: UInt8, truth: UInt8, predicted: UInt8, name: str
) -> list[tuple[str, Image.Image]]:
    """Draw support, truth and prediction of an episode with one support, with captions (figure 4).

    Args:
        support: (H, W, 3) uint8 photograph.
        given: (H, W) uint8 mask of the support; 1 is the class, 255 ignored.
        query: (h, w, 3) uint8 photograph.
        truth: (h, w) uint8 mask of the query; 1 is the class, 255 ignored.
        predicted: (h, w) uint8, 1 where the class is predicted.
        name: name of the class.
    """
    return [
        (f"support: {name}", overlay(support, given, TRUTH)),
        ("truth", overlay(query, truth, TRUTH)),
        (f"prediction, IoU {_iou(predicted, truth):.0f}", overlay(query, predicted, PREDICTION)),
    ]


def _iou(predicted: UInt8, truth: UInt8) -> float:
    """Return the IoU in percent, over the pixels that are not ignored."""
    won, true, valid = predicted == 1, truth == 1, truth != IGNORE
    union = int((won | true)[valid].sum())
    return 100 * int((won & true)[valid].sum()) / max(1, union)


def pseudo_panel(
    manifest: Manifest,
    fold: int,
    pool: Collection[str],
    read_pseudo: Callable[[str], UInt8],
    count: int = 6,
) -> bytes:
    """Draw photograph, truth and pseudo-mask of training images that hold novel classes (figure 3).

    Args:
        manifest: manifest of the dataset.
        fold: fold whose novel classes are unlabelled in the backgrounds.
        pool: ids of the images that have a pseudo-mask.
        read_pseudo: pool image id -> (H, W) pseudo-mask.
        count: number of images: the first in id order that hold a novel and a base class.
    """
    novel = manifest.novel(fold)
    annotated = [r for r in manifest.train if r.id in pool]
    hiding = [r for r in annotated if r.has_any(novel, 1000) and r.has_any(manifest.base(fold))]
    rows = []
    for record in (hiding or annotated)[:count]:
        mask = read_mask(manifest.mask_path(record), record.size)
        hidden = ", ".join(manifest.classes[c] for c in novel if c in record.pixels)
        base = np.where(np.isin(mask, novel), 0, mask).astype(np.uint8)
        rows.append(
            [
                (
                    "photograph",
                    Image.fromarray(read_image(manifest.image_path(record), record.size)),
                ),
                ("base classes", colour_mask(base)),
                (f"hidden: {hidden}" if hidden else "hidden: none", colour_mask(mask)),
                ("pseudo-mask", colour_mask(read_pseudo(record.id))),
            ]
        )
    empty = Image.new("RGB", (3 * TILE, TILE), "white")
    return grid(rows or [[("no training image is in the pool", empty)]])
