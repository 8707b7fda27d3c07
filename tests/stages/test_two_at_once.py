"""Two `dvc repro` in one project: the second is refused or waits, and nothing is damaged."""

import json
import subprocess

import pytest

from tests.support.project import Project


@pytest.mark.nightly
@pytest.mark.slow
def test_a_second_repro_harms_nothing(tmp_path):
    project = Project(tmp_path / "project")
    log = project.fake_stages()
    both = [
        subprocess.Popen(
            ["dvc", "repro"], cwd=project.folder, env=project.environment(),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    said = [process.communicate(timeout=500)[0] for process in both]
    codes = [process.returncode for process in both]
    assert 0 in codes, said
    for code, text in zip(codes, said, strict=True):
        if code:
            assert "lock" in text, text  # DVC's one line: another process holds it
            assert "Traceback" not in text
    ran = log.read_text().split()
    assert len(ran) == len(set(ran))  # no stage ran twice
    assert project.repro() == set()
    assert set(json.loads(project.run("dvc", "status", "--json"))) == {"fingerprint"}
