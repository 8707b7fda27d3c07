"""What `make repro` does before it calls DVC."""

import subprocess

import pytest

from tests.support.project import ROOT


def recipe(word):
    """The line of the Makefile with a word, as make gives it to the shell."""
    lines = (ROOT / "Makefile").read_text(encoding="utf-8").splitlines()
    (line,) = [x for x in lines if word in x and not x.lstrip().startswith("@#")]
    return line.strip().removeprefix("@")


@pytest.mark.parametrize(("content", "stays"), [("", False), ('{"a": 1}', True), (None, False)])
def test_a_record_of_locks_that_a_kill_emptied_is_deleted(tmp_path, content, stays):
    record = tmp_path / ".dvc/tmp/rwlock"
    record.parent.mkdir(parents=True)
    if content is not None:
        record.write_text(content, encoding="utf-8")
    subprocess.run(["sh", "-c", recipe("rwlock")], cwd=tmp_path, check=True)
    assert record.exists() is stays
