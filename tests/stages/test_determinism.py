"""The same params give the same bytes: with any number of threads or workers, at another path.

Each variant runs the stages of a tiny project in a process of its own. Training's sums depend on
its number of threads, which is `training.threads` and not that of the machine or of the
environment.
"""

import os
import shutil
import subprocess
import sys

import pytest
from safetensors.torch import load_file

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
ALL = (*STEPS[:-1], "reference", "summarize")
NO_PROMISE = {"data/evaluate/0/timing.json"}
"""How long it took."""


def run(folder, threads=1, steps=ALL):
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
def test_threads_workers_and_the_path_change_no_byte_of_any_stage(plain, tmp_path):
    assert len(plain[1]) > 20
    folder = make(tmp_path / "of another name" / "clone", workers=2)
    assert run(folder, threads=3) == plain[1]
    shutil.rmtree(folder)


@pytest.mark.nightly
@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux has it")
def test_a_machine_of_one_core_gives_the_bytes_of_two(plain, tmp_path):
    folder, cores = make(tmp_path / "project"), os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(cores)})
        assert run(folder) == plain[1]
    finally:
        os.sched_setaffinity(0, cores)
    shutil.rmtree(folder)


@pytest.mark.nightly
@pytest.mark.slow
def test_the_threads_of_training_decide_its_bytes(plain, tmp_path):
    folder = make(tmp_path / "project")
    set_params(**{"training.threads": 1})(folder)
    found = run(folder)
    assert found["data/cluster/0/clusters.h5"] == plain[1]["data/cluster/0/clusters.h5"]
    one, two = (load_file(f / "data/train/0/model.safetensors") for f in (folder, plain[0]))
    assert any((one[name] != two[name]).any() for name in one)  # not the header alone
    shutil.rmtree(folder)
