"""The contract of the pipeline, on a copy of the project with tiny scenes."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from stages import extract
from stages.closure import expected

ROOT = Path(__file__).parents[2]
TINY = {
    "folds": [0, 1],
    "seeds": [0, 1],
    "episodes": 6,
    "shots": [1, 2],
    "min_pixels": 64,
    "k": 2,
    "scenes": {"train": 40, "val": 40, "size": 64, "seed": 0},
}
TINY_TRAINING = {
    "iterations": 2,
    "pairs": 1,
    "pool_images": 2,
    "crop": 48,
    "min_pixels": 16,
    "precision": "float32",
}


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


class Project:
    """A copy of the project in its own git repository."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        names = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.splitlines()
        for name in names:
            if name.startswith(("tests/", "docs/", "results/", "dvc.lock")):
                continue
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        self.put(**TINY)
        self.set_training(**TINY_TRAINING)
        self.run("git", "init", "-q")
        self.commit()

    def commit(self) -> None:
        self.run("git", "add", "-A")
        self.run("git", "commit", "-q", "--allow-empty", "-m", "state")

    def _edit(self, change) -> None:
        yaml, path = YAML(), self.folder / "params.yaml"
        content = yaml.load(path.read_text(encoding="utf-8"))
        change(content)
        with path.open("w", encoding="utf-8") as stream:
            yaml.dump(content, stream)

    def put(self, **values) -> None:
        self._edit(lambda content: content.update(values))

    def set_training(self, **values) -> None:
        self._edit(lambda content: content["training"].update(values))

    def run(self, *command: str) -> str:
        binaries = Path(sys.executable).parent
        environment = {**os.environ, "PATH": f"{binaries}:{os.environ['PATH']}"}
        for role in ("AUTHOR", "COMMITTER"):
            environment |= {f"GIT_{role}_NAME": "t", f"GIT_{role}_EMAIL": "t@example.org"}
        environment["OMP_NUM_THREADS"] = "1"
        done = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, env=environment, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def repro(self, *arguments: str) -> "set[str]":
        """Run `dvc repro`; the names of the stages that ran or came from the run cache."""
        text = self.run("dvc", "repro", *arguments)
        names = re.findall(r"Running stage '([^']+)'|Stage '([^']+)' is cached", text)
        return {(ran or cached).split("@")[0] for ran, cached in names}

    def metrics(self) -> dict:
        return json.loads((self.folder / "results/metrics.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    made = Project(tmp_path_factory.mktemp("project"))
    made.ran = made.repro()
    made.commit()
    return made


def test_the_pipeline_runs_from_nothing_to_metrics(project):
    assert project.ran == set(pipeline()) - {"pretrain"}
    metrics = project.metrics()
    for shot in ("shot1", "shot2"):
        assert 0 <= metrics[shot]["miou"] <= 100
        assert metrics[shot]["miou_std"] >= 0
        assert 0 <= metrics[shot]["fb_iou"] <= 100
    fold = json.loads((project.folder / "results/folds/1/metrics.json").read_text())
    assert set(fold["shot1"]["classes"]) <= set(fold["shot1"]["episodes"])
    assert metrics["shot1"]["folds"]["1"] == fold["shot1"]["miou"]


def test_a_second_repro_runs_nothing(project):
    assert project.repro() == set()


def test_beta_reruns_evaluate_and_summarize_alone(project):
    project.put(beta=0.3)
    assert project.repro() == {"evaluate", "summarize"}
    project.put(beta=0.2)
    project.repro()


def test_k_leaves_extract_and_collect_alone(project):
    project.put(k=3)
    ran = project.repro()
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


def test_a_temporary_experiment_works_and_leaves_the_workspace(project):
    before = (project.folder / "results/metrics.json").read_bytes()
    project.commit()
    project.run("dvc", "exp", "run", "--temp", "-S", "beta=0.4", "-n", "temporary")
    assert (project.folder / "results/metrics.json").read_bytes() == before
    assert "temporary" in project.run("dvc", "exp", "list", "--name-only")


def contents(folder: Path) -> dict:
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


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
