"""Queued experiments run in copies of the project; their photographs lie somewhere else."""

import pytest
from typer.testing import CliRunner

from stages.tools import sweep
from tests.support.project import Project
from tests.support.world import PARAMS, make_photographs, set_params


@pytest.mark.nightly
@pytest.mark.slow
@pytest.mark.parametrize("absolute", [True, False])
def test_two_workers_read_photographs_outside_the_repository(tmp_path, monkeypatch, absolute):
    photos = tmp_path / "my photos"
    make_photographs(photos)
    project = Project(tmp_path / "project")
    root = str(photos) if absolute else "../my photos"
    set_params(**{**PARAMS, "data_root": root})(project.folder)
    project.run("dvc", "repro", "train@0")
    project.commit()
    project.enter(monkeypatch)
    done = CliRunner().invoke(sweep.app, ["w", "--start", "--jobs", "2"])
    assert done.exit_code == 0, done.output
    names = project.run("dvc", "exp", "list", "--name-only").split()
    assert {"w-0", "w-0.5", "w-0.8", "w-0.9", "w-1"} <= {*names}
