"""`kill -9` in the middle of a stage: the next run ends as if nothing had happened.

`python -m benchmarks.kills` does this many times and with more stages.
"""

import pytest

from tests.killing import Victim, kill_stage


@pytest.fixture(scope="module")
def victim(tmp_path_factory):
    return Victim.make(tmp_path_factory.mktemp("killed"), last="annotate")


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["extract", "annotate"])
def test_a_killed_stage_completes_with_the_same_bytes_and_leaves_nothing(victim, stage):
    tally = kill_stage(victim, stage, kills=2, seed=0)
    assert tally.passed, tally
