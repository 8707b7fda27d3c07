"""Predictions as annotations that tools read: COCO, LabelMe and YOLO, a polygon a region."""

import io
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from fsslib.prediction.found import Prediction
from fsslib.prediction.outlines import Region, outline_regions

LABELME_VERSION = "5.4.1"
"""The layout of the files; later LabelMe reads it too."""

YOLO_HEAD = """\
# Predictions of fss as Ultralytics reads them. To train on them, put the photographs (or a link to
# their folder) at images/, beside labels/, and part them: train and val are the same here.
"""


@dataclass(frozen=True)
class CocoImage:
    """What a COCO file says of one photograph.

    Attributes:
        name: file name.
        size: height and width in px.
        annotations: without the ids, which the whole file gives.
    """

    name: str
    size: tuple[int, int]
    annotations: Sequence[Mapping[str, Any]]


def coco_image(prediction: Prediction, name: str) -> CocoImage:
    """The entries of one photograph, whose file is `name`."""
    annotations = [
        {
            "category_id": number + 1,
            "segmentation": [region.polygon.ravel().tolist()],
            "bbox": list(region.box),
            "area": region.area,
            "iscrowd": 0,
            "score": round(prediction.scores[number], 4),
        }
        for number, region in _regions(prediction)
    ]
    height, width = prediction.mask.shape
    return CocoImage(name, (height, width), annotations)


def coco_document(names: Sequence[str], images: Sequence[CocoImage]) -> dict[str, Any]:
    """The COCO file of all photographs; classes, images and annotations are counted from 1."""
    annotations = [(i, a) for i, image in enumerate(images, start=1) for a in image.annotations]
    return {
        "images": [
            {"id": i, "file_name": image.name, "width": image.size[1], "height": image.size[0]}
            for i, image in enumerate(images, start=1)
        ],
        "categories": [{"id": i, "name": name} for i, name in enumerate(names, start=1)],
        "annotations": [
            {"id": number, "image_id": i, **annotation}
            for number, (i, annotation) in enumerate(annotations, start=1)
        ],
    }


def coco_names(photographs: Sequence[Path], query: Sequence[Path]) -> dict[Path, str]:
    """The `file_name` of each photograph: its path below the folder it was found in, or its name.

    Where two would be the same, all get their path below the folder that holds them all.
    """
    folders = [path for path in query if path.is_dir()]
    names = {}
    for photograph in photographs:
        above = next((f for f in folders if photograph.is_relative_to(f)), photograph.parent)
        names[photograph] = photograph.relative_to(above).as_posix()
    if len(set(names.values())) < len(names):
        places = {path: path.parent.resolve() for path in photographs}
        common = os.path.commonpath(places.values())
        names = {p: (place / p.name).relative_to(common).as_posix() for p, place in places.items()}
    return names


def labelme_document(prediction: Prediction, photograph: Path, folder: Path) -> dict[str, Any]:
    """The LabelMe file of one photograph, also of one without shapes.

    Args:
        prediction: what was found.
        photograph: its path.
        folder: where the file will lie; `imagePath` starts there.
    """
    # Links are followed: `..` out of a linked folder leads elsewhere.
    place = photograph.parent.resolve() / photograph.name
    height, width = prediction.mask.shape
    return {
        "version": LABELME_VERSION,
        "flags": {},
        "shapes": [
            {
                "label": prediction.names[number],
                "points": region.polygon.tolist(),
                "group_id": None,
                "description": "",
                "shape_type": "polygon",
                "flags": {},
                "score": round(prediction.scores[number], 4),
            }
            for number, region in _regions(prediction)
        ],
        "imagePath": Path(os.path.relpath(place, folder.resolve())).as_posix(),
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }


def yolo_text(prediction: Prediction) -> str:
    """Lines `class x1 y1 x2 y2 ...`, classes from 0, shares of width and height; may be empty."""
    height, width = prediction.mask.shape
    lines = []
    for number, region in _regions(prediction):
        shares = (region.polygon / (width, height)).ravel()
        lines.append(" ".join([str(number), *(f"{share:.6f}" for share in shares)]) + "\n")
    return "".join(lines)


def yolo_dataset(names: Sequence[str]) -> str:
    """The file `data.yaml`: `path` is left out, so that it is the folder of the file itself."""
    stream = io.StringIO()
    yaml = YAML()
    yaml.width = sys.maxsize  # a name is never broken into lines
    # In quotes: to the YAML of other tools a bare `no` is a truth value.
    quoted = {number: DoubleQuotedScalarString(name) for number, name in enumerate(names)}
    yaml.dump({"train": "images", "val": "images", "names": quoted}, stream)
    return YOLO_HEAD + stream.getvalue()


def _regions(prediction: Prediction) -> Iterator[tuple[int, Region]]:
    """The regions of every class, with its number from 0."""
    for number, pixels in enumerate(prediction.pixels):
        if pixels:
            for region in outline_regions(prediction.mask == number + 1):
                yield number, region
