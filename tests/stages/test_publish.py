"""`fss publish` and what takes published models: commands, `weights`, results by DVC's record."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from ruamel.yaml import YAML
from typer.testing import CliRunner

from fsslib.files.fingerprints import hash_file
from fsslib.prediction.hub_models import fetch_model
from fsslib.prediction.publication import read_publication
from stages.support.encoders import features_origin, initial_encoder
from stages.support.inputs import weights_source
from stages.support.measured import provenance_of
from stages.support.outside_now import folder_hash
from stages.support.params import EncoderParams
from stages.support.params_file import load_params, stage_params
from stages.tools.fss import app
from tests.support.fake_hub import TOKEN, serve_hub, set_client
from tests.support.helpers import one_line
from tests.support.project import ROOT
from tests.support.published import BACKBONE, files_of, publish, save_model
from tests.support.world import inside, set_params

# huggingface_hub 2.4 (November 2026) uploads by a keyword that its HTTP client calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content")

LICENCE = "--license", "CC-BY-4.0"


def fss(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def refused(*words):
    shown = fss(*words)
    assert shown.exit_code == 1, shown.output
    assert shown.stderr.count("\n") == 1, shown.stderr
    return shown.stderr


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with serve_hub(tmp_path / "home", monkeypatch) as served:
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield served


@pytest.fixture
def project(tmp_path):
    """A project with a trained fold 1, in which the test runs."""
    save_model(tmp_path / "data/train/1/model.safetensors")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    with inside(tmp_path):
        yield tmp_path


# ---- The command --------------------------------------------------------------------------------


def test_the_only_fold_is_published_and_several_are_a_choice(project):
    shown = fss("publish", "shared")
    assert shown.exit_code == 0, shown.output
    assert "wrote shared: model.safetensors, config.json, README.md" in shown.stderr
    assert "no --license: the card says" in shown.stderr
    assert "# shared\n" in (project / "shared/README.md").read_text()
    save_model(project / "data/train/0/model.safetensors")
    message = refused("publish", "shared")
    assert "give --model with one of data/train/0, data/train/1" in message
    shutil.rmtree(project / "data/train")
    assert "holds no trained model: run 'dvc repro'" in refused("publish", "shared")


def test_bad_options_are_one_line_and_write_nothing(project):
    assert "is no identifier" in refused("publish", "s", "--license", "my own")
    assert "holds no model.safetensors" in refused("publish", "s", "--model", "gone")
    assert "is no model of training" in refused("publish", "s", "--model", "params.yaml")
    assert "is no address" in refused("publish", "s", "--push", "cats")
    assert "give USER/NAME alone" in refused("publish", "s", "--push", "bob/cats@main")
    assert "needs --license" in refused("publish", "s", "--push", "bob/cats")
    assert not (project / "s").exists()


# ---- Pushing ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("option", "private"), [((), True), (("--public",), False)])
def test_a_push_makes_a_repository_that_loads_again(project, hub, option, private):
    shown = fss("publish", "shared", *LICENCE, "--push", "bob/cats", *option)
    assert shown.exit_code == 0, shown.output
    (oid, content), *more = hub.repositories["bob/cats"]
    assert not more
    assert content == files_of(project / "shared")
    assert hub.private["bob/cats"] == private
    assert f"uploaded: hf://bob/cats@{oid} will always give these files" in shown.stderr
    assert 'Segmenter.load("hf://bob/cats")' in content["README.md"].decode()
    assert (
        fetch_model(f"hf://bob/cats@{oid}").sha256
        == read_publication(project / "shared").model_sha256
    )
    assert TOKEN not in shown.output


def test_a_second_push_is_a_commit_and_removes_what_is_no_part_any_more(project, hub):
    old = publish(project / "old", calibrated=True)
    hub.commit("bob/cats", {**files_of(old), ".gitattributes": b"x"})
    assert fss("publish", "shared", *LICENCE, "--push", "hf://bob/cats").exit_code == 0
    found = dict(hub.repositories["bob/cats"][-1][1])
    assert found.pop(".gitattributes") == b"x"
    assert found == files_of(project / "shared")


def test_a_repository_of_something_else_is_left_alone(project, hub):
    for files in ({"config.json": b'{"model_type": "bert"}', "w.bin": b"w"}, {"w.bin": b"w"}):
        hub.commit("bob/cats", files)
        before = len(hub.repositories["bob/cats"])
        message = refused_after_writing("publish", "shared", *LICENCE, "--push", "bob/cats")
        assert "bob/cats holds" in message
        assert "push to another name" in message
        assert len(hub.repositories["bob/cats"]) == before


def refused_after_writing(*words):
    shown = fss(*words)
    assert shown.exit_code == 1, shown.output
    return shown.stderr.splitlines()[-1]


def test_without_login_or_network_it_is_one_line(project, hub, monkeypatch):
    words = "publish", "shared", *LICENCE, "--push", "bob/cats"
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    message = refused_after_writing(*words)
    assert "was not uploaded" in message
    assert "log in with 'hf auth login'" in message
    assert (project / "shared/config.json").is_file()
    shutil.rmtree(project / "shared")
    set_client(project / "home", "http://127.0.0.1:9", monkeypatch)
    assert "no login for the hub" in refused(*words)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert "http://127.0.0.1:9 cannot be reached" in refused(*words)
    assert not (project / "shared").exists()


# ---- Other commands take it ---------------------------------------------------------------------


def test_info_and_export_and_calibrate_know_addresses(project, hub):
    shared = publish(project / "p")
    oid = hub.commit("bob/cats", files_of(shared))
    for given in ("hf://bob/cats", shared, shared / "model.safetensors"):
        shown = fss("info", given)
        assert shown.exit_code == 0, shown.output
        assert "fold: 1" in shown.stdout
    assert f"hf://bob/cats@{oid}" in fss("info", "hf://bob/cats").stderr
    assert "hf://USER/NAME" in fss("models").stdout
    message = refused("calibrate", "--model", shared)
    assert "is published, and its files stay as they are: give --out" in message
    assert "give --model a file, or --out" in refused_after_writing(
        "calibrate", "--model", f"hf://bob/cats@{oid}"
    )


# ---- weights: hf:// -----------------------------------------------------------------------------


def test_training_starts_from_a_model_of_the_hub_without_asking_it_again(project, hub, monkeypatch):
    shared = publish(project / "p", seed=3)
    oid = hub.commit("bob/cats", files_of(shared))
    set_params(weights="hf://bob/cats", backbone=BACKBONE)(project)
    params = stage_params(EncoderParams, load_params())
    assert "run 'fss fingerprint'" in one_line(weights_source, params)
    assert fss("fingerprint").exit_code == 0
    sha256 = read_publication(shared).model_sha256
    assert (project / "data/fingerprint/weights.txt").read_text().splitlines()[1:] == [
        f"# hf://bob/cats at commit {oid}",
        f"{sha256}  hf://bob/cats",
    ]
    set_client(project / "elsewhere", "http://127.0.0.1:9", monkeypatch)
    encoder, theirs = initial_encoder(params), save_model(project / "m.safetensors", 3)
    for key, value in theirs.state_dict().items():
        assert torch.equal(value, encoder.state_dict()[key]), key
    assert features_origin(params).weights == hash_file(Path(weights_source(params)))


def test_the_fingerprint_follows_the_branch_and_a_pinned_one_does_not(project, hub):
    old = hub.commit("bob/cats", files_of(publish(project / "p")))
    texts = []
    for weights in ("hf://bob/cats", f"hf://bob/cats@{old}"):
        set_params(weights=weights, backbone=BACKBONE)(project)
        assert fss("fingerprint").exit_code == 0
        texts.append((project / "data/fingerprint/weights.txt").read_text())
    hub.commit("bob/cats", files_of(publish(project / "q", seed=1)))
    for weights, before in zip(("hf://bob/cats", f"hf://bob/cats@{old}"), texts, strict=True):
        set_params(weights=weights)(project)
        assert fss("fingerprint").exit_code == 0
        after = (project / "data/fingerprint/weights.txt").read_text()
        assert (after == before) == ("@" in weights)


def test_a_folder_is_weights_as_well_and_others_are_refused(project, hub):
    shared = publish(project / "p", seed=3)
    set_params(weights="p/shared", backbone=BACKBONE)(project)
    assert fss("fingerprint").exit_code == 0
    source = weights_source(stage_params(EncoderParams, load_params()))
    assert read_publication(shared).model_sha256 in source
    set_params(backbone="resnet18")(project)
    assert "is of the backbone 'timm:test_efficientnet'" in refused("fingerprint")
    set_params(backbone=BACKBONE)(project)
    (shared / "model.safetensors").write_bytes(b"x")
    assert "config.json says" in refused("fingerprint")
    set_params(weights="data")(project)
    assert "data does not exist: set 'weights'" in refused("fingerprint")
    set_params(weights="hf://bob")(project)
    assert "is no address of a model" in refused("fingerprint")
    set_params(weights="hf://bob/dogs")(project)
    assert f"{constants.ENDPOINT} has no such repository" in refused("fingerprint")


# ---- Results ------------------------------------------------------------------------------------


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


@pytest.fixture
def recorded(project):
    """Results of fold 1, and DVC's record of them."""
    metrics = json.loads((ROOT / "results/folds/1/metrics.json").read_text())
    for path, content in (
        ("results/folds/1/metrics.json", metrics),
        (
            "data/reference/1/scores.json",
            {"episode_list": metrics["episode_list"], "pretrained": {}, "baseline": {}},
        ),
    ):
        (project / path).parent.mkdir(parents=True)
        (project / path).write_text(json.dumps(content))
    record(project)
    return project


