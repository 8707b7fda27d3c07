"""Files of predictions: names that never collide, colours that differ, inputs that stay."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fsslib.pictures.predictions import COLOURS, OVERLAY_SIDE, index_png, overlay_jpeg
from fsslib.prediction.found import Prediction
from fsslib.prediction.prediction_files import (
    Format,
    check_outputs,
    find_photographs,
    output_names,
    prediction_record,
)
from tests.support.fakes import jpeg_bytes, write
from tests.support.helpers import one_line


def prediction(size=(40, 60), names=("cat", "a very long name of a dog")):
    mask = np.zeros(size, np.uint8)
    mask[10:30, 10:40] = 1
    return Prediction(mask, names, (0.91, 0.2), (True, False))


def opened(content):
    return Image.open(io.BytesIO(content))


def test_index_png_holds_class_numbers_in_the_colours_of_the_overlay():
    found = opened(index_png(prediction()))
    assert found.mode == "P"
    assert np.array_equal(np.asarray(found), prediction().mask)
    shown = np.asarray(found.convert("RGB"))
    assert tuple(shown[20, 20]) == COLOURS[0]
    assert tuple(shown[0, 0]) == (0, 0, 0)


def test_overlay_tints_the_class_and_has_a_legend_below():
    image = np.full((40, 60, 3), 100, np.uint8)
    shown = np.asarray(opened(overlay_jpeg(image, prediction())), np.int64)
    assert shown.shape[0] > 55  # two rows of legend: the names do not fit side by side
    assert shown.shape[1] == 60
    expected = 0.55 * 100 + 0.45 * np.array(COLOURS[0])
    assert np.abs(shown[20, 20] - expected).max() < 12
    assert np.abs(shown[2, 2] - 100).max() < 8
    assert (shown[40:] < 140).any()


def test_a_large_overlay_is_scaled_down_and_the_index_png_is_not():
    large = prediction((100, 3000))
    shown = opened(overlay_jpeg(np.zeros((100, 3000, 3), np.uint8), large))
    assert shown.width == OVERLAY_SIDE
    assert opened(index_png(large)).size == (3000, 100)


def test_record_tells_names_scores_presence_and_areas():
    record = prediction_record(Path("x/a.jpg"), "a", prediction())
    assert record["mask"] == "a.mask.png"
    assert record["overlay"] == "a.overlay.jpg"
    assert (record["height"], record["width"]) == (40, 60)
    assert record["classes"][0] == {
        "name": "cat",
        "score": 0.91,
        "present": True,
        "pixels": 600,
        "share": 0.25,
    }
    assert record["classes"][1]["present"] is False


def test_names_of_outputs_never_collide():
    given = [Path(p) for p in ("x/a.jpg", "x/a.png", "x/b.jpg", "y/a.jpg", "y/B.jpg", "c.tar.jpg")]
    names = [output_names(given)[p] for p in given]
    assert names == ["a.jpg", "a.png", "b.jpg", "a.jpg-2", "B.jpg-2", "c.tar"]
    odd = [Path("a.jpg"), Path("a.png"), Path("x/a.jpg.jpg")]
    assert len({n.lower() for n in output_names(odd).values()}) == 3


def test_folders_are_listed_in_order_and_files_taken_as_they_are(tmp_path):
    for name in ("b.jpg", "a.PNG", "c.txt", ".hidden.jpg", "deep/d.jpg"):
        write(tmp_path / name, jpeg_bytes(0))
    found = find_photographs([tmp_path, tmp_path / "b.jpg", tmp_path / "c.txt"])
    assert [p.name for p in found] == ["a.PNG", "b.jpg", "c.txt"]
    (tmp_path / "empty").mkdir()
    assert "holds no photograph" in one_line(find_photographs, [tmp_path / "empty"])
    assert "does not exist" in one_line(find_photographs, [tmp_path / "none"])


@pytest.mark.parametrize("name", ["a.mask.png", "a.overlay.jpg"])
def test_an_input_is_never_written_over(tmp_path, name):
    check_outputs(tmp_path, ["a"], [tmp_path / "a.jpg"])
    message = one_line(check_outputs, tmp_path, ["a"], [tmp_path / "x" / ".." / name])
    assert name in message


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("coco", "annotations.json"),
        ("labelme", "a.json"),
        ("yolo", "labels/a.txt"),
        ("yolo", "data.yaml"),
    ],
)
def test_an_annotation_file_is_never_written_over_an_input(tmp_path, form, name):
    check_outputs(tmp_path, ["a"], [tmp_path / "photos" / "a.jpg"], Format(form))
    message = one_line(check_outputs, tmp_path, ["a"], [tmp_path / name], Format(form))
    assert f"would get {Path(name).name}, which is an input" in message


@pytest.mark.parametrize(
    ("form", "photograph", "name"),
    [
        ("coco", "a.jpg", "annotations.json"),
        ("labelme", "a.jpg", "a.json"),
        ("yolo", "images/a.jpg", "a.txt"),
        ("yolo", "labels/a.jpg", "a.txt"),
    ],
)
def test_labels_that_tools_keep_with_a_photograph_stay(tmp_path, form, photograph, name):
    inputs = [tmp_path / photograph]
    check_outputs(tmp_path, ["a"], inputs)
    message = one_line(check_outputs, tmp_path, ["a"], inputs, Format(form))
    assert f"would get {name}, which is the place of your own {form} labels" in message


def test_a_labelme_file_never_has_the_summary_s_name(tmp_path):
    photograph = [Path("x/Predictions.jpg")]
    check_outputs(tmp_path, ["Predictions"], photograph, Format.YOLO)
    message = one_line(check_outputs, tmp_path, ["Predictions"], photograph, Format.LABELME)
    assert "rename the photograph" in message


def test_a_record_names_annotations_in_place_of_a_mask():
    found = prediction()
    for form, name in (
        (Format.COCO, "annotations.json"), (Format.LABELME, "a.json"), (Format.YOLO, "labels/a.txt")
    ):  # fmt: skip
        record = prediction_record(Path("x/a.jpg"), "a", found, form)
        assert record["annotations"] == name
        assert "mask" not in record
