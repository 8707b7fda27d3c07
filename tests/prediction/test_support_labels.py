"""Supports with annotation files instead of masks."""

import json

import numpy as np
import pytest

from fsslib.errors import FsslibError
from fsslib.prediction.support_masks import marked_values, read_support_mask, smooth_cut
from stages.support.options import SupportOption, class_name
from tests.support.annotations import HEIGHT, WIDTH, coco, flat, labelme, photographs
from tests.support.fakes import png_bytes, write

SQUARE = [(10.0, 5.0), (30.0, 5.0), (30.0, 25.0), (10.0, 25.0)]
CORNER = [(50.0, 30.0), (60.0, 30.0), (60.0, 40.0), (50.0, 40.0)]
SHAPES = [{"label": "cat", "points": SQUARE}, {"label": "dog", "points": CORNER},
          {"label": "__ignore__", "points": [[0, 0], [4, 0], [4, 4], [0, 4]]}]  # fmt: skip


def expected(dog=False, ignored=True):
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[5:25, 10:30] = not dog
    mask[30:40, 50:60] = dog
    if ignored:
        mask[:4, :4] = 255
    return mask


@pytest.fixture
def photo(tmp_path):
    return photographs(tmp_path, ["a"]) / "a.jpg"


def test_labelme_gives_the_label_that_is_asked_for(photo):
    path = labelme(photo.with_suffix(".json"), SHAPES, "moved/elsewhere.jpg")
    assert (read_support_mask(path, photo, None, "cat") == expected()).all()
    assert (read_support_mask(path, photo, None, "dog") == expected(dog=True)).all()
    with pytest.raises(FsslibError, match="labels cat, dog: name one of them as the class"):
        read_support_mask(path, photo, None, "bird")
    with pytest.raises(FsslibError, match="holds labels, no values"):
        read_support_mask(path, photo, 3, "cat")
    with pytest.raises(FsslibError, match="labels cat, dog: name one"):
        class_name(SupportOption("object", photo, path))
    assert marked_values(path) == []


def test_a_single_label_needs_no_name_and_may_be_called_otherwise(photo):
    path = labelme(photo.with_suffix(".json"), SHAPES[:1], "a.jpg")
    assert class_name(SupportOption("object", photo, path)) == "cat"
    assert class_name(SupportOption("tiger", photo, path)) == "tiger"
    found = read_support_mask(path, photo, None, "tiger")
    assert (found == expected(ignored=False)).all()


def test_a_coco_file_of_many_photographs_is_searched_for_the_one(photo):
    listed = [{"id": 3, "file_name": "far/away.jpg"}, {"id": 7, "file_name": "cam/a.jpg"}]
    drawn = [{"image_id": 3, "category_id": 1, "segmentation": [flat(CORNER)]},
             {"image_id": 7, "category_id": 90, "segmentation": [flat(SQUARE)]}]  # fmt: skip
    path = coco(photo.with_name("all.json"), listed, drawn, {1: "dog", 90: "cat"})
    assert (read_support_mask(path, photo, None) == expected(ignored=False)).all()
    raw = json.loads(path.read_text())
    raw["images"].pop()
    path.write_text(json.dumps(raw))
    with pytest.raises(FsslibError, match=r"annotates a.jpg 0 times, not once"):
        read_support_mask(path, photo, None)


def test_yolo_text_is_read_with_and_without_names(photo):
    line = " ".join(f"{x / WIDTH:.6f} {y / HEIGHT:.6f}" for x, y in SQUARE)
    path = write(photo.with_suffix(".txt"), f"2 {line}\n".encode())
    assert (read_support_mask(path, photo, None) == expected(ignored=False)).all()
    assert class_name(SupportOption("object", photo, path)) == "2"
    write(photo.with_name("data.yaml"), b"names: [a, b, cat]\n")
    assert class_name(SupportOption("object", photo, path)) == "cat"


@pytest.mark.parametrize(("shapes", "says"), [
    ([], "labels no area of"), ([{"label": "cat", "points": [[1, 1], [2, 2]]}], "no area"),
    ([{"label": "cat", "points": [[1.1, 1.1], [1.2, 1.1], [1.2, 1.2]]}], "labels no pixel"),
])  # fmt: skip
def test_labels_without_an_area_are_refused(photo, shapes, says):
    path = labelme(photo.with_suffix(".json"), shapes, "a.jpg")
    with pytest.raises(FsslibError, match=says):
        read_support_mask(path, photo, None)


def test_a_mask_with_smoothed_edges_is_cut_at_half(photo):
    ramp = np.zeros((HEIGHT, WIDTH), np.uint8)
    ramp[10:30, 20:40] = 255
    for step in range(1, 10):
        ramp[10:30, 20 - step] = 255 - 25 * step
    path = write(photo.with_suffix(".png"), png_bytes(ramp, palette=False))
    assert smooth_cut(path) == 128
    assert ((read_support_mask(path, photo, None) == 1) == (ramp >= 128)).all()
    assert marked_values(path) == []
    plain = write(photo.with_name("b.png"), png_bytes(np.where(ramp == 255, 7, 0).astype(np.uint8)))
    assert smooth_cut(plain) == 1
    assert marked_values(plain) == [7]