def record(project):
    """Write dvc.lock as DVC does."""
    model, results = "data/train/1/model.safetensors", "results/folds/1/metrics.json"
    made = {"path": model, "md5": md5(project / model)}
    scored = {"path": results, "md5": md5(project / results)}
    data = {"path": "data/prepare", "md5": "d.dir"}
    scores = files_of(project / "data/reference/1")
    compared = {"path": "data/reference/1", "md5": folder_hash(scores)}
    evaluated = {"params.yaml": {"w": 0.9, "beta": 0.2, "top_n": 4, "rectify_fg": True}}
    lock = {
        "prepare": {"outs": [data], "params": {"params.yaml": {"holdout": 2}}},
        "train@1": {"deps": [data], "outs": [made]},
        "evaluate@1": {"deps": [made], "outs": [scored], "params": evaluated},
        "reference@1": {"outs": [compared]},
    }
    with (project / "dvc.lock").open("w") as stream:
        YAML(typ="safe").dump({"schema": "2.0", "stages": lock}, stream)


def known(project):
    return provenance_of(project / "data/train/1/model.safetensors", {"fold": 1})


def test_results_of_exactly_this_model_are_on_the_card(recorded):
    found = known(recorded)
    assert found.traced
    assert found.holdout == 2
    assert found.measured.params["top_n"] == 4
    assert found.measured.references is not None
    shown = fss("publish", "shared", *LICENCE)
    assert shown.exit_code == 0, shown.output
    text = (recorded / "shared/README.md").read_text()
    miou = found.measured.metrics["shot1"]["miou"]
    assert f"| 1 | {miou:.2f} |" in text
    assert "group 2: this model is for choosing settings, not for use" in text
    assert json.loads((recorded / "shared/config.json").read_text())["results"]["fold"] == 1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("model", "computed with another model"),
        ("metrics", "not those that the run recorded"),
        ("lock", "a run whose results are kept"),
        ("results", "holds no results of this fold"),
    ],
)
def test_results_of_anything_else_are_not(recorded, change, why):
    if change == "model":
        save_model(recorded / "data/train/1/model.safetensors", seed=5)
    elif change == "metrics":
        path = recorded / "results/folds/1/metrics.json"
        path.write_text(path.read_text().replace('"fold": 1', '"fold":  1'))
    elif change == "lock":
        (recorded / "dvc.lock").unlink()
    else:
        shutil.rmtree(recorded / "results")
    found = known(recorded)
    assert found.measured is None
    assert why in found.why_not
    assert fss("publish", "shared", *LICENCE).exit_code == 0
    assert f"Not measured: {found.why_not}." in (recorded / "shared/README.md").read_text()


def test_references_of_another_run_are_left_out(recorded):
    (recorded / "data/reference/1/scores.json").write_text("{}")
    assert known(recorded).measured.references is None
    record(recorded)
    assert known(recorded).measured.references is None
    (recorded / "dvc.lock").write_text("a: [")
    assert "dvc.lock cannot be read" in one_line(known, recorded)
