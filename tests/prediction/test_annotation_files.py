"""COCO, LabelMe and YOLO files of predictions: read back, they are the mask."""

import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco
from pycocotools.coco import COCO
from ruamel.yaml import YAML
from scipy import ndimage

from fsslib.prediction.annotation_files import (
    coco_document,
    coco_image,
    coco_names,
    labelme_document,
    yolo_dataset,
    yolo_text,
)
from fsslib.prediction.found import Prediction
from tests.support.polygons import decoded, drawn

NAMES = ("cat", "dog", "cow")


def prediction(seed=0, size=(120, 160)):
    """Three classes side by side in blobs with holes, islands and borders on the image's."""
    generator = np.random.default_rng(seed)
    fields = [ndimage.gaussian_filter(generator.normal(size=size), 6) for _ in range(4)]
    mask = np.argmax(fields, axis=0).astype(np.uint8)
    mask[0, 0], mask[-1, -1], mask[60:63, 80:82] = 1, 2, 3
    return Prediction(mask, NAMES, (0.912345, 0.5, 0.25), (True, True, True))


def nothing():
    return Prediction(np.zeros((30, 40), np.uint8), NAMES, (0.1, 0.0, 0.2), (False,) * 3)


def union(polygons, size):
    found = np.zeros(size, bool)
    for polygon in polygons:
        found |= drawn(polygon, *size)
    return found


def check(found, polygons):
    """Each class keeps 99.5 % of its pixels; `polygons` by class, counted from 0."""
    for number in range(len(NAMES)):
        truth = found.mask == number + 1
        lost = (union(polygons[number], truth.shape) != truth).sum()
        assert lost <= 0.005 * truth.sum()


@pytest.mark.parametrize("seed", range(6))
def test_a_coco_file_holds_the_mask(seed):
    found = prediction(seed)
    document = coco_document(NAMES, [coco_image(found, "a.jpg")])
    entries = document["annotations"]
    assert all(len(e["segmentation"]) == 1 for e in entries)
    check(found, [[e["segmentation"][0] for e in entries if e["category_id"] == n + 1]
                  for n in range(3)])  # fmt: skip
    for number, pixels in enumerate(found.pixels, start=1):
        assert sum(e["area"] for e in entries if e["category_id"] == number) == pixels
    assert {e["score"] for e in entries} == {0.9123, 0.5, 0.25}


def test_pycocotools_opens_a_coco_file_of_several_photographs(tmp_path):
    images = [coco_image(found, name) for found, name in (
        (prediction(1), "a.jpg"), (nothing(), "b.jpg"), (prediction(2, (90, 70)), "c.png"),
    )]  # fmt: skip
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(coco_document(NAMES, images)), encoding="utf-8")
    opened = COCO(str(path))
    assert [opened.imgs[i]["file_name"] for i in (1, 2, 3)] == ["a.jpg", "b.jpg", "c.png"]
    assert (opened.imgs[3]["height"], opened.imgs[3]["width"]) == (90, 70)
    assert [opened.cats[i]["name"] for i in (1, 2, 3)] == list(NAMES)
    assert sorted(opened.anns) == list(range(1, len(opened.anns) + 1))
    assert opened.getAnnIds(imgIds=2) == []
    for entry in opened.anns.values():
        inside = decoded(opened.annToRLE(entry))
        assert abs(int(inside.sum()) - entry["area"]) <= 0.003 * entry["area"]
        box = coco.toBbox(opened.annToRLE(entry))
        assert np.abs(box - entry["bbox"]).max() <= 2  # an outline may be 1 px off


@pytest.mark.parametrize("seed", range(6))
def test_a_labelme_file_holds_the_mask(seed):
    found = prediction(seed)
    document = labelme_document(found, Path("photos/a.jpg"), Path("out"))
    document = json.loads(json.dumps(document))
    shapes = document["shapes"]
    check(found, [[np.ravel(s["points"]).tolist() for s in shapes if s["label"] == name]
                  for name in NAMES])  # fmt: skip
    assert document["imagePath"] == "../photos/a.jpg"
    assert (document["imageHeight"], document["imageWidth"]) == (120, 160)
    assert document["imageData"] is None
    assert set(shapes[0]) == {
        "label", "points", "group_id", "description", "shape_type", "flags", "score",
    }  # fmt: skip


def test_a_labelme_file_without_shapes_is_a_file_all_the_same():
    document = labelme_document(nothing(), Path("b.jpg"), Path())
    assert document["shapes"] == []
    assert document["imagePath"] == "b.jpg"
    assert document["version"] == "5.4.1"


def test_the_path_of_the_photograph_starts_where_a_linked_folder_is(tmp_path):
    (tmp_path / "far" / "real").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far" / "real")
    (tmp_path / "a.jpg").write_bytes(b"")
    document = labelme_document(nothing(), tmp_path / "a.jpg", tmp_path / "link")
    assert (tmp_path / "link" / document["imagePath"]).exists()


@pytest.mark.parametrize("size", [(120, 160), (97, 131), (333, 77)])
@pytest.mark.parametrize("seed", range(3))
def test_a_yolo_file_holds_the_mask(seed, size):
    found = prediction(seed, size)
    polygons = [[], [], []]
    for line in yolo_text(found).splitlines():
        number, *shares = line.split()
        values = np.array(shares, float).reshape(-1, 2)
        assert (values >= 0).all()
        assert (values <= 1).all()
        polygons[int(number)].append((values * size[::-1]).ravel().tolist())
    check(found, polygons)


def test_a_one_pixel_region_survives_in_a_large_yolo_file():
    mask = np.zeros((3000, 4000), np.uint8)
    places = [(0, 0), (1234, 3333), (2999, 3999), (17, 2001), (2998, 5)]
    for place in places:
        mask[place] = 1
    found = Prediction(mask, ("dot",), (1.0,), (True,))
    lines = yolo_text(found).splitlines()
    assert len(lines) == len(places)
    flat = [(np.array(line.split()[1:], float).reshape(-1, 2) * (4000, 3000)).ravel().tolist()
            for line in lines]  # fmt: skip
    assert np.array_equal(union(flat, mask.shape), mask == 1)


def test_a_yolo_file_of_nothing_is_empty():
    assert yolo_text(nothing()) == ""


def test_names_of_any_kind_stand_in_data_yaml():
    names = ["cat", "yes", "1", "a: b # c", "größe", 'q"\\', "long " * 60 + "end"]
    content = YAML(typ="safe", pure=True).load(yolo_dataset(names))
    assert content["names"] == dict(enumerate(names))
    assert (content["train"], content["val"]) == ("images", "images")
    assert '1: "yes"' in yolo_dataset(names)  # PyYAML takes a bare one for true


def test_coco_names_are_paths_below_the_folder_that_was_given(tmp_path):
    for name in ("x/a.jpg", "y/a.jpg", "y/deep/b.jpg", "c.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    x, y, c = tmp_path / "x", tmp_path / "y", tmp_path / "c.jpg"
    deep = y / "deep" / "b.jpg"
    assert coco_names([y / "a.jpg", deep, c], [y, c]) == {
        y / "a.jpg": "a.jpg", deep: "deep/b.jpg", c: "c.jpg",
    }  # fmt: skip
    both = coco_names([x / "a.jpg", y / "a.jpg"], [x, y])
    assert list(both.values()) == ["x/a.jpg", "y/a.jpg"]
