"""Two processes that train together against one process on the same global batches."""

import os
import socket
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import nn

from fsslib.ranks import ALONE, Ranks
from fsslib.training.across_ranks import GlobalBatchNorm, average_gradients, require_same_step
from fsslib.training.checkpoint import save_checkpoint
from tests.support.crew import CASES, CUT, STEPS, norm_inputs, normalised, train
from tests.support.helpers import one_line
from tests.support.toy import make_batches, make_trainer

ROOT = Path(__file__).parents[2]
SIZE = 2


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def launch(folder):
    """Start the processes as torchrun would and wait for them."""
    shared = {
        **os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()),
        "WORLD_SIZE": str(SIZE), "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    crew = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.support.crew", str(folder)],
            cwd=ROOT,
            env={**shared, "RANK": str(number), "LOCAL_RANK": str(number)},
        )
        for number in range(SIZE)
    ]
    try:
        assert [process.wait(300) for process in crew] == [0] * SIZE
    finally:
        for process in crew:
            process.kill()


@pytest.fixture(scope="module")
def together(discs, tmp_path_factory):
    """What each process ended in; one has trained alone up to the checkpoint of "resumed"."""
    folder = tmp_path_factory.mktemp("crew")
    trainer = make_trainer(lr=0.001, head_lr=0.002)
    batches = make_batches(discs, STEPS)
    history = [trainer.step(batches[step]) for step in range(CUT)]
    save_checkpoint(trainer, history, folder / "checkpoint.safetensors")
    launch(folder)
    return [torch.load(folder / f"found{number}.pt") for number in range(SIZE)]


@pytest.mark.parametrize("case", CASES)
def test_two_processes_train_as_one(together, discs, case):
    rows, state = train(discs, case, ALONE)
    found, weights = together[0][case]
    assert len(found) == STEPS
    assert len({row["loss"] for row in found}) == STEPS
    for mine, alone in zip(found, rows, strict=True):
        assert mine == pytest.approx(alone, rel=2e-4)
    assert set(weights) == set(state)
    start = train_start(case)
    for name, expected in state.items():
        moved = (expected - start[name]).abs().max() if name in start else expected.abs().max()
        assert (weights[name] - expected).abs().max() <= 0.01 * moved + 1e-9, name


def train_start(case):
    """Weights before training: what has moved is compared, not what never does."""
    chosen = {k: v for k, v in CASES[case].items() if k in {"classes", "miner"}}
    trainer = make_trainer(**chosen)
    start = {f"online.{k}": v for k, v in trainer.encoder.state_dict().items()}
    if trainer.head is not None:
        start |= {f"head.{k}": v for k, v in trainer.head.state_dict().items()}
    return start


@pytest.mark.parametrize("case", CASES)
def test_all_processes_hold_the_same_bits(together, case):
    (rows, state), (other_rows, other_state) = (found[case] for found in together)
    assert rows == other_rows
    assert set(state) == set(other_state)
    assert [k for k in state if not torch.equal(state[k], other_state[k])] == []


def test_batch_norm_is_that_of_the_whole_batch(together):
    """The mean of the inputs is 50 times their deviation: one pass would have lost digits."""
    expected = normalised(*norm_inputs(), nn.BatchNorm2d(3).double())
    parts = [found["norm"] for found in together]
    assert set(parts[0]) == set(expected)
    for name in ("out", "input"):
        joined = torch.cat([part[name] for part in parts])
        assert torch.allclose(joined, expected[name], rtol=1e-10, atol=1e-10), name
    for name in ("weight", "bias"):
        total = sum(part[name] for part in parts)
        assert torch.allclose(total, expected[name], rtol=1e-10, atol=1e-10), name
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        for part in parts:
            assert torch.allclose(part[name], expected[name], rtol=1e-12), name


def test_what_holds_on_one_rank_is_known_to_all(together):
    assert [found["any"] for found in together] == [[False, True, True]] * SIZE


