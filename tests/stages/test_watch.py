"""When the picture of training is drawn."""

import pytest

from fsslib.ranks import Ranks
from stages.support.watch import Watch
from tests.support.toy import make_batches, make_trainer


@pytest.fixture
def drawn(monkeypatch):
    """Steps at which a picture was drawn."""
    steps = []

    def draw(trainer, examples):
        steps.append(trainer.step_number)
        return f"step {trainer.step_number}".encode()

    monkeypatch.setattr("stages.support.watch.training_picture", draw)
    return steps


def watch_from(start, every, discs, path, end=6):
    trainer = make_trainer(iterations=6)
    trainer.step_number = start
    watch = Watch(trainer, make_batches(discs), every, path)
    for _ in range(start, end):
        trainer.step_number += 1
        watch.look()


@pytest.mark.parametrize(
    ("start", "every", "expected"),
    [
        (0, 2, [0, 2, 4, 6]),
        (0, 4, [0, 4, 6]),
        (0, 50, [0, 6]),
        (3, 2, [3, 4, 6]),  # resumed
    ],
)
def test_at_the_start_every_so_often_and_at_the_end(discs, tmp_path, drawn, start, every, expected):
    path = tmp_path / "results" / "training.png"
    watch_from(start, every, discs, path)
    assert drawn == expected
    assert path.read_bytes() == b"step 6"
    assert list(path.parent.iterdir()) == [path]


def test_never_leaves_a_sheet_that_says_so(discs, tmp_path, drawn):
    path = tmp_path / "training.png"
    path.write_bytes(b"of an earlier run")
    watch_from(0, 0, discs, path)
    assert drawn == []
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("every", [0, 2])
def test_of_several_processes_only_the_first_writes(discs, tmp_path, drawn, monkeypatch, every):
    monkeypatch.setattr("stages.support.watch.read_ranks", lambda: Ranks(number=1, size=2, local=1))
    watch_from(0, every, discs, tmp_path / "training.png")
    assert drawn == []
    assert not any(tmp_path.iterdir())
