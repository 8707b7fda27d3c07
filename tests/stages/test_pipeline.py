"""The contract of the pipeline, on a copy of the project with tiny scenes."""

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from stages import extract
from stages.support.closure import expected
from tests.support.project import ROOT, Project


def pipeline() -> dict:
    return YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]


@pytest.mark.parametrize("stage", pipeline())
def test_declared_deps_and_params_are_those_of_the_code(stage, monkeypatch):
    monkeypatch.chdir(ROOT)
    body = pipeline()[stage]
    wanted = expected(stage, body)
    assert {key: body.get(key, []) for key in wanted} == wanted


def test_every_stage_runs_as_a_module_and_writes_into_its_own_folder():
    for stage, body in pipeline().items():
        assert body["cmd"].startswith(f"python -m stages.{stage}")
        for out in [*body.get("outs", []), *body.get("metrics", [])]:
            path = next(iter(out)) if isinstance(out, dict) else out
            assert path.startswith((f"data/{stage}", "results/")), path


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    made = Project(tmp_path_factory.mktemp("project"))
    made.ran = made.repro()
    made.commit()
    return made


def test_the_pipeline_runs_from_nothing_to_metrics(project):
    assert project.ran == set(pipeline()) - {"fingerprint"}
    metrics = project.metrics()
    for shot in ("shot1", "shot2"):
        assert 0 <= metrics[shot]["miou"] <= 100
        assert metrics[shot]["miou_std"] >= 0
        assert 0 <= metrics[shot]["fb_iou"] <= 100
    fold = json.loads((project.folder / "results/folds/1/metrics.json").read_text())
    assert set(fold["shot1"]["classes"]) <= set(fold["shot1"]["episodes"])
    assert metrics["shot1"]["folds"]["1"] == fold["shot1"]["miou"]
    scores = json.loads((project.folder / "results/scores.json").read_text())
    ours = {k: metrics["shot2"][k] for k in ("miou", "miou_std", "fb_iou")}
    assert {k: scores["shot2"][k] for k in ours} == ours
    compared = scores["shot2"]
    best = max(compared["pretrained"], compared["baseline"])
    assert compared["gain"] == pytest.approx(compared["miou"] - best, abs=1e-3)
    assert "| 2-shot mIoU |" in (project.folder / "results/table.md").read_text().split("gain")[1]


def test_a_second_repro_runs_nothing_but_the_hashes(project):
    before = (project.folder / "dvc.lock").read_bytes()
    assert project.run("dvc", "repro").count("Running stage") == 1
    assert (project.folder / "dvc.lock").read_bytes() == before


def test_beta_reruns_evaluate_and_summarize_alone(project):
    project.put(beta=0.3)
    assert project.repro() == {"evaluate", "summarize"}
    project.put(beta=0.2)
    project.repro()


def test_k_leaves_extract_and_collect_alone(project):
    project.put(k=3)
    ran = project.repro("evaluate@0")  # one fold says it, and takes half the time
    assert {"cluster", "annotate", "train", "index", "evaluate"} <= ran
    assert not ran & {"prepare", "extract", "collect", "episodes"}
    project.put(k=2)
    project.repro()


def test_one_fold_alone_reuses_that_folds_results(project):
    before = (project.folder / "results/folds/1/metrics.json").read_bytes()
    project.put(folds=[1])
    assert project.repro() <= {"summarize"}
    assert (project.folder / "results/folds/1/metrics.json").read_bytes() == before
    assert set(project.metrics()["shot1"]["folds"]) == {"1"}
    project.put(folds=[0, 1])
    project.repro()


def test_runtime_is_tracked_by_no_stage(project):
    project.put(runtime={"device": "cpu", "workers": 0, "memory_gb": 1.0})
    assert project.repro() == set()


def test_the_same_params_give_the_same_bytes_again(project):
    before = (project.folder / "results/metrics.json").read_bytes()
    project.run("dvc", "repro", "--force", "--single-item", "evaluate@0", "evaluate@1")
    project.run("dvc", "repro", "--force", "--single-item", "summarize")
    assert (project.folder / "results/metrics.json").read_bytes() == before


@pytest.mark.nightly
def test_a_temporary_experiment_works_and_leaves_the_workspace(project):
    before = (project.folder / "results/metrics.json").read_bytes()
    project.commit()
    project.run("dvc", "exp", "run", "--temp", "-S", "beta=0.4", "-n", "temporary")
    assert (project.folder / "results/metrics.json").read_bytes() == before
    assert "temporary" in project.run("dvc", "exp", "list", "--name-only")


def contents(folder: Path) -> dict:
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.nightly
def test_pictures_of_training_change_no_byte_of_what_it_leaves(project):
    trained = project.folder / "data/train/0"
    picture = project.folder / "results/folds/0/training.png"
    before, last = contents(trained), picture.read_bytes()
    for every, drawn in ((1, True), (0, False), (50, True)):
        project.set_training(picture_every=every)
        project.run("python", "-m", "stages.train", "--fold", "0")
        assert contents(trained) == before
        assert (picture.read_bytes() == last) == drawn


@pytest.mark.nightly
@pytest.mark.slow
def test_two_processes_write_the_bytes_of_one(project):
    project.put(shard_images=8)
    for stage in ("extract", "collect", "annotate"):
        project.run("python", "-m", f"stages.{stage}")
    alone = contents(project.folder / "data"), contents(project.folder / "results")
    launch = ("torchrun", "--nproc-per-node", "2", "-m")
    said = project.run(*launch, "stages.extract")
    assert said.count("writing about") == 1
    said = project.run(*launch, "stages.collect")
    assert "this step runs in one process: 1 more" in said
    project.run(*launch, "stages.annotate")
    assert (contents(project.folder / "data"), contents(project.folder / "results")) == alone
    assert not any((project.folder / ".scratch").iterdir())
    project.put(shard_images=256)


def test_a_stage_that_cannot_fit_on_the_disk_says_so_beforehand(project, monkeypatch):
    monkeypatch.chdir(project.folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    before = contents(project.folder / "data")
    result = CliRunner().invoke(extract.app, [])
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert re.match("error: data/extract needs about 0.[1-9] MB, 0.0 MB are free: free space", line)
    assert line.endswith("or set dense_features to false")
    assert contents(project.folder / "data") == before
