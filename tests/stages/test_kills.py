"""`kill -9` in the middle of a stage: the next run ends as if nothing had happened.

`python -m benchmarks.kills` does this many times and with more stages.
"""

import json
import os
import signal
import time

import pytest
from safetensors import safe_open
from safetensors.torch import load_file

from tests.support.killing import FOLD, REPRO, TICK, Tally, Victim, kill_repro, kill_stage


@pytest.fixture(scope="module")
def victim(tmp_path_factory):
    return Victim.make(tmp_path_factory.mktemp("killed"), last="train")


@pytest.mark.slow
@pytest.mark.parametrize(("stage", "kills"), [("extract", 1), ("annotate", 1), ("train", 1)])
def test_a_killed_stage_completes_with_the_same_bytes_and_leaves_nothing(victim, stage, kills):
    tally = kill_stage(victim, stage, kills, seed=0)
    assert tally.passed, tally


@pytest.fixture
def _ctrl_c():
    """A job in the background ignores Ctrl-C and hands that on to its children."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


def steps_drawn(victim):
    """Rows of the curve, one a finished step."""
    path = victim.project.folder / f"data/train/{FOLD}/live/plots/metrics/loss.tsv"
    return len(path.read_text().splitlines()) - 1 if path.exists() else 0


def steps_kept(victim):
    """Step of the checkpoint, 0 without one."""
    for path in victim.project.folder.glob(".scratch/train-*/checkpoint.safetensors"):
        with safe_open(path, "pt") as file:
            return json.loads(file.metadata()["fsslib"])["step"]
    return 0


def signal_a_step_later(victim, number):
    """Go on with the training, signal it after its first new step; its exit code."""
    victim.remove_outputs("train")
    start = steps_kept(victim)
    process = victim.start("train")
    while steps_drawn(victim) <= start and process.poll() is None:
        time.sleep(TICK)
    os.killpg(process.pid, number)
    return process.wait()


@pytest.mark.slow
@pytest.mark.usefixtures("_ctrl_c")
def test_a_training_that_is_told_to_stop_keeps_its_last_step(victim):
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        assert signal_a_step_later(victim, number) == code
        assert steps_kept(victim) == steps_drawn(victim)
    kept = steps_kept(victim)
    assert 2 <= kept < 10
    assert signal_a_step_later(victim, signal.SIGKILL) == -signal.SIGKILL
    assert steps_kept(victim) >= kept
    tally = Tally()
    victim.rerun("train", tally)
    assert tally.passed, tally


@pytest.mark.slow
def test_two_processes_train_the_model_of_one(victim):
    path = victim.project.folder / f"data/train/{FOLD}/model.safetensors"
    alone = load_file(path)
    victim.remove_outputs("train")
    launch = ("torchrun", "--nproc-per-node", "2", "-m", "stages.train", "--fold", str(FOLD))
    victim.project.run(*launch)
    together = load_file(path)
    assert set(together) == set(alone)
    for name, expected in alone.items():
        assert (together[name] - expected).abs().max() < 2e-3 * expected.abs().max(), name
    assert steps_drawn(victim) == 10
    assert not victim.strays()


@pytest.mark.nightly
@pytest.mark.slow
def test_a_killed_repro_completes_with_the_same_bytes(tmp_path):
    victim = Victim.make(tmp_path, last=REPRO)
    tally = kill_repro(victim, kills=4, seed=0)
    assert tally.kills == 4
    assert tally.passed, tally
