"""Best and worst episodes: known answers, and a whole fold with a small model."""

import re

import numpy as np
import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from fsslib.encoders.resnet import ResNet
from fsslib.encoders.weights import load_weights
from fsslib.evaluation.episodes import Episode
from fsslib.pictures.page.ranking import best_and_worst, different_queries, episode_iou
from stages.tools.fss import app
from tests.support.helpers import save_trained
from tests.support.project import ROOT, TINY


def test_iou_by_hand():
    truth = np.array([[3, 3, 3, 255], [0, 0, 4, 255]], np.uint8)
    predicted = np.array([[3, 3, 0, 3], [3, 0, 4, 3]], np.uint8)
    assert episode_iou(predicted, truth, 3) == 2 / 4
    assert episode_iou(predicted, truth, 9) == 0


def test_best_and_worst_by_hand():
    assert best_and_worst([0.3, 0.9, 0.1, 0.5], 1) == ([1], [2])
    assert best_and_worst([0.3, 0.9, 0.1, 0.5, 0.2], 4) == ([1, 3], [2, 4])
    assert best_and_worst([0.3], 4) == ([], [])


def test_queries_come_once_and_with_the_fewest_shots():
    def episode(index, query, shots):
        return Episode(0, index, query, (1,), (tuple("abcde"[:shots]),))

    given = [episode(0, "q", 2), episode(1, "q", 1), episode(2, "q", 1), episode(3, "r", 1)]
    assert [e.index for e in different_queries([*given, episode(4, "s", 1)], 2)] == [1, 3]


@pytest.fixture
def fold(tmp_path, monkeypatch):
    """A project folder with scenes, episodes and an untrained model of fold 0."""
    yaml = YAML()
    content = yaml.load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    content.update(TINY, rectify_fg=False, rectify_bg=False, precision="float32")
    with (tmp_path / "params.yaml").open("w", encoding="utf-8") as stream:
        yaml.dump(content, stream)
    monkeypatch.chdir(tmp_path)
    for command in (["prepare"], ["episodes", "--fold", "0"]):
        assert CliRunner().invoke(app, command).exit_code == 0
    encoder = ResNet("resnet18")
    load_weights(encoder, "random", 0)
    model = tmp_path / "data/train/0/model.safetensors"
    model.parent.mkdir(parents=True)
    save_trained(encoder, model, None)
    (tmp_path / "results/folds/0").mkdir(parents=True)
    (tmp_path / "results/folds/0/episodes.png").write_bytes(b"no picture")
    return tmp_path


def test_ranked_shows_the_best_and_the_worst_of_trained_folds(fold):
    result = CliRunner().invoke(app, ["report", "--ranked", "5"])
    assert result.exit_code == 0, result.output
    assert "fold 1: not trained, so there are no best and worst episodes" in result.stderr
    html = (fold / "results/report.html").read_text(encoding="utf-8")
    assert re.findall(r"<h3>(The .*)</h3>", html) == [
        "The best 2 of 5 episodes",
        "The worst 2 of 5 episodes",
    ]
    assert html.count("<img ") == 2