def test_a_loss_that_is_not_finite_on_one_rank_stops_all(together):
    said = "the loss became nan at step 0: lower training.lr"
    assert [found["refusal"] for found in together] == [said] * SIZE


def test_a_process_that_is_left_alone_says_so_in_one_line(together):
    message = together[0]["alone"]
    assert message.startswith("another process has stopped, see what it says: ")
    assert len(message.splitlines()) == 1


def test_alone_it_is_torchs_batch_norm():
    inputs, weights = (part.float() for part in norm_inputs())
    expected = normalised(inputs, weights, nn.BatchNorm2d(3))
    found = normalised(inputs, weights, GlobalBatchNorm(3, ALONE))
    assert set(found) == set(expected)
    assert all(torch.equal(found[k], expected[k]) for k in expected)
    assert list(GlobalBatchNorm(3, ALONE).state_dict()) == list(nn.BatchNorm2d(3).state_dict())


def test_half_precision_is_normalised_in_float32():
    inputs = norm_inputs()[0].bfloat16()
    norm = GlobalBatchNorm(3, Twin(0, 2))
    out = norm(inputs)
    assert out.dtype == torch.bfloat16
    expected = nn.BatchNorm2d(3)(inputs.float())
    assert torch.allclose(out.float(), expected, rtol=0.01, atol=0.01)


class Twin(Ranks):
    """Ranks that all hold the same."""

    def add_up(self, tensor):
        tensor *= self.size


def test_evaluation_of_the_norm_exchanges_nothing():
    norm = GlobalBatchNorm(3, Ranks(0, 2)).eval()  # would wait for a launcher that is not there
    inputs = norm_inputs()[0].float()
    assert torch.equal(norm(inputs), nn.BatchNorm2d(3).eval()(inputs))


def test_gradients_are_averaged_in_place_whatever_their_layout():
    class Second(Ranks):
        def add_up(self, tensor):  # the other rank's gradients are ten times these
            tensor *= 11

    weights = [nn.Parameter(torch.zeros(2, 3, 2, 2)), nn.Parameter(torch.zeros(4))]
    plain = torch.arange(24.0).view(2, 3, 2, 2)
    weights[0].grad = plain.clone().contiguous(memory_format=torch.channels_last)
    weights[1].grad = torch.ones(4)
    average_gradients(weights, Second(0, 2))
    assert torch.equal(weights[0].grad, plain * 5.5)
    assert weights[0].grad.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(weights[1].grad, torch.full((4,), 5.5))


def test_ranks_that_would_begin_at_different_steps_are_refused():
    class Lost(Ranks):
        def add_up(self, tensor):  # the other one found no checkpoint
            tensor += 0

    require_same_step(0, Lost(0, 2))
    assert one_line(require_same_step, 50, Lost(0, 2)).startswith(
        "process 0 would begin at step 50, others elsewhere: they need one file system"
    )


@pytest.mark.parametrize("mined", [True, False])
def test_a_batch_that_cannot_be_shared_is_refused(discs, mined):
    message = one_line(make_batches, discs, mined=mined, ranks=Ranks(0, 3))
    assert message.startswith("training.pairs: 2 cannot be shared equally by 3 processes")


@pytest.mark.parametrize(("shot", "mined"), [(1, True), (2, True), (2, False)])
def test_the_ranks_batches_are_the_batch_of_one(discs, shot, mined):
    whole = make_batches(discs, mined=mined, shot=shot)[3]
    parts = [
        make_batches(discs, mined=mined, shot=shot, ranks=Ranks(number, 2))[3]
        for number in range(2)
    ]
    assert all(set(part) == set(whole) for part in parts)
    for name, expected in whole.items():
        assert torch.equal(torch.cat([part[name] for part in parts]), expected), name
        assert all(len(a[name]) == len(b[name]) for a, b in pairwise(parts))
