"""`runtime.batch` and `FSSLIB_SHARE` change how the stages work, and not what they write."""

import json
import subprocess
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from fsslib.ranks import SHARE
from stages.support.params import Runtime
from stages.support.waiting import Waited
from stages.support.workers import count_workers
from tests.support import world
from tests.support.world import inside, make_world, run, run_steps, set_params

SCRIPT = world.ROOT / "docs/recipes/slurm.sh"
STEPS = ("prepare", "extract", "collect", "cluster", "annotate", "train", "index", "episodes",
         "evaluate")  # fmt: skip


@pytest.fixture(scope="module")
def projects(tmp_path_factory):
    """The same project, one photograph at a time and in batches."""
    folders = {}
    for batch in ("auto", 4):
        folders[batch] = make_world(tmp_path_factory.mktemp("world") / str(batch))
        changes = {"runtime.batch": batch, "runtime.workers": 2, "dense_features": False}
        set_params(**changes, **{"training.lr": 1e-9, "shard_images": 3})(folders[batch])
        with inside(folders[batch]):
            run_steps(*STEPS)
    return folders


def files(folder, pattern):
    return sorted(p.relative_to(folder) for p in folder.glob(pattern))


@pytest.mark.parametrize("pattern", ["data/extract/*.h5", "data/index/0/*.h5"])
def test_tables_agree(projects, pattern):
    alone, together = projects["auto"], projects[4]
    assert files(alone, pattern) == files(together, pattern) != []
    for name in files(alone, pattern):
        with h5py.File(alone / name) as a, h5py.File(together / name) as b:
            assert set(a) == set(b)
            for key in a:
                assert a[key].shape == b[key].shape
                if a[key].dtype.kind == "f":
                    scale = np.abs(a[key][:]).max(initial=0)
                    assert np.abs(a[key][:] - b[key][:]).max(initial=0) <= 1e-4 * scale, key
                else:
                    assert (a[key][:] == b[key][:]).all(), key


def test_pseudo_masks_and_scores_agree(projects):
    contents = []
    for folder in projects.values():
        masks = {}
        for path in sorted(folder.glob("data/annotate/0/*.zip")):
            with zipfile.ZipFile(path) as archive:
                masks |= {name: archive.read(name) for name in archive.namelist()}
        scores = json.loads((folder / "results/folds/0/metrics.json").read_text())
        contents.append((masks, scores))
    (alone, score), (together, other) = contents
    assert list(alone) == list(together)
    assert sum(alone[name] == together[name] for name in alone) >= len(alone) - 1
    assert other["shot1"]["miou"] == pytest.approx(score["shot1"]["miou"], abs=0.01)


def test_shares_of_a_job_array_give_the_files_of_one_process(projects, monkeypatch):
    folder = projects["auto"]
    before = {p: (folder / p).read_bytes() for p in files(folder, "data/extract/*.h5")}
    assert len(before) == 3
    with inside(folder):
        for number in (1, 0):
            monkeypatch.setenv(SHARE, f"{number}/2")
            assert run("extract").exit_code == 0
        assert len(list(Path(".scratch").glob("extract-*/*.h5"))) == 3
        for step in ("cluster --fold 0", "train --fold 0"):
            refused = run(step)
            assert refused.exit_code == 1
            assert f"{SHARE} divides the files of extract" in refused.stderr
        monkeypatch.setenv(SHARE, "2/2")
        assert f"{SHARE}='2/2' is not as 0/16" in run("extract").stderr
        monkeypatch.delenv(SHARE)
        assert run("extract").exit_code == 0
        assert {p: p.read_bytes() for p in files(Path(), "data/extract/*.h5")} == before
        assert not list(Path(".scratch").glob("extract-*"))


@pytest.mark.parametrize(
    ("slurm", "share"),
    [
        ({}, ""),
        ({"SLURM_ARRAY_TASK_ID": "5", "SLURM_ARRAY_TASK_COUNT": "16"}, "5/16"),
        (
            {
                "SLURM_ARRAY_TASK_ID": "3",
                "SLURM_ARRAY_TASK_MIN": "1",
                "SLURM_ARRAY_TASK_COUNT": "4",
            },
            "2/4",
        ),
    ],
)
def test_the_slurm_script_runs_the_command_with_its_share(tmp_path, slurm, share):
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/bash\necho "$* share=${FSSLIB_SHARE:-} in $PWD"\n')
    python.chmod(0o755)
    done = subprocess.run(
        ["bash", SCRIPT, "stages.annotate", "--fold", "0"],
        env={"PATH": "/usr/bin:/bin", "SLURM_SUBMIT_DIR": str(tmp_path), **slurm},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == f"-m stages.annotate --fold 0 share={share} in {tmp_path}\n"


def test_automatic_workers(monkeypatch):
    runtime = Runtime(device="cpu", workers="auto", memory_gb=None)
    for cores, on_gpu in ((1, 1), (2, 1), (9, 8), (64, 16)):
        monkeypatch.setattr("stages.support.workers._cores", lambda cores=cores: cores)
        assert count_workers(runtime, gpu=True) == on_gpu
        assert count_workers(runtime, gpu=False) == min(2, cores)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    assert count_workers(runtime, gpu=True) == 7
    assert count_workers(runtime.model_copy(update={"workers": 0}), gpu=True) == 0


def test_the_share_of_waiting(monkeypatch):
    clock = iter([0, 5, 6, 9, 10, 13, 14, 15])  # the first item is waited for longest
    monkeypatch.setattr("stages.support.waiting.time.perf_counter", lambda: next(clock))
    waited = Waited(iter("abc"))
    assert waited.share == 0
    assert list(zip(waited, range(3), strict=False)) == [("a", 0), ("b", 1), ("c", 2)]
    assert waited.share == pytest.approx((3 + 3) / (15 - 5))
