"""A published folder: what is in it, what its card says, and that nothing is lost or half made."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from fsslib.errors import FsslibError
from fsslib.experiments import publishing
from fsslib.experiments.info import describe_file
from fsslib.experiments.licences import licence_fields
from fsslib.experiments.provenance import Measured, Provenance
from fsslib.experiments.publishing import publish_model
from fsslib.prediction.models import open_model
from fsslib.prediction.publication import check_publication
from tests.support.helpers import one_line
from tests.support.published import (
    BACKBONE,
    WANTED,
    calibrate,
    files_of,
    publish,
    save_model,
)

SHOT = {
    "miou": 40.5,
    "miou_std": 0.25,
    "miou_ci95": 0.5,
    "fb_iou": 61.0,
    "classes": {"owl": 41.0, "a|b": None},
    "episodes": {"owl": 6, "a|b": 4},
    "seeds": [0, 1],
}
METRICS = {
    "fold": 1,
    "images": 7,
    "protocol": "paper",
    "ways": 1,
    "precision": "float32",
    "shot1": SHOT,
    "shot5": {**SHOT, "miou": 44.0},
}
PARAMS = {"w": 0.9, "beta": 0.2, "top_n": 4, "rectify_fg": True, "rectify_bg": True, "ema": True}
PLAIN = {"pretrained": {"shot1": {"miou": 30.0}}, "baseline": {"shot1": {"miou": 33.0}}}


def published(folder, wanted=WANTED, measured=None, seed=0, **about):
    """Publish into `shared` with what the project would know; returns the folder."""
    model = folder / "m/model.safetensors"
    save_model(model, seed, **about)
    known = Provenance(measured, traced=True) if measured else Provenance()
    publish_model(model.parent, folder / "shared", wanted, known)
    return folder / "shared"


def card_of(folder):
    return (folder / "README.md").read_text()


# ---- The folder ---------------------------------------------------------------------------------


def test_the_folder_holds_the_models_own_bytes_and_says_their_hashes(tmp_path):
    shared = publish(tmp_path, calibrated=True)
    names = ["model.presence.json", "model.presence.safetensors", "model.safetensors"]
    assert sorted(files_of(shared)) == ["README.md", "config.json", *names]
    for name in names:
        assert (shared / name).read_bytes() == (tmp_path / "trained" / name).read_bytes()
    found = check_publication(shared)
    assert found.backbone == BACKBONE
    assert found.content["base_classes"] == ["cat", "dog|x"]
    assert (found.content["feature_stride"], found.content["training_crop"]) == (16, 48)
    assert found.content["results"] is None
    assert open_model(shared).background is not None
    assert describe_file(shared / "config.json")[0].startswith("published model: model.safetens")


def test_the_same_model_gives_the_same_bytes(tmp_path):
    first = files_of(published(tmp_path))
    assert files_of(published(tmp_path)) == first
    assert [path.name for path in tmp_path.iterdir()] != []
    assert not list(tmp_path.glob(".*"))


def test_a_calibration_of_another_encoder_is_left_out(tmp_path):
    other = save_model(tmp_path / "other/model.safetensors", 1)
    save_model(tmp_path / "m/model.safetensors", 0)
    calibrate(tmp_path / "m/model.safetensors", other)
    made = publish_model(tmp_path / "m", tmp_path / "shared", WANTED)
    assert made.other_calibration
    assert "model.presence.json" not in files_of(tmp_path / "shared")


def test_paths_of_the_publishers_machine_stay_out_of_the_card(tmp_path):
    local = {"weights": "/home/bob/w.pth", "unlabeled": [{"source": "/home/bob/pics", "cap": 5}]}
    save_model(tmp_path / "m/model.safetensors", **local)
    made = publish_model(tmp_path / "m", tmp_path / "shared", WANTED)
    assert set(made.local_names) == {"/home/bob/w.pth", "/home/bob/pics"}
    for name in ("README.md", "config.json"):
        text = (tmp_path / "shared" / name).read_text()
        assert "/home/bob" not in text
        assert ".../w.pth" in text
    assert "photographs in `.../pics`, at most 5" in card_of(tmp_path / "shared")


# ---- The card -----------------------------------------------------------------------------------


def test_the_hub_reads_the_cards_head(tmp_path):
    shared = published(tmp_path, measured=Measured(METRICS, PARAMS, PLAIN))
    card = ModelCard.load(shared / "README.md")
    assert card.data.license == "cc-by-4.0"
    assert card.data.library_name == "fsslib"
    assert card.data.pipeline_tag == "image-segmentation"
    assert card.data.model_name == "cats"
    results = {(r.task_name, r.metric_type): r.metric_value for r in card.data.eval_results}
    assert results == {
        ("1-shot segmentation", "mean_iou"): 40.5,
        ("1-shot segmentation", "fb_iou"): 61.0,
        ("5-shot segmentation", "mean_iou"): 44.0,
        ("5-shot segmentation", "fb_iou"): 61.0,
    }


def test_the_card_tells_results_with_their_seeds_and_how_they_were_measured(tmp_path):
    text = card_of(published(tmp_path, measured=Measured(METRICS, PARAMS, PLAIN)))
    assert "| 1 | 40.50 | 0.25 | 0.50 | 61.00 | 2 | 5 | 30.00 | 33.00 |" in text
    assert "| 5 | 44.00 | 0.25 | 0.50 | 61.00 | 2 | 5 | - | - |" in text
    assert "| owl | 41.00 | 41.00 |" in text
    assert "| a\\|b | - | - |" in text
    assert "**What you load computes without\n  it, and that was not measured.**" in text
    assert "dog\\|x" in text
    assert "12 photographs" in text
    assert "Not measured" not in text


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"w": 0.5}, 'Segmenter.load("hf://USER/NAME", w=0.5)'),
        ({"rectify_bg": False}, 'Segmenter.load("hf://USER/NAME", background=False)'),
        ({"ema": False}, 'Segmenter.load("hf://USER/NAME")'),
    ],
)
def test_the_card_loads_the_model_as_it_was_measured(tmp_path, params, code):
    text = card_of(published(tmp_path, measured=Measured(METRICS, {**PARAMS, **params})))
    assert code in text
    assert ("averaged ones, which were not measured" in text) == ("ema" in params)


def test_without_results_the_card_says_so_and_invents_nothing(tmp_path):
    text = card_of(published(tmp_path))
    assert "Not measured: this file does not come from a run whose results are kept." in text
    assert "model-index" not in text
    assert "not recorded in the model" in text
    assert "not calibrated" in text


def test_a_model_of_rendered_scenes_says_it_first(tmp_path):
    seen = {"dataset": "procedural", "images": 9, "rendered": True, "classes": ["bee"]}
    text = card_of(published(tmp_path, trained_on=seen))
    said = text.split("# cats\n\n")[1]
    assert said.startswith("> **This model was trained on rendered scenes and has seen no photo")
    assert "rendered-scenes" in ModelCard(text).data.tags
    assert "photographs of 1 classes" not in text


def test_names_cannot_break_out_of_the_card(tmp_path):
    name = 'cats\n---\n# "x": [1'
    seen = {"dataset": "folder", "images": 9, "rendered": False, "classes": ["a\n\n# b", "<i>"]}
    wanted = replace(WANTED, name=name)
    text = card_of(published(tmp_path, wanted, Measured(METRICS, PARAMS), trained_on=seen))
    assert ModelCard(text).data.model_name == name
    assert text.split("---\n")[2].splitlines()[1] == '# cats --- \\# "x": \\[1'
    assert "a \\# b, \\<i\\>" in text


@pytest.mark.parametrize(
    ("licence", "fields"),
    [
        (None, {}),
        ("MIT", {"license": "mit"}),
        ("GPL-3.0-or-later", {"license": "gpl-3.0"}),
        ("CC-BY-NC-ND-4.0", {"license": "cc-by-nc-nd-4.0"}),
        ("Frameworx-1.0", {"license": "other", "license_name": "frameworx-1.0"}),
    ],
)
def test_licences_are_named_as_the_hub_names_them(licence, fields):
    assert licence_fields(licence) == fields


def test_no_licence_is_said_and_nonsense_is_refused(tmp_path):
    text = card_of(published(tmp_path, replace(WANTED, licence=None)))
    assert "The publisher chose no licence" in text
    assert ModelCard(text).data.license is None
    assert "is no identifier" in one_line(licence_fields, "do what\nyou like")


# ---- Nothing is lost ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["notes.txt", "config.json", "README.md"])
def test_a_folder_with_anything_else_is_left_alone(tmp_path, name):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / name).write_text("{}")
    assert "is not empty and no earlier publication" in one_line(published, tmp_path)
    assert (tmp_path / "shared" / name).read_text() == "{}"
    (tmp_path / "file").write_text("x")
    save_model(tmp_path / "m/model.safetensors")
    message = one_line(publish_model, tmp_path / "m", tmp_path / "file", WANTED)
    assert "is a file" in message


def test_an_earlier_publication_is_replaced_but_nothing_that_others_put_there(tmp_path):
    shared = publish(tmp_path, calibrated=True)
    published(tmp_path, seed=1)
    assert sorted(files_of(shared)) == ["README.md", "config.json", "model.safetensors"]
    assert (shared / "model.safetensors").read_bytes() == (
        tmp_path / "m/model.safetensors"
    ).read_bytes()
    (shared / "notes.txt").write_text("mine")
    assert "notes.txt, which is no part of a model" in one_line(published, tmp_path)
    (shared / "notes.txt").unlink()
    (shared / "model.safetensors").write_bytes(b"other")
    assert "so it is not written over" in one_line(published, tmp_path)
    assert (shared / "model.safetensors").read_bytes() == b"other"


def test_an_edited_card_is_kept_for_its_model_alone(tmp_path):
    shared = published(tmp_path)
    edited = card_of(shared) + "\nMy cats.\n"
    (shared / "README.md").write_text(edited)
    for _ in range(2):
        assert publish_model(tmp_path / "m", shared, WANTED).kept_card
        assert card_of(shared) == edited
    assert "was edited and is of another model" in one_line(published, tmp_path, seed=1)
    assert card_of(shared) == edited
    (shared / "README.md").unlink()
    assert not publish_model(tmp_path / "m", shared, WANTED).kept_card
    assert "My cats" not in card_of(shared)


@pytest.mark.parametrize("step", ["copyfile", "card_markdown", "write_json"])
def test_an_interrupted_publication_leaves_nothing_half_made(tmp_path, monkeypatch, step):
    shared = published(tmp_path)
    before = files_of(shared)

    def broken(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil if step == "copyfile" else publishing, step, broken)
        for out in (shared, tmp_path / "new"):
            with pytest.raises(KeyboardInterrupt):
                publish_model(tmp_path / "m", out, WANTED)
    assert files_of(shared) == before
    assert not (tmp_path / "new").exists()
    assert not list(tmp_path.glob(".*"))


def test_a_kill_between_the_renames_is_mended_by_the_next_run(tmp_path):
    shared = published(tmp_path)
    before = files_of(shared)
    shared.rename(tmp_path / ".shared.old")
    shutil.copytree(tmp_path / ".shared.old", tmp_path / ".shared.part")
    save_model(tmp_path / "m/model.safetensors", 0)
    publish_model(tmp_path / "m", shared, WANTED)
    assert files_of(shared) == before
    assert not list(tmp_path.glob(".*"))


def test_a_rename_that_fails_puts_the_former_folder_back(tmp_path, monkeypatch):
    shared = published(tmp_path)
    before = files_of(shared)
    rename = Path.rename

    def broken(self, target):
        if self.name == ".shared.part":
            raise OSError(5, "disk error", str(self))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", broken)
    with pytest.raises(OSError, match="disk error"):
        publish_model(tmp_path / "m", shared, WANTED)
    assert files_of(shared) == before
    assert not list(tmp_path.glob(".*"))


def test_only_models_of_training_are_published(tmp_path):
    raw = json.dumps({}).encode()
    (tmp_path / "model.safetensors").write_bytes(len(raw).to_bytes(8, "little") + raw)
    with pytest.raises(FsslibError, match="expected 'model'"):
        publish_model(tmp_path, tmp_path / "shared", WANTED)
    assert not (tmp_path / "shared").exists()
