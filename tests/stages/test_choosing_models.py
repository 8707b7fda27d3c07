"""`fss models`, and how commands choose a model."""

import numpy as np
import pytest
from typer.testing import CliRunner

from fsslib import Segmenter
from fsslib.encoders.build import build_encoder
from fsslib.encoders.weights import load_weights
from fsslib.files.tensor_files import VERSION, named_tensors, save_tensors
from fsslib.training.trained_model import KIND
from fsslib.training.trained_on import TrainedOn
from stages.tools import calibrate, models, predict
from tests.support.fakes import png_bytes, write
from tests.support.scenes import scene

SCENES = TrainedOn("procedural", 34, True, ("cat", "fork"))
PHOTOGRAPHS = TrainedOn("coco", 56, False, ("cat",))


def train(path, seen):
    """A model as training writes it, of random weights."""
    encoder = build_encoder("resnet18")
    load_weights(encoder, "random")
    online = {k: v.clone() for k, v in named_tensors(encoder, "online.").items()}
    tensors = {**online, **named_tensors(encoder, "average.")}
    about = {} if seen is None else {"trained_on": seen.header()}
    head = {"kind": KIND, "version": VERSION, "backbone": "resnet18", "about": about}
    save_tensors(path, tensors, head)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with three models, a photograph, a support and its mask."""
    for fold, seen in enumerate((SCENES, PHOTOGRAPHS, None)):
        train(tmp_path / f"data/train/{fold}/model.safetensors", seen)
    write(tmp_path / "data/train/10/model.safetensors", b"torn")
    image, mask = scene(0, (1,), (72, 96))
    write(tmp_path / "a.png", png_bytes(image, palette=False))
    write(tmp_path / "a_mask.png", png_bytes((mask == 1).astype(np.uint8)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(app, *args):
    shown = CliRunner().invoke(app, list(args))
    return shown.exit_code, shown.stdout, shown.stderr


def find(*args):
    given = ("--support", "a.png", "a_mask.png", "--query", "a.png", "--out", "found")
    return run(predict.app, *given, *args)


def test_models_are_listed_with_what_trained_them(project):
    code, told, _ = run(models.app)
    assert code == 0
    lines = told.splitlines()
    assert lines[0].startswith("installed ")
    assert lines[0].endswith("calibrated, the default")
    assert "--backbone timm:tf_efficientnet_lite0" in lines[1]
    assert "trained on 34 rendered scenes of procedural, 2 classes, not calibrated" in lines[2]
    assert "trained on 56 photographs of coco" in lines[3]
    assert "trained on unknown images" in lines[4]
    assert "damaged" in lines[5]
    assert any(line.startswith("timm:NAME") for line in lines)


def test_names_can_be_given_to_model(project):
    code, told, _ = run(models.app, "--names")
    assert code == 0
    assert told.split() == ["installed", *(f"data/train/{f}" for f in (0, 1, 2, 10))]


def test_a_damaged_package_is_told_in_the_list(monkeypatch):
    monkeypatch.setattr("fsslib.encoders.installed.find_spec", lambda name: None)
    code, told, _ = run(models.app)
    assert code == 0
    assert told.count("pip install") == 2


def test_without_a_model_it_is_the_installed_one_whatever_is_trained(project):
    code, _, said = find()
    assert code == 0, said
    told = (project / "found/predictions.json").read_text(encoding="utf-8")
    assert '"model": "installed"' in told
    assert "tf_efficientnet_lite2.presence.json" in told
    assert "rendered" not in said


def test_a_model_of_rendered_scenes_says_so_in_one_line(project):
    code, _, said = find("--model", "data/train/0")
    assert code == 0, said
    (line,) = [line for line in said.splitlines() if "rendered" in line]
    assert "data/train/0 was trained on 34 rendered scenes of procedural" in line
    assert "not on photographs" in line
    for other in ("1", "2"):
        assert "rendered" not in find("--model", f"data/train/{other}")[2]


def test_the_other_installed_encoder_is_a_backbone_away(project):
    code, _, said = find("--backbone", "timm:tf_efficientnet_lite0")
    assert code == 0, said
    told = (project / "found/predictions.json").read_text(encoding="utf-8")
    assert "tf_efficientnet_lite0.presence.json" in told
    code, _, said = find("--backbone", "resnet18")
    assert code == 1
    assert "holds nothing for resnet18" in said


def test_calibrations_elsewhere_have_to_be_there_and_named_so(project):
    code, _, said = find("--calibration", "none.presence.json")
    assert code == 1
    assert "calibration none.presence.json does not exist" in said
    code, _, said = run(calibrate.app, "--model", "installed")
    assert code == 1
    assert "give --model a file, or --out" in said
    code, _, said = run(calibrate.app, "--model", "installed", "--out", "here.json")
    assert code == 1
    assert "has to end in .presence.json" in said


def test_in_python_too():
    plain, loaded = Segmenter(device="cpu"), Segmenter.load(device="cpu")
    assert plain.digest == loaded.digest
    assert plain.calibration.source == loaded.calibration.source
    assert plain.calibration.threshold > 0
    assert plain.trained_on is None
