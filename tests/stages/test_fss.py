"""`fss`: all steps under one command, which imports only the step that it runs."""

import subprocess
import sys
from importlib import import_module

import pytest
from typer.testing import CliRunner

import fsslib
from stages.tools.fss import COMMANDS, PROJECT_FILES, app, summary

PROBE = """
import sys
from typer.testing import CliRunner
from stages.tools.fss import app
result = CliRunner().invoke(app, ["--help"])
assert result.exit_code == 0, result.output
assert not {"torch", "h5py", "numpy"} & set(sys.modules), sorted(sys.modules)
"""


def run(*args):
    return CliRunner().invoke(app, list(args))


def test_help_lists_every_step_and_imports_none():
    shown = run("--help")
    assert shown.exit_code == 0
    assert all(f" {name} " in shown.output for name in COMMANDS)
    subprocess.run([sys.executable, "-c", PROBE], check=True)


@pytest.mark.parametrize("step", COMMANDS)
def test_every_step_has_the_help_of_its_own_module(step):
    shown = run(step, "--help")
    assert shown.exit_code == 0
    main = getattr(import_module(COMMANDS[step]), "main", None)
    if main is not None:
        first_words = " ".join(main.__doc__.split()[:5])
        assert first_words in " ".join(shown.output.split())
    assert len(summary(step)) > 10


def test_outside_of_a_project_a_command_that_needs_one_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, files in PROJECT_FILES.items():
        shown = run(name)
        assert (shown.exit_code, shown.stdout) == (1, "")
        wanted = f"error: no {' and no '.join(files)} in {tmp_path}: 'fss {name}' runs in a"
        assert shown.stderr.startswith(wanted)
        assert shown.stderr.count("\n") == 1
    assert set(COMMANDS) - set(PROJECT_FILES) >= {
        "predict",
        "models",
        "info",
        "export",
        "data",
        "demo",
    }
    (tmp_path / "params.yaml").touch()
    assert "no dvc.yaml in" in run("sweep", "table3").stderr


def test_version_and_an_unknown_step():
    assert run("--version").output == f"fsslib {fsslib.__version__}\n"
    assert run("trian").exit_code == 2


def test_info_describes_a_file_and_refuses_others_in_one_line(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    shown = run("info", str(tmp_path / "a.txt"))
    assert shown.exit_code == 1
    assert shown.stderr.startswith("error: ")
    assert shown.stderr.count("\n") == 1
