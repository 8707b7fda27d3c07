"""The tutorials, run as a reader would run them; each test's table says what is replaced.

`test_code.py` parses every command of every page. Here the pages run: two in this process, with
small settings; the one for GPUs on the CPU, where `torchrun` and `sbatch` are one process after
another. The two that are about DVC itself take minutes, so they run in `make nightly` alone.
"""

import os
import re
import shutil
import subprocess
import time

import pytest

from fsslib.ranks import SHARE
from tests.support.project import ROOT, Project
from tests.support.tutorials import SKIP, pipeline, run_step, run_tutorial
from tests.support.world import PARAMS, make_photographs, set_params

INSTALLED = {"make setup": SKIP, "source .venv/bin/activate": SKIP}
"""The environment is there."""

SHORT = {
    "seeds": [0], "episodes": 4, "min_pixels": 64, "k": 2, "long_side": None,
    "training.iterations": 1, "training.pairs": 1, "training.pool_images": 2, "training.crop": 48,
    "training.min_pixels": 16, "training.picture_every": 0, "runtime.device": "cpu",
    "runtime.workers": 0,
}  # fmt: skip


def test_find_a_class(tmp_path):
    small = {"size=320": "size=96"}  # the same scenes, drawn smaller
    run_tutorial("find-a-class", tmp_path, INSTALLED, small)
    assert (tmp_path / "both/11.mask.png").is_file()


def test_train_on_own_labels(tmp_path):
    """The pipeline runs without DVC, for one fold."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    run = (
        "dvc exp run --name first-look -S 'folds=[0]' -S long_side=240 -S training.crop=112 "
        "-S training.iterations=40"
    )
    all_folds = {"dvc repro": SKIP}  # a quarter of an hour
    small = {"train=160, val=40, size=240": "train=64, val=6, size=160"}
    instead = INSTALLED | all_folds | {run: pipeline(**SHORT)}
    run_tutorial("own-labels", tmp_path, instead, small)
    assert (tmp_path / "found/val_00005.json").is_file()


def steps(*names):
    """A part of the pipeline in this process."""
    return lambda folder, words: "".join(run_step(name, [], "steps") for name in names)


def torchrun(folder, words):
    """`torchrun --nproc-per-node N -m stages.STEP ...` as the one process that does all."""
    step, *rest = words[words.index("-m") + 1 :]
    return run_step(step.removeprefix("stages."), rest, "torchrun")


def shared(folder, words):
    """`FSSLIB_SHARE=0/2 python -m stages.STEP ...` in this process."""
    share, (_, _, step, *rest) = words[0].partition("=")[2], words[1:]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SHARE, share)
        return run_step(step.removeprefix("stages."), rest, "share")


def sbatch(folder, words):
    """One task of the array after the other, with the share that the recipe gives it."""
    (array,) = [w for w in words if w.startswith("--array=")] or [None]
    step, *rest = words[next(n for n, w in enumerate(words) if w.endswith("slurm.sh")) + 1 :]
    if array is None:
        return run_step(step.removeprefix("stages."), rest, "sbatch")
    count = int(array.rpartition("-")[2]) + 1
    command = ["python", "-m", step, *rest]
    return "".join(shared(folder, [f"{SHARE}={n}/{count}", *command]) for n in range(count))


def lines_of(name, start):
    """Commands of a page that begin with some words."""
    text = (ROOT / f"docs/tutorials/{name}.md").read_text(encoding="utf-8")
    return re.findall(rf"^{re.escape(start)}.*$", text, re.MULTILINE)


def test_on_a_gpu_machine_or_cluster(tmp_path):
    page = "gpu-and-cluster"
    make_photographs(tmp_path / "photos")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    set_params(**PARAMS, shard_images=3, dense_features=False)(tmp_path)
    instead = INSTALLED | {"dvc repro": steps("fingerprint", "prepare")}  # the rest follows
    instead |= {"dvc repro cluster@0": steps("collect", "cluster"), "dvc repro train@0": SKIP}
    instead |= dict.fromkeys(lines_of(page, "dvc commit"), SKIP)  # DVC is not there
    instead |= dict.fromkeys(lines_of(page, "torchrun"), torchrun)
    instead |= dict.fromkeys(lines_of(page, "sbatch"), sbatch)
    instead |= dict.fromkeys(lines_of(page, "FSSLIB_SHARE"), shared)
    run_tutorial(page, tmp_path, instead)
    assert not os.environ.get(SHARE)


def wait_for_the_queue(folder, words):
    """`dvc queue status` when all is done."""
    for _ in range(300):
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True)
        assert "Failed" not in done.stdout, done.stdout
        if not re.search("Queued|Running", done.stdout):
            return done.stdout
        time.sleep(2)
    raise AssertionError(done.stdout)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A clone with real DVC and the real dvc.yaml, in which each stage takes a blink."""
    made = Project(tmp_path / "project")
    made.fake_stages()
    made.enter(monkeypatch)
    return made.folder


@pytest.mark.nightly
@pytest.mark.slow
def test_sweep_and_compare(project):
    instead = INSTALLED | {"dvc queue status": wait_for_the_queue}
    unsaid = "fold 0 shot1: mIoU FB-IoU mean std gain"
    run_tutorial("sweep-and-compare", project, instead, unsaid=unsaid)


@pytest.mark.nightly
@pytest.mark.slow
def test_rerun_table_3(project):
    """The small table whole. The same commands with large settings come after it."""
    text = (ROOT / "docs/tutorials/rerun-table3.md").read_text(encoding="utf-8")
    large = re.findall(r"^(?:fss|dvc|git) .*$", text[text.index("## 6.") :], re.MULTILINE)
    later = {line: SKIP for line in large if line.split()[1] not in ("sweep", "table")}
    run_tutorial("rerun-table3", project, INSTALLED | later)
