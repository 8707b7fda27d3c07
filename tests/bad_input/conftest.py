import os
import shutil

import pytest

from fsslib.files.shards import file_digest
from tests.support.world import MODEL, STEPS, inside, make_world, run, run_steps

GROWING = ("data/train/0/live", "results/folds/0/training.png")
"""What training writes while it runs."""


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """The project, made once a session; never written to."""
    folder = make_world(tmp_path_factory.mktemp("world") / "project")
    with inside(folder):
        run_steps(*STEPS)
    return folder


def link_the_model(source, target):
    """Copy, but the model of 27 MB: whoever damages a file writes a new one (`rewrite`)."""
    copy = os.link if source.endswith(MODEL) else shutil.copy2
    return copy(source, target)


@pytest.fixture
def project(world, tmp_path):
    """A copy of the project, in which the test runs."""
    folder = tmp_path / "project"
    shutil.copytree(world, folder, copy_function=link_the_model)
    with inside(folder):
        yield folder
    shutil.rmtree(folder, ignore_errors=True)  # 30 MB a test


def outputs(project):
    """Digest of every file that stages wrote but of what grows; of the model only which it is."""
    files = [p for top in ("data", "results") for p in (project / top).rglob("*") if p.is_file()]
    names = {str(p.relative_to(project)): p for p in files}
    kept = {n: p for n, p in names.items() if not n.startswith(GROWING)}
    return {n: p.stat().st_ino if n == MODEL else file_digest(p) for n, p in kept.items()}


@pytest.fixture
def check(project):
    """Damages the project, runs the command and compares; what was there before stays."""

    def check(case):
        case.damage(project)
        before = outputs(project)
        result = run(case.command)
        shown = f"exit code {result.exit_code}: {result.stderr}{result.stdout}"
        assert isinstance(result.exception, SystemExit | None), repr(result.exception)
        assert result.exit_code == case.code, shown
        if case.code == 1:
            (line,) = [r for r in result.stderr.splitlines() if r.startswith("error: ")] or [shown]
            assert case.says in line, line
            assert result.stderr.splitlines()[-1] == line
            assert outputs(project) == before
            assert not list(project.rglob("*.part"))
        else:
            assert case.says in result.stderr, shown

    return check
