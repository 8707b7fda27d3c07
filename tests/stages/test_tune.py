"""`fss tune` with the real DVC and the real dvc.yaml, the stages faked."""

import pytest
from typer.testing import CliRunner

from fsslib.experiments.tuning import Scored
from stages.support.params_file import load_params
from stages.tools import tune
from tests.data.test_holdout import manifest
from tests.support.project import Project


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    made = Project(tmp_path_factory.mktemp("tune") / "project")
    made.put(shots=[1])
    made.finish_with_fakes()
    return made


@pytest.fixture
def fss(project, monkeypatch):
    project.enter(monkeypatch)
    monkeypatch.setattr(tune, "open_manifest", manifest)
    return lambda *arguments: CliRunner().invoke(tune.app, list(arguments))


def test_dry_run_prints_an_experiment_for_each_value_and_group(project, fss):
    shown = fss("sigma=10,20", "w=0.5,0.9", "--fold", "1", "--dry-run")
    assert shown.exit_code == 0, shown.stderr
    commands = shown.stdout.splitlines()
    assert len(commands) == 12
    assert commands[0] == (
        "dvc exp run --queue --name tune-1-0-sigma-10-w-0.5 -S holdout=0 -S 'folds=[1]' "
        "-S baseline_lr=null -S sigma=10 -S w=0.5"
    )
    assert "No experiment tasks" in project.run("dvc", "queue", "status")


def test_it_prints_chooses_and_writes(project, fss, monkeypatch):
    scores = {0.1: (41.0, 52.1, 62.9), 0.2: (40.0, 51.0, 62.0), 0.3: (50.0, 51.0, 55.0)}
    rows = [Scored({"beta": value}, found) for value, found in scores.items()]
    monkeypatch.setattr(tune, "_scores", lambda *given: rows)
    shown = fss("beta=0.1,0.2,0.3")
    assert shown.exit_code == 0, shown.stderr
    assert "| beta=0.2 (present) | 40.00 | 51.00 | 62.00 | 51.00 |" in shown.stdout
    assert "best: beta=0.1, +1.00 ± 0.25 against beta=0.2: larger than the noise" in shown.stderr
    assert "choice: beta=0.1" in shown.stderr
    assert load_params().beta == 0.2
    assert "beta: 0.2 -> 0.1" in fss("beta=0.1,0.2,0.3", "--apply").stderr
    assert load_params().beta == 0.1
    project.put(beta=0.2)
    rows[0] = Scored({"beta": 0.1}, (44.0, 48.0, 63.0))
    shown = fss("beta=0.1,0.2,0.3", "--apply")
    assert "within the noise" in shown.stderr
    assert "choice: beta=0.2" in shown.stderr
    assert load_params().beta == 0.2
    rows[1] = None
    assert "2 of 3 choices are scored" in fss("beta=0.1,0.2,0.3", "--dry-run").stderr


def test_without_the_present_value_the_first_is_compared_with(fss, monkeypatch):
    rows = [Scored({"beta": 0.1}, (41.0, 52.1, 62.9)), Scored({"beta": 0.3}, (50.0, 51.0, 55.0))]
    monkeypatch.setattr(tune, "_scores", lambda *given: rows)
    shown = fss("beta=0.1,0.3")
    assert "| beta=0.1 (first) |" in shown.stdout
    assert "present" not in shown.stdout + shown.stderr


def test_a_value_that_was_not_compared_with_the_present_one_is_not_applied(fss):
    shown = fss("beta=0.1", "--apply")
    assert shown.exit_code == 1
    assert shown.stderr == (
        "error: --apply: the present values are not among beta=0.1, so nothing would be compared "
        "with them: list them, too\n"
    )


@pytest.mark.nightly
@pytest.mark.slow
def test_it_runs_prints_chooses_and_writes(project, fss):
    shown = fss("beta=0.1,0.2", "--start")
    assert shown.exit_code == 0, shown.stderr
    assert "| beta=0.2 (present) |" in shown.stdout
    assert "choice: beta=0." in shown.stderr
    project.log.write_text("")
    again = fss("beta=0.1,0.2", "--apply")
    assert again.exit_code == 0, again.stderr
    assert shown.stdout.endswith(again.stdout)
    assert project.log.read_text() == ""
    choice = again.stderr.split("choice: beta=")[1][:3]
    assert load_params().beta == float(choice)
    project.put(beta=0.2)


@pytest.mark.parametrize(("arguments", "says"), [
    (["sigma"], "give each key once, as KEY=VALUE,VALUE"),
    (["sigma=1", "sigma=2"], "give each key once"),
    (["holdout=1"], "give each key once"),
    (["sigma=[1"], "the values are no YAML"),
    (["sigma=0"], "sigma: 0: input should be greater than 0"),
    (["sigm=1"], "unknown key sigm: did you mean sigma?"),
    (["training.nothing=0"], "unknown key training.nothing: remove it"),
    (["training.croop=0"], "unknown key training.croop: did you mean training.crop?"),
    (["m.a=1"], "unknown key m.a: remove it"),
    (["sigma=1", "--fold", "7"], "folds: 7 is not one of 0 to 3"),
])  # fmt: skip
def test_bad_arguments_are_one_line(fss, arguments, says):
    shown = fss(*arguments)
    assert shown.exit_code == 1
    assert says in shown.stderr
    assert shown.stderr.count("\n") == 1


def test_a_holdout_in_params_is_refused(project, fss):
    project.put(holdout=1)
    assert "holdout: 1 is set in params.yaml" in fss("sigma=1").stderr
    project.put(holdout=None)
