"""`fss preset`: valid, reversible, comments kept."""

import pytest
from typer.testing import CliRunner

from fsslib.datasets.description import Description, write_description
from fsslib.experiments.presets import PRESETS, PROCEDURAL, preset_values
from stages.support.params import (
    Params,
)
from stages.support.params_file import (
    load_params,
)
from stages.tools import preset
from tests.support.helpers import one_line
from tests.support.project import ROOT

COMMITTED = (ROOT / "params.yaml").read_text(encoding="utf-8")


@pytest.fixture
def put(tmp_path, monkeypatch):
    """Run `fss preset` on a copy of the committed params; returns the file's new text."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(COMMITTED, encoding="utf-8")
    own_dataset(tmp_path / "data/mine", 3)

    def invoke(*arguments):
        invoke.shown = CliRunner().invoke(preset.app, list(arguments))
        return (tmp_path / "params.yaml").read_text(encoding="utf-8")

    return invoke


def own_dataset(root, number):
    """What `fss data folder` says of a dataset with so many classes, a fold each."""
    root.mkdir(parents=True)
    ids = range(1, number + 1)
    names, folds = {i: f"c{i}" for i in ids}, tuple((i,) for i in ids)
    write_description(root, Description("folder", names, folds, "contiguous"))


def comments(text):
    return [line.split("#", 1)[1] for line in text.splitlines() if "#" in line]


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_validates_and_keeps_comments_and_block_style(put, name):
    text = put(name)
    params = load_params()
    assert isinstance(params, Params)
    assert comments(text) == comments(COMMITTED)
    assert "[" not in "".join(line.split("#")[0] for line in text.splitlines())
    assert params.dataset == preset_values(name)["dataset"]


def test_the_papers_settings(put):
    found = {}
    for name in PRESETS:
        put(name)
        p = load_params()
        found[name] = (p.k, p.training.pairs, p.training.pool_images, p.training.crop)
        found[name] += (p.training.iterations, p.episodes, p.backbone)
    assert found["pascal-resnet50"] == (5, 4, 32, 473, 6000, 1000, "resnet50")
    assert found["pascal-resnet101"] == (5, 4, 16, 473, 6000, 1000, "resnet101")
    assert found["coco-resnet50"] == (15, 4, 32, 473, 6000, 4000, "resnet50")
    assert found["coco-resnet101"] == (15, 4, 16, 473, 6000, 4000, "resnet101")


def test_the_paper_would_recognise_its_pascal_preset(put):
    from fsslib.experiments.paper import departures

    put("pascal-resnet50")
    assert departures(load_params().model_dump(), frozenset()) == []


@pytest.mark.parametrize("first", PRESETS)
@pytest.mark.parametrize("last", ["voc-sample", "procedural"])
def test_two_in_a_row_equal_the_last(put, first, last):
    alone = put(last)
    put("procedural")
    put(first)
    assert put(last) == alone


def test_procedural_is_the_committed_file(put):
    put("coco-resnet101")
    assert put("procedural") == COMMITTED
    assert set(PRESETS["voc-sample"]) <= set(PROCEDURAL)


def test_it_says_what_changed_and_takes_another_folder(put):
    put("coco-resnet50", "--data-root", "/data/coco")
    lines = put.shown.stdout.splitlines()
    assert "data_root: null -> /data/coco" in lines
    assert "k: 5 -> 15" in lines
    assert load_params().data_root == "/data/coco"
    put("coco-resnet50", "--data-root", "/data/coco")
    assert put.shown.stdout == ""


def test_own_photographs_take_the_folds_of_their_dataset_and_a_pool(put, tmp_path):
    put("own-photographs", "--unlabeled", "more photos")
    found = load_params()
    assert (found.dataset, found.data_root, found.folds) == ("folder", "data/mine", [0, 1, 2])
    assert [s.source for s in found.unlabeled] == ["train", "more photos"]
    own_dataset(tmp_path / "single", 1)
    before = put("procedural")
    for folder, says in (("single", "training needs two or more"), ("gone", "does not exist")):
        assert put("own-photographs", "--data-root", folder) == before
        assert put.shown.exit_code == 1
        assert says in put.shown.stderr


def test_an_unknown_name_and_a_broken_file_are_one_line(put, tmp_path):
    assert one_line(preset_values, "pascal").startswith("'pascal' is no preset: choose one of")
    (tmp_path / "params.yaml").write_text(COMMITTED.replace("k: 5", "k: five"), encoding="utf-8")
    text = put("procedural")
    assert put.shown.exit_code == 1
    assert put.shown.stderr.startswith("error: params.yaml: k: 'five'")
    assert "k: five" in text
