"""Small annotation files of every format, and an independent rendering of polygons."""

import base64
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image
from shapely import Point, Polygon

from tests.support.fakes import jpeg_bytes, write

HEIGHT, WIDTH = 40, 60


def photographs(root: Path, names: list[str], suffix: str = ".jpg") -> Path:
    for number, name in enumerate(names):
        write(root / f"{name}{suffix}", jpeg_bytes(number, HEIGHT, WIDTH))
    return root


def inside(points: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Pixels whose centre lies in a polygon, by shapely point for point, and those that are clear:
    pycocotools rounds edges to a fifth of a pixel, so centres nearer than that may go either way.
    """
    polygon = Polygon(points)
    found, clear = np.zeros((HEIGHT, WIDTH), bool), np.zeros((HEIGHT, WIDTH), bool)
    for row in range(HEIGHT):
        for column in range(WIDTH):
            centre = Point(column + 0.5, row + 0.5)
            found[row, column] = polygon.contains(centre)
            clear[row, column] = polygon.boundary.distance(centre) > 0.3
    return found, clear


def png64(values: np.ndarray) -> str:
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


def labelme(path: Path, shapes: list[dict], name: str, size=(HEIGHT, WIDTH)) -> Path:
    full = [{"group_id": None, "flags": {}, "shape_type": "polygon", **s} for s in shapes]
    raw = {
        "version": "5.4.1", "flags": {}, "shapes": full, "imagePath": name, "imageData": None,
        "imageHeight": size[0], "imageWidth": size[1],
    }  # fmt: skip
    return write(path, json.dumps(raw).encode())


def coco(path: Path, images: list[dict], annotations: list[dict], categories: dict) -> Path:
    raw = {
        "images": [{"height": HEIGHT, "width": WIDTH, **i} for i in images],
        "annotations": [{"id": n, "iscrowd": 0, **a} for n, a in enumerate(annotations, start=1)],
        "categories": [{"id": i, "name": name} for i, name in categories.items()],
    }
    return write(path, json.dumps(raw).encode())


def flat(points: list[tuple[float, float]]) -> list[float]:
    return [v for point in points for v in point]


class BrushBits:
    """Writes Label Studio's brush encoding, in the plainest way: an oracle for the reader."""

    def __init__(self) -> None:
        self.bits = ""

    def put(self, value: int, size: int) -> None:
        self.bits += format(value, f"0{size}b")

    def encode(self, mask: np.ndarray) -> list[int]:
        values = np.repeat(mask.astype(np.uint8).ravel(), 4).tolist()
        self.put(len(values), 32)
        self.put(7, 5)
        for size in (3, 4, 8, 16):
            self.put(size - 1, 4)
        at = 0
        while at < len(values):
            end = at
            while end < len(values) and values[end] == values[at] and end - at < 65536:
                end += 1
            if end - at > 2:
                choice = 3 if end - at > 256 else 2
                self.put(1, 1)
                self.put(choice, 2)
                self.put(end - at - 1, (3, 4, 8, 16)[choice])
                self.put(values[at], 8)
            else:
                end = at + 1
                self.put(0, 1)
                self.put(0, 2)
                self.put(0, 3)
                self.put(values[at], 8)
            at = end
        self.bits += "0" * (-len(self.bits) % 8)
        return [int(self.bits[i : i + 8], 2) for i in range(0, len(self.bits), 8)]
