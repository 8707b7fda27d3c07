"""The whole chain of stages with backbones of timm and random weights."""

import importlib
import json

import pytest
from typer.testing import CliRunner

from tests.support.project import Project

STAGES = (
    "prepare", "extract", "collect", "cluster", "annotate", "train", "index", "episodes",
    "evaluate", "summarize",
)  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    made = Project(tmp_path_factory.mktemp("timm"))
    made.put(
        folds=[0],
        seeds=[0],
        weights="random",
        runtime={"device": "cpu", "workers": 0, "memory_gb": None},
    )
    return made


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["timm:test_resnet", "timm:test_vit"])
def test_the_chain_runs_to_metrics(project, backbone, monkeypatch):
    monkeypatch.chdir(project.folder)
    project.put(backbone=backbone)
    for stage in STAGES:
        shown = CliRunner().invoke(importlib.import_module(f"stages.{stage}").app, [])
        assert shown.exit_code == 0, (stage, shown.output)
    metrics = json.loads((project.folder / "results/metrics.json").read_text())
    assert 0 < metrics["shot1"]["miou"] < 100
    info = importlib.import_module("stages.tools.info")
    told = CliRunner().invoke(info.app, ["data/train/0/model.safetensors"]).stdout
    assert f"backbone: {backbone}" in told
