"""`fss predict` and `fss calibrate` on small photographs with random weights, and on real ones."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from fsslib.data.images import read_image, read_mask
from fsslib.encoders.resnet import ResNet
from fsslib.encoders.running import make_encode
from fsslib.encoders.weights import load_weights
from fsslib.evaluation.episodes import Episode
from fsslib.evaluation.protocol import evaluate
from fsslib.prediction.calibration_files import presence_path
from stages.tools import calibrate as calibrate_stage
from stages.tools import predict as predict_stage
from tests.support.fakes import REAL, needs_voc, png_bytes, write
from tests.support.helpers import make_dataset
from tests.support.polygons import drawn
from tests.support.scenes import scene


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    encoder = ResNet("resnet18")
    load_weights(encoder, "random")
    path = tmp_path_factory.mktemp("weights") / "w.pth"
    torch.save(encoder.state_dict(), path)
    return path


@pytest.fixture
def folder(tmp_path):
    """Photographs q0 to q2, and supports with masks of ants (1) and bees (2)."""
    for number, name in enumerate(("q0", "q1", "q2")):
        image, _ = scene(number, (1, 2), (72, 96))
        write(tmp_path / "queries" / f"{name}.png", png_bytes(image, palette=False))
    for number, name in enumerate(("ant", "bee"), start=1):
        image, mask = scene(10 + number, (number,), (72, 96))
        write(tmp_path / f"{name}.png", png_bytes(image, palette=False))
        write(tmp_path / f"{name}_mask.png", png_bytes((mask == number).astype(np.uint8)))
        write(tmp_path / f"{name}_index.png", png_bytes(mask))
    return tmp_path


def run(*args):
    """Exit code, standard error in one string."""
    result = CliRunner().invoke(predict_stage.app, [str(a) for a in args])
    return result.exit_code, result.stderr


def predict(folder, weights, *args, out="out"):
    given = ("--model", weights, "--query", folder / "queries", "--out", folder / out)
    return run(*args, *given)


def summary(folder, out="out"):
    return json.loads((folder / out / "predictions.json").read_text(encoding="utf-8"))


def test_one_class_without_a_name(folder, weights):
    support = ("--support", folder / "ant.png", folder / "ant_mask.png")
    code, said = predict(folder, weights, *support, "--threshold", 0)
    assert code == 0, said
    assert summary(folder)["refine"] == "guided"
    assert "object: present in 3 of 3 photographs" in said
    assert "'fss calibrate'" in said
    found = summary(folder)
    assert found["classes"] == {"1": "object"}
    assert found["failed"] == []
    assert [Path(r["photograph"]).name for r in found["photographs"]] == [
        "q0.png",
        "q1.png",
        "q2.png",
    ]
    for record in found["photographs"]:
        mask = np.asarray(Image.open(folder / "out" / record["mask"]))
        assert mask.shape == (72, 96)
        assert record["classes"][0]["pixels"] == (mask == 1).sum() > 0
        assert read_image(folder / "out" / record["overlay"]).shape[1] == 96
    names = sorted(p.name for p in (folder / "out").iterdir())
    assert len(names) == 7
    assert not [n for n in names if n.endswith(".part")]


def test_two_named_classes_with_index_masks(folder, weights):
    supports = []
    for name in ("ant", "bee"):
        supports += ["--support", name, folder / f"{name}.png", folder / f"{name}_mask.png"]
    code, said = predict(folder, weights, *supports, "--threshold", 0)
    assert code == 0, said
    assert summary(folder)["classes"] == {"1": "ant", "2": "bee"}
    assert [s["name"] for s in summary(folder)["supports"]] == ["ant", "bee"]
    index = ("--support", "bee", folder / "bee.png", folder / "bee_index.png")
    code, said = predict(folder, weights, *index, "--mask-value", 2, out="index")
    assert code == 0, said
    code, said = predict(folder, weights, *index, out="all")
    assert "holds 2, 255: all are bee, --mask-value takes one" in said


def test_masks_are_refined_unless_that_is_switched_off(folder, weights):
    support = ("--support", folder / "ant.png", folder / "ant_mask.png", "--threshold", 0)
    code, said = predict(folder, weights, *support)
    assert code == 0, said
    code, said = predict(folder, weights, *support, "--refine", "none", out="plain")
    assert code == 0, said
    assert (summary(folder)["refine"], summary(folder, "plain")["refine"]) == ("guided", "none")
    masks = [(folder / out / "q0.mask.png").read_bytes() for out in ("out", "plain")]
    assert masks[0] != masks[1]
    code, said = predict(folder, weights, *support, "--refine", "crf", out="no")
    assert code == 2
    assert "'crf' is not one of 'none', 'guided'" in " ".join(said.replace("│", " ").split())


def test_classes_are_saved_and_used_without_photographs(folder, weights):
    file = folder / "classes.safetensors"
    support = ("--support", "ant", folder / "ant.png", folder / "ant_mask.png")
    assert predict(folder, weights, *support, "--save-classes", file)[0] == 0
    assert predict(folder, weights, "--classes", file, out="again")[0] == 0
    first, second = summary(folder), summary(folder, "again")
    assert first["photographs"] == second["photographs"]


def test_a_broken_photograph_is_named_and_the_others_go_on(folder, weights):
    (folder / "queries" / "bad.jpg").write_bytes(b"no photograph")
    support = ("--support", folder / "ant.png", folder / "ant_mask.png")
    code, said = predict(folder, weights, *support)
    assert code == 1
    assert "bad.jpg cannot be read (not an image file)" in said
    assert "1 of 4 photographs could not be read" in said
    found = summary(folder)
    assert len(found["photographs"]) == 3
    assert len(found["failed"]) == 1
    assert "bad.jpg" in found["failed"][0]["error"]
    assert not (folder / "out" / "bad.mask.png").exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "nothing to look for"),
        (("--support", "ant.png"), "got 1 values (ant.png), expected [NAME] PHOTOGRAPH MASK"),
        (("--support", *"abcd"), "got 4 values (a b c d)"),
        (("--support",), "got 0 values (nothing)"),
        (("--support", "ant.png", "none.png"), "none.png does not exist"),
        (("--support", "none.png", "ant_mask.png"), "none.png does not exist"),
        (("--support", "ant.png", "ant_index.png", "--mask-value", "9"), "no pixel of value 9"),
    ],
)
def test_wrong_supports_are_told_before_anything_is_written(
    folder, weights, args, message, monkeypatch
):
    monkeypatch.chdir(folder)
    code, said = predict(folder, weights, *args)
    assert code in (1, 2)
    assert message in " ".join(said.replace("│", " ").split())
    assert not (folder / "out" / "predictions.json").exists()
    assert not list(folder.glob("out/*.png"))


def test_outputs_never_lie_among_the_queries(folder, weights):
    support = ("--support", folder / "ant.png", folder / "ant_mask.png")
    code, said = predict(folder, weights, *support, out="queries")
    assert code == 1
    assert "is the folder of the queries" in said
    write(folder / "o" / "q0.mask.png", png_bytes(np.ones((72, 96), np.uint8)))
    mine = ("--support", folder / "queries/q0.png", folder / "o/q0.mask.png")
    code, said = predict(folder, weights, *mine, out="o")
    assert code == 1
    assert "q0.mask.png, which is an input" in said


def annotate(folder, weights, form, *args, out=None):
    """Both classes in the queries, once as masks and once in another format; the masks by name."""
    supports = []
    for name in ("ant", "bee"):
        supports += ["--support", name, folder / f"{name}.png", folder / f"{name}_mask.png"]
    given = (*supports, "--threshold", 0, *args)
    for wanted, place in (("masks", "masks"), (form, out or form)):
        code, said = predict(folder, weights, *given, "--format", wanted, out=place)
        assert code == 0, said
    assert not list((folder / (out or form)).glob("*.mask.png"))
    assert len(list((folder / (out or form)).glob("*.overlay.jpg"))) == 3
    assert not list((folder / (out or form)).rglob(".*"))
    stems = ("q0", "q1", "q2")
    return {s: np.asarray(Image.open(folder / "masks" / f"{s}.mask.png")) for s in stems}


def check_polygons(mask, polygons):
    """Each class keeps its pixels; `polygons` are (number from 1, points)."""
    for number in (1, 2):
        truth, found = mask == number, np.zeros(mask.shape, bool)
        for polygon in [p for n, p in polygons if n == number]:
            found |= drawn(polygon, *mask.shape)
        assert (found != truth).sum() <= 0.005 * truth.sum()


def test_coco_is_one_file_of_all_photographs(folder, weights):
    masks = annotate(folder, weights, "coco")
    content = json.loads((folder / "coco" / "annotations.json").read_text(encoding="utf-8"))
    assert [i["file_name"] for i in content["images"]] == ["q0.png", "q1.png", "q2.png"]
    assert content["categories"] == [{"id": 1, "name": "ant"}, {"id": 2, "name": "bee"}]
    for image, mask in zip(content["images"], masks.values(), strict=True):
        own = [a for a in content["annotations"] if a["image_id"] == image["id"]]
        check_polygons(mask, [(a["category_id"], a["segmentation"][0]) for a in own])
    records = summary(folder, "coco")["photographs"]
    assert [r["annotations"] for r in records] == ["annotations.json"] * 3
    assert all("mask" not in r for r in records)
    masked = summary(folder, "masks")["photographs"]
    assert [r["classes"] for r in records] == [r["classes"] for r in masked]
    assert len(list((folder / "coco").iterdir())) == 5


def test_labelme_is_a_file_a_photograph(folder, weights):
    masks = annotate(folder, weights, "labelme", "--workers", 0)
    for name, mask in masks.items():
        content = json.loads((folder / "labelme" / f"{name}.json").read_text(encoding="utf-8"))
        number = {"ant": 1, "bee": 2}
        check_polygons(mask, [(number[s["label"]], s["points"]) for s in content["shapes"]])
        assert content["imagePath"] == f"../queries/{name}.png"
    assert [r["annotations"] for r in summary(folder, "labelme")["photographs"]] == [
        "q0.json",
        "q1.json",
        "q2.json",
    ]


def test_yolo_is_a_folder_of_labels_and_a_file_of_names(folder, weights):
    masks = annotate(folder, weights, "yolo")
    for name, mask in masks.items():
        lines = (folder / "yolo" / "labels" / f"{name}.txt").read_text(encoding="utf-8")
        rows = [line.split() for line in lines.splitlines()]
        polygons = [(int(r[0]) + 1, np.array(r[1:], float).reshape(-1, 2)) for r in rows]
        check_polygons(mask, [(n, p * mask.shape[::-1]) for n, p in polygons])
    assert 'names:\n  0: "ant"\n  1: "bee"\n' in (folder / "yolo" / "data.yaml").read_text()
    assert summary(folder, "yolo")["photographs"][0]["annotations"] == "labels/q0.txt"


def test_a_format_s_files_are_the_same_from_any_number_of_threads(folder, weights):
    for form in ("coco", "labelme", "yolo"):
        annotate(folder, weights, form, "--workers", 0, out=f"{form}/one")
        annotate(folder, weights, form, "--workers", 3, out=f"{form}/two")
        one, two = folder / form / "one", folder / form / "two"
        for path in [p for p in one.rglob("*") if p.is_file()]:
            assert path.read_bytes() == (two / path.relative_to(one)).read_bytes(), path


def test_a_broken_photograph_is_not_in_a_coco_file(folder, weights):
    (folder / "queries" / "bad.jpg").write_bytes(b"no photograph")
    support = ("--support", folder / "ant.png", folder / "ant_mask.png")
    assert predict(folder, weights, *support, "--format", "coco")[0] == 1
    content = json.loads((folder / "out" / "annotations.json").read_text(encoding="utf-8"))
    assert [i["id"] for i in content["images"]] == [1, 2, 3]
    assert "bad.jpg" not in [i["file_name"] for i in content["images"]]


def test_an_unknown_format_is_told_with_the_known_ones(folder, weights):
    support = ("--support", folder / "ant.png", folder / "ant_mask.png")
    code, said = predict(folder, weights, *support, "--format", "voc")
    assert code == 2
    told = " ".join(said.replace("│", " ").split())
    assert "'voc' is not one of 'masks', 'coco', 'labelme', 'yolo'" in told
    assert not (folder / "out").exists()


def test_annotations_never_lie_where_a_person_s_own_do(folder, weights):
    support = ("--support", folder / "ant.png", folder / "ant_mask.png")
    write(folder / "queries" / "q0.json", b"{}")
    code, said = predict(folder, weights, *support, "--format", "labelme", out="queries")
    assert code == 1
    assert "is the folder of the queries" in said
    one = ("--query", folder / "queries" / "q0.png", "--out", folder / "queries")
    code, said = run(*support, "--model", weights, "--format", "labelme", *one)
    assert code == 1
    assert "would get q0.json, which is the place of your own labelme labels" in said
    assert (folder / "queries" / "q0.json").read_bytes() == b"{}"


def test_calibrate_writes_what_predict_then_uses(folder, weights, monkeypatch):
    manifest = make_dataset(folder / "discs")
    monkeypatch.setattr(calibrate_stage, "open_manifest", lambda: manifest)
    model = folder / "w.pth"
    model.write_bytes(weights.read_bytes())
    options = ["--model", model, "--fold", 1, "--trials", 10, "--min-pixels", 50, "--workers", 0]
    result = CliRunner().invoke(calibrate_stage.app, [str(o) for o in options])
    assert result.exit_code == 0, result.stderr
    content = json.loads(presence_path(model).read_text(encoding="utf-8"))
    assert content["about"]["classes"] == ["ant", "bee", "cow"]  # fold 1 holds back the others
    rates = content["base_classes"]
    assert rates["positives"] == rates["negatives"] == 30
    assert 0.5 < rates["auc"] <= 1
    assert rates["false_absent"] <= 0.1
    assert rates["threshold"] == pytest.approx(content["threshold"], abs=1e-4)
    support = ("--support", folder / "ant.png", folder / "ant_mask.png")
    code, said = predict(folder, model, *support)
    assert code == 0, said
    assert "fss calibrate" not in said
    assert summary(folder)["threshold"] == content["threshold"]
    assert summary(folder)["presence"] == str(presence_path(model))


@pytest.mark.slow
@needs_voc
def test_iou_on_real_photographs_equals_that_of_evaluate(tmp_path):
    """50 photographs of VOC val with a cat (novel in fold 1), one support."""
    root, weights = REAL / "voc", REAL / "weights/resnet18-imagenet-to-layer3.pth"
    image_path = lambda i: root / "JPEGImages" / f"{i}.jpg"  # noqa: E731
    mask_path = lambda i: root / "SegmentationClass" / f"{i}.png"  # noqa: E731
    ids = (root / "ImageSets/val.txt").read_text().split()
    cats = [i for i in ids if (read_mask(mask_path(i)) == 8).sum() >= 2048][:51]
    support, *queries = cats
    assert len(queries) == 50
    given = ["--support", "cat", image_path(support), mask_path(support), "--mask-value", 8]
    given += ["--model", weights, "--threshold", 0, "--query", *map(image_path, queries)]
    given += ["--refine", "none"]
    code, said = run(*given, "--out", tmp_path)
    assert code == 0, said
    both = either = 0
    for query in queries:
        found = np.asarray(Image.open(tmp_path / f"{query}.mask.png")) == 1
        truth = read_mask(mask_path(query))
        valid = truth != 255
        both += int((found & (truth == 8) & valid).sum())
        either += int(((found | (truth == 8)) & valid).sum())
    encoder = ResNet("resnet18")
    load_weights(encoder, weights)
    listed = [Episode(0, n, q, (8,), ((support,),)) for n, q in enumerate(queries)]
    counts = evaluate(
        make_encode(encoder, torch.device("cpu"), "float32"),
        lambda i: read_image(image_path(i)),
        lambda i: read_mask(mask_path(i)),
        listed,
        (8,),
        workers=2,
    ).counts[1]
    assert (both, either) == (counts.intersection[0, 0], counts.union[0, 0])
    assert 0.1 < both / either < 0.9
