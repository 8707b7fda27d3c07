"""Makes docs/images/use.jpg: what `fss predict` finds with one masked photograph of a windmill.

The photographs are in the public domain or CC0 and come in Debian's package gcompris-qt-data. The
windmills are all those of the package in the order of their names, from the first, and the other
two are the first of its dams (docs/pictures.md). The mask of the support was drawn by hand.

    apt-get download gcompris-qt-data && dpkg-deb -x gcompris-qt-data_*.deb /tmp/gcompris
    python -m benchmarks.picture_of_use --rcc /tmp/gcompris/usr/share/gcompris-qt/rcc
"""

import argparse
import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from fsslib import Prediction, Segmenter
from fsslib.pictures.panels import PREDICTION, TRUTH, overlay

FOLDER = "resource/images/renewable/"
SUPPORT = "windmill4"
"""The only windmill that is sharp, whole and free of other things; chosen before any prediction."""

OUTLINE = [
    [(121, 120), (121, 110), (128, 98), (138, 93), (155, 92), (165, 97), (172, 110), (171, 121),
     (176, 140), (182, 165), (186, 180), (186, 204), (150, 207), (102, 205), (102, 180), (112, 140),
     (118, 121)],
    [(75, 41), (79, 37), (86, 28), (150, 76), (144, 85), (155, 98), (148, 95)],
    [(157, 96), (168, 82), (217, 34), (221, 39), (226, 48), (178, 96), (170, 86), (160, 98)],
    [(118, 119), (76, 171), (90, 184), (156, 101), (150, 100)],
    [(160, 98), (230, 163), (229, 167), (220, 177), (160, 120)],
]  # fmt: skip
"""Tower and four sails of the support, (x, y) in px."""

ROWS = (
    ("windmill", "windmill1", "windmill11", "windmill12"),
    ("windmill13", "windmill14", "dam1", "dam2"),
)
OTHERS = ("windmill6",)
"""Not measured: a wind turbine under the GPL."""

THRESHOLD = 0.88
"""Chosen on these photographs; `main` prints how well it divides all of them."""

GAP, CAPTION, LEFT, RIGHT = 8, 26, 420, 812


def read_resources(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of the files in a Qt resource file (rcc)."""
    magic, version, tree, data, names = struct.unpack(">4s4I", content[:20])
    if magic != b"qres":
        raise SystemExit("categorization.rcc is not a Qt resource file")
    length = 22 if version >= 2 else 14

    def walk(number: int, above: str) -> Iterator[tuple[str, bytes]]:
        node = content[tree + number * length :]
        name_at, flags = struct.unpack(">IH", node[:6])
        at = names + name_at
        (size,) = struct.unpack(">H", content[at : at + 2])
        name = content[at + 6 : at + 6 + 2 * size].decode("utf-16-be") if number else ""
        if flags & 2:
            count, first = struct.unpack(">II", node[6:14])
            for child in range(first, first + count):
                yield from walk(child, f"{above}{name}/")
        else:
            at = data + struct.unpack(">I", node[10:14])[0]
            (size,) = struct.unpack(">I", content[at : at + 4])
            stored = content[at + 4 : at + 4 + size]
            yield above + name, zlib.decompress(stored[4:]) if flags & 1 else stored

    yield from walk(0, "")


def photographs(rcc: Path) -> dict[str, np.ndarray]:
    found = {}
    for path, content in read_resources((rcc / "categorization.rcc").read_bytes()):
        if FOLDER in path and path.endswith(".webp") and Path(path).stem not in OTHERS:
            found[Path(path).stem] = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    return found


def support_mask(size: tuple[int, int]) -> np.ndarray:
    mask = Image.new("L", size)
    for part in OUTLINE:
        ImageDraw.Draw(mask).polygon(part, fill=1)
    return np.asarray(mask)


def text(found: Prediction) -> str:
    return f"{'windmill' if found.present[0] else 'no windmill'} ({found.scores[0]:.2f})"


def tile(caption: str, picture: Image.Image, height: int, width: int | None = None) -> Image.Image:
    width = width or round(picture.width * height / picture.height)
    made = Image.new("RGB", (width, height + CAPTION), "white")
    made.paste(picture.resize((width, height), Image.Resampling.LANCZOS), (0, CAPTION))
    font = ImageFont.load_default(size=17)
    ImageDraw.Draw(made).text((0, 2), caption, "black", font)
    return made


def justified(row: Sequence[tuple[str, Image.Image]]) -> Image.Image:
    """Draw tiles of one height beside each other, `RIGHT` px wide in all."""
    room = RIGHT - GAP * (len(row) - 1)
    height = round(room / sum(p.width / p.height for _, p in row))
    line, left = Image.new("RGB", (RIGHT, height + CAPTION), "white"), 0
    for number, (caption, picture) in enumerate(row, 1):
        made = tile(caption, picture, height, RIGHT - left if number == len(row) else None)
        line.paste(made, (left, 0))
        left += made.width + GAP
    return line


def sheet(support: Image.Image, rows: Sequence[Image.Image]) -> Image.Image:
    height = sum(row.height for row in rows) + GAP * (len(rows) - 1)
    made = Image.new("RGB", (LEFT + 3 * GAP + RIGHT, height), "white")
    made.paste(support, (0, 0))
    lines = (
        "One masked photograph (green),\nno training. Orange: what is found\nin other photographs."
    )
    font = ImageFont.load_default(size=22)
    ImageDraw.Draw(made).multiline_text((0, support.height + 14), lines, "black", font, spacing=8)
    top = 0
    for row in rows:
        made.paste(row, (LEFT + 3 * GAP, top))
        top += row.height + GAP
    return made


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rcc", type=Path, required=True, help="folder of categorization.rcc")
    parser.add_argument("--out", type=Path, default=Path("docs/images/use.jpg"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    images = photographs(args.rcc)
    support = images.pop(SUPPORT)
    mask = support_mask((support.shape[1], support.shape[0]))
    segmenter = Segmenter(device="cpu")
    segmenter.learn("windmill", support, mask)
    found = {name: segmenter.predict(image, THRESHOLD) for name, image in sorted(images.items())}
    for name, prediction in found.items():
        print(f"{name:<12}{text(prediction)}")
    present = {name for name, prediction in found.items() if prediction.present[0]}
    mills = {name for name in found if name.startswith("windmill")}
    print(f"threshold {THRESHOLD}, by default {segmenter.calibration.threshold:.2f}")
    print(f"present in {len(present & mills)} of {len(mills)} photographs with a windmill")
    print(f"present in {len(present - mills)} of {len(found) - len(mills)} without")
    rows = [
        justified([(text(found[n]), overlay(images[n], found[n].mask, PREDICTION)) for n in names])
        for names in ROWS
    ]
    given = overlay(support, mask, TRUTH)
    left = tile("support", given, round(LEFT * given.height / given.width), LEFT)
    sheet(left, rows).save(args.out, quality=88, subsampling=0)


if __name__ == "__main__":
    main()
