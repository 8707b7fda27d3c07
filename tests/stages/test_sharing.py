"""A trained run is pushed to a remote; a colleague clones, pulls and predicts without training."""

import json
import re

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from fsslib.encoders.resnet import ResNet
from fsslib.encoders.weights import load_weights
from fsslib.files.shards import file_digest
from stages.tools import predict
from tests.support.fakes import png_bytes, write
from tests.support.helpers import save_trained
from tests.support.project import ROOT, Project
from tests.support.scenes import scene

MODEL = "data/train/0/model.safetensors"


def content(folder) -> dict:
    return YAML(typ="safe").load((folder / "dvc.yaml").read_text(encoding="utf-8"))


def test_artifacts_are_the_models_of_the_committed_folds():
    told = content(ROOT)["artifacts"]
    params = YAML(typ="safe").load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    (out,) = content(ROOT)["stages"]["train"]["outs"]
    assert {name: body["path"] for name, body in told.items()} == {
        f"fold-{fold}": out.replace("${item.fold}", str(fold)) for fold in params["folds"]
    }
    for name, body in told.items():
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-/]*[a-z0-9])?", name)  # DVC's rule
        assert body["type"] == "model"
        assert name.replace("-", " ") in body["desc"]


def share(made):
    """Commit a run, name its model and push it to a remote beside the project."""
    made.run("dvc", "remote", "add", "--default", "store", "../store")
    made.commit()
    made.run("git", "tag", "-a", "fold-0@v1.0.0", "-m", "the first")
    made.run("dvc", "push", "--quiet")


def colleague(made):
    """A clone in another folder, pulled, without the owner's cache."""
    other = Project.__new__(Project)
    other.folder, other.log = made.folder.parent / "elsewhere/clone", made.log
    other.folder.parent.mkdir()
    made.run("git", "clone", "--quiet", str(made.folder), str(other.folder))
    # The remote's path is relative to the clone, which lies a folder deeper here.
    other.run("dvc", "remote", "modify", "--local", "store", "url", "../../store")
    other.run("dvc", "pull", "--quiet")
    return other


def find_ants(folder, model):
    """Predict with a trained folder, in this process."""
    image, mask = scene(3, (1,), (72, 96))
    write(folder / "ant.png", png_bytes(image, palette=False))
    write(folder / "mask.png", png_bytes((mask == 1).astype("uint8")))
    given = ("--support", "ant.png", "mask.png", "--query", "ant.png", "--out", "found")
    shown = CliRunner().invoke(
        predict.app, [*given, "--model", str(model), "--threshold", "0", "--workers", "1"]
    )
    assert shown.exit_code == 0, shown.output
    return json.loads((folder / "found/predictions.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def faked(tmp_path_factory):
    """A finished run of one fold whose stages are faked, but for the model, which is a real one."""
    made = Project(tmp_path_factory.mktemp("shared") / "project")
    made.put(folds=[0])
    made.fake_stages()
    encoder = ResNet("resnet18")
    load_weights(encoder, "random", 0)
    save_trained(encoder, made.folder / "real.safetensors", None)
    path = made.folder / "dvc.yaml"
    fake = "python fake_stage.py train ${item.fold}"
    text = path.read_text(encoding="utf-8")
    assert fake in text
    path.write_text(text.replace(fake, f"{fake} && cp real.safetensors {MODEL}"), encoding="utf-8")
    made.run("dvc", "repro", "--quiet")
    share(made)
    return made


@pytest.mark.slow
def test_a_colleague_pulls_predicts_and_trains_nothing(faked, tmp_path, monkeypatch):
    other = colleague(faked)
    assert not (other.folder / MODEL).stat().st_mode & 0o222  # a link into the cache
    faked.log.write_text("")
    said = json.loads(other.run("dvc", "status", "--json"))
    assert set(said) == {"fingerprint"}
    other.run("dvc", "repro", "--quiet")
    assert faked.log.read_text() == ""
    assert other.run("git", "status", "--porcelain") == ""
    monkeypatch.chdir(tmp_path)
    assert find_ants(tmp_path, other.folder / "data/train/0")["backbone"] == "resnet18"
    other.run("dvc", "artifacts", "get", str(faked.folder), "fold-0", "--out", str(tmp_path / "m"))
    assert file_digest(tmp_path / "m") == file_digest(faked.folder / "real.safetensors")


@pytest.mark.nightly
def test_a_clone_of_a_real_run_computes_nothing(tmp_path, monkeypatch):
    made = Project(tmp_path / "project")
    made.put(folds=[0])
    made.repro()
    share(made)
    other = colleague(made)
    assert other.repro() == set()
    assert other.run("git", "status", "--porcelain") == ""
    monkeypatch.chdir(tmp_path)
    assert find_ants(tmp_path, other.folder / "data/train/0")["classes"] == {"1": "object"}
    # A frozen `fingerprint` does not run; what depends on a changed param does.
    other.run("dvc", "freeze", "fingerprint")
    other.put(beta=0.1)
    said = other.run("dvc", "repro")
    assert set(re.findall(r"Running stage '([^']+)'", said)) == {"evaluate@0", "summarize"}
