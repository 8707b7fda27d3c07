"""Some hundred mutated files; `python -m tests.mutation` reads 100 000."""

from tests.mutation import run


def test_no_mutated_file_is_a_traceback_a_hang_or_another_content():
    found, faults = run(files=440, seed=1)
    assert faults == []
    assert found["files"] == 440
    for kind, outcomes in found["tally"].items():
        assert outcomes["refused"], kind
