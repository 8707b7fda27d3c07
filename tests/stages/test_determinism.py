"""The same params give the same bytes: 1 and 2 threads, 0 and 2 workers, at another path.

Each variant runs the stages of a tiny project in a process of its own. Training promises it for one
number of threads: with 2 instead of 1 its sums are rounded in another order, and the model and what
is made with it differ (docs/reliability.md).
"""

import os
import shutil
import subprocess
import sys

import pytest

from fsslib.files.shards import file_digest
from tests.support.world import ROOT, STEPS, make_world, set_params

RUN = """
import sys
import torch
from tests.support.world import run_steps
for step in sys.argv[2:]:
    torch.set_num_threads(int(sys.argv[1]))
    run_steps(step)
"""
NO_PROMISE = {"data/evaluate/0/timing.json"}
"""How long it took."""


def run(folder, threads=1, steps=STEPS):
    """Run stages in a process with so many threads; digest of every file that is there then."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(threads), *steps],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **dict.fromkeys(names, str(threads))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    files = [p for top in ("data", "results") for p in (folder / top).rglob("*") if p.is_file()]
    found = {str(p.relative_to(folder)): file_digest(p) for p in files}
    return {name: digest for name, digest in found.items() if name not in NO_PROMISE}


def make(folder, workers=0):
    make_world(folder)
    set_params(**{"training.iterations": 3, "training.pairs": 2, "training.pool_images": 3,
                  "training.picture_every": 2, "runtime.workers": workers})(folder)  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    folder = make(tmp_path_factory.mktemp("plain") / "project")
    yield folder, run(folder)
    shutil.rmtree(folder)


@pytest.mark.slow
def test_workers_and_the_path_change_no_byte_of_any_stage(plain, tmp_path):
    assert len(plain[1]) > 20
    folder = make(tmp_path / "of another name" / "clone", workers=2)
    assert run(folder) == plain[1]
    shutil.rmtree(folder)


@pytest.mark.nightly
@pytest.mark.slow
def test_threads_change_no_byte_of_any_stage_but_train(plain, tmp_path):
    folder = tmp_path / "project"
    shutil.copytree(plain[0], folder)
    for step in ("prepare", "extract", "collect", "cluster", "annotate", "index", "episodes"):
        shutil.rmtree(folder / "data" / step)
    assert run(folder, 2, [step for step in STEPS if step != "train"]) == plain[1]
    shutil.rmtree(folder)
