"""Several processes on one job."""

from itertools import chain

import pytest
import torch

from fsslib.files.shards import split_shards, write_shards
from fsslib.files.storage import write_bytes
from fsslib.ranks import ALONE, Ranks, read_ranks
from tests.support.helpers import one_line

NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK")


@pytest.fixture
def given(monkeypatch):
    def put(*values):
        for name, value in zip(NAMES, values, strict=True):
            monkeypatch.delenv(name, raising=False)
            if value is not None:
                monkeypatch.setenv(name, value)

    return put


def test_without_a_launcher_there_is_one_process(given):
    given(None, None, None)
    assert read_ranks() == Ranks(0, 1, 0)
    assert read_ranks().leads
    read_ranks().wait()


def test_the_launchers_variables_are_read(given):
    given("5", "8", "1")
    assert read_ranks() == Ranks(5, 8, 1)
    assert not read_ranks().leads


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("x", "2", "0"), "RANK='x', WORLD_SIZE='2', LOCAL_RANK='0' must be numbers"),
        (("2", "2", "0"), "RANK=2 must be below WORLD_SIZE=2"),
        (("-1", "2", "0"), "RANK=-1 must be below WORLD_SIZE=2"),
        (("0", "0", "0"), "RANK=0 must be below WORLD_SIZE=0"),
    ],
)
def test_nonsense_is_refused(given, values, message):
    given(*values)
    assert one_line(read_ranks).startswith(message)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_shares_are_disjoint_and_hold_everything(size):
    items = "abcde"
    shares = [list(Ranks(number, size).share(items)) for number in range(size)]
    assert sorted(chain(*shares)) == list(enumerate(items))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("size", [1, 2, 4])
def test_parts_follow_each_other_and_are_equal(size):
    parts = [Ranks(number, size).part(8, "training.pairs") for number in range(size)]
    assert list(chain(*parts)) == list(range(8))
    assert {len(part) for part in parts} == {8 // size}


@pytest.mark.parametrize(
    ("count", "size", "fitting"), [(4, 3, "1, 2"), (7, 2, "1"), (6, 4, "1, 2, 3")]
)
def test_places_that_cannot_be_shared_equally_are_refused(count, size, fitting):
    assert one_line(Ranks(0, size).part, count, "training.pairs") == (
        f"training.pairs: {count} cannot be shared equally by {size} processes: make it a multiple "
        f"of {size}, or start as many as divide it ({fitting})"
    )


def test_alone_there_is_nothing_to_exchange():
    assert [ALONE.any(True), ALONE.any(False)] == [True, False]
    tensor = torch.ones(2)
    ALONE.add_up(tensor)
    assert tensor.tolist() == [1, 1]


class Crew(Ranks):
    """Ranks that run one after the other: waiting is noted only."""

    def wait(self):
        pass


def test_the_first_rank_joins_what_all_wrote(tmp_path):
    shards = split_shards(range(10), 3)
    scratch, out = tmp_path / "scratch", tmp_path / "out"

    def write(path, items):
        write_bytes(path, repr(list(items)).encode())

    for number in (2, 1):
        write_shards(shards, scratch, out, ".bin", write, None, Crew(number, 3))
        assert not out.exists()
    written = sorted(p.name for p in scratch.iterdir())
    assert written == ["00001.bin", "00002.bin"]
    write_shards(shards, scratch, out, ".bin", write, None, Crew(0, 3))
    assert [p.read_text() for p in sorted(out.iterdir())] == [repr(list(s)) for s in shards]
    assert not scratch.exists()
