"""From labels to predictions, to corrections in a tool's format, and back to a dataset."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from fsslib.data.images import read_mask
from stages.tools.fss import app
from tests.support.annotations import labelme
from tests.support.fakes import REAL, needs_coco, write


def run_app(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


POINTS = [(20.0, 15.0), (70.0, 18.0), (75.0, 60.0), (22.0, 66.0)]


def scene(seed: int, number: int = 90) -> Image.Image:
    """A bright and a dark block on noise."""
    rng = np.random.default_rng(seed)
    values = rng.integers(90, 130, (number, 120, 3), dtype=np.uint8)
    values[15:65, 20:75] = (230, 60, 40)
    values[30:80, 85:115] = (20, 30, 160)
    return Image.fromarray(values)


@pytest.fixture(scope="module")
def predicted(tmp_path_factory):
    """Photographs, and the predictions of two classes in each format."""
    root = tmp_path_factory.mktemp("loop")
    photos = root / "photos"
    photos.mkdir()
    for number in range(4):
        scene(number).save(photos / f"p{number}.jpg", quality=95)
    shapes = [{"label": "red", "points": POINTS},
              {"label": "blue", "points": [[85, 30], [115, 30], [115, 80], [85, 80]]}]  # fmt: skip
    support = labelme(root / "p0.json", shapes, "photos/p0.jpg", (90, 120))
    for form in ("masks", "coco", "labelme", "yolo"):
        result = run_app(
            "predict", "--support", "red", photos / "p0.jpg", support, "--support", "blue",
            photos / "p0.jpg", support, "--query", photos, "--out", root / form, "--threshold", 0,
            "--format", form,
        )  # fmt: skip
        assert result.exit_code == 0, result.stderr
    return root


@pytest.mark.parametrize("form", ["coco", "labelme", "yolo"])
def test_predictions_come_back_as_labels(predicted: Path, form: str, tmp_path: Path):
    out = tmp_path / "mine"
    result = run_app(
        "data", "folder", "--images", predicted / "photos", "--labels", predicted / form,
        "--out", out,
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    described = json.loads((out / "dataset.json").read_text())
    names = {name: int(number) for number, name in described["classes"].items()}
    assert set(names) == {"red", "blue"}
    for number in range(4):
        again = read_mask(out / "SegmentationClass" / f"p{number}.png")
        before = np.asarray(Image.open(predicted / "masks" / f"p{number}.mask.png"))
        expected = np.select([before == 1, before == 2], [names["red"], names["blue"]], 0)
        assert (again == expected).mean() >= 0.995
        for value in names.values():
            assert ((again == value) != (expected == value)).sum() <= 0.005 * (expected > 0).sum()


@pytest.mark.slow
@needs_coco
def test_three_categories_of_real_coco_go_from_json_to_predictions(tmp_path: Path):
    source = REAL / "coco-tiny"
    raw = json.loads((source / "annotations/instances_train2017.json").read_text())
    ids = {1: 700, 44: 3, 50: 12}
    raw["categories"] = [c | {"id": ids[c["id"]]} for c in raw["categories"] if c["id"] in ids]
    raw["annotations"] = [a | {"category_id": ids[a["category_id"]]}
                          for a in raw["annotations"] if a["category_id"] in ids]  # fmt: skip
    labels = write(tmp_path / "own labels.json", json.dumps(raw).encode())
    images, out = source / "train2017", tmp_path / "mine"
    result = run_app("data", "folder", "--images", images, "--labels", labels, "--out", out)
    assert result.exit_code == 0, result.stderr
    classes = json.loads((out / "dataset.json").read_text())["classes"]
    assert list(classes.values()) == ["bottle", "spoon", "person"]
    shown = next(i for i in raw["images"] if any(
        a["image_id"] == i["id"] and a["category_id"] == 700 and a["area"] > 5000
        for a in raw["annotations"]))  # fmt: skip
    query = sorted(images.glob("*.jpg"))[:2]
    result = run_app(
        "predict", "--support", "person", images / shown["file_name"], labels, "--query",
        *query, "--out", tmp_path / "found",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert len(list((tmp_path / "found").glob("*.mask.png"))) == 2
