"""`fss sweep` and `fss table` with the real DVC and the real dvc.yaml, the stages faked."""

import json
from collections import Counter
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from fsslib.errors import FsslibError
from fsslib.experiments.sweeps import Experiment, find_sweep
from stages.support.dvc_queue import parse_status, queue_command, set_text
from stages.support.external import run, succeeds
from stages.tools import sweep, table
from tests.support.helpers import one_line
from tests.support.project import Project


def test_a_command_is_a_list_that_a_shell_would_read_alike():
    command = queue_command(Experiment("a-1", "", {"mine": False, "k": 3, "beta": 0.1}))
    assert command == [
        "dvc", "exp", "run", "--queue", "--name", "a-1",
        "-S", "mine=false", "-S", "k=3", "-S", "beta=0.1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"), (True, "true"), (0.9999, "0.9999"), ([1], "[1]"),
        (["train", "/data/a b"], "[train,'/data/a b']"), ("it's", r"'it\'s'"),
    ],
)  # fmt: skip
def test_values_in_hydras_grammar(value, text):
    assert set_text(value) == text


def test_status_of_the_queue_whatever_the_date_looks_like():
    text = (
        "Task     Name      Created       Status\n055eda9  beta-0    04:20 PM      Success\n"
        "326646b  beta-0.1  Nov 25, 2026  Running\n055eda8  beta-0.1  04:20 PM      Failed\n"
        "\nWorker status: 2 active, 0 idle\n"
    )
    assert parse_status(text) == {"beta-0": "Success", "beta-0.1": "Running"}
    assert parse_status("No experiment tasks in the queue.\n") == {}


def test_a_failing_and_a_missing_program_are_one_line(monkeypatch):
    message = one_line(run, ["git", "rev-parse", "--verify", "no-such-thing"])
    assert message == "'git rev-parse --verify' failed: Needed a single revision"
    assert not succeeds(["git", "rev-parse", "--verify", "no-such-thing"])
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(FsslibError, match=r"^dvc is not on PATH: activate the environment"):
        run(["dvc", "--version"])


def test_start_awaits_what_is_queued_already_and_then_wave_after_wave(monkeypatch):
    one, two = find_sweep("table7").experiments
    skipped, nothing, said = {"a": "queued", "b": "finished"}, frozenset(), []
    plan = sweep.Plan([[one], [two]], skipped, [], nothing, nothing)
    monkeypatch.setattr(sweep, "run", said.append)
    monkeypatch.setattr(sweep, "start_workers", said.append)
    monkeypatch.setattr(sweep, "wait_for", lambda names, jobs, on_finished: said.append(names))
    sweep.run_waves(find_sweep("table7"), plan, 1)
    assert said == [
        1, ["a"], queue_command(one), 1, [one.name], queue_command(two), 1, [two.name],
    ]  # fmt: skip


ROWS = (0, 1, 2)
"""Rows of table 3 that are run here: baseline, FG, BG. All six take twice as long."""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """All stages of one fold done once, committed; the log of what ran is empty."""
    made = Project(tmp_path_factory.mktemp("sweeps") / "project")
    made.put(folds=[0])
    made.finish_with_fakes()
    return made


@pytest.fixture
def fss(project, monkeypatch):
    """Run `sweep` or `table` in the project; what the stages ran meanwhile is in `project.ran`."""
    project.enter(monkeypatch)
    whole = find_sweep("table3")
    short = replace(whole, experiments=[whole.experiments[n] for n in ROWS])
    for module in (sweep, table):
        choose = lambda name, images=None: short if name == "table3" else find_sweep(name, images)  # noqa: E731
        monkeypatch.setattr(module, "find_sweep", choose)

    def invoke(module, *arguments):
        project.log.write_text("")
        shown = CliRunner().invoke(module.app, list(arguments))
        assert shown.exit_code == 0, shown.output
        project.ran = project.log.read_text().split()
        return shown

    return invoke


def told(shown):
    """Runs of each stage that a sweep said it has to compute."""
    (line,) = [x for x in shown.stderr.splitlines() if x.startswith("runs of stages")]
    parts = [part.split() for part in line.split(": ")[1].split(", ")]
    return {stage: int(n.strip("()")) for stage, _, n in parts if n != "(0)"}


def ran(project):
    return Counter(name.split("@")[0] for name in project.ran)


def test_dry_run_prints_the_commands_and_queues_nothing(project, fss):
    shown = fss(sweep, "table3", "--dry-run")
    commands = shown.stdout.splitlines()
    assert len(commands) == 3
    assert all(c.startswith("dvc exp run --queue --name table3-") for c in commands)
    assert "models to train: 2 of 2 (2 a fold)" in shown.stderr
    assert "No experiment tasks" in project.run("dvc", "queue", "status")


def test_without_a_commit_a_repository_or_with_an_untracked_file_it_is_one_line(
    project, fss, tmp_path, monkeypatch
):
    extra = project.folder / "fsslib/rectification/background.py"
    project.run("git", "rm", "-q", "--cached", str(extra))
    shown = CliRunner().invoke(sweep.app, ["beta"])
    project.run("git", "add", str(extra))
    assert shown.exit_code == 1
    assert shown.stderr.startswith(
        "error: git does not track fsslib/rectification/background.py, and"
    )
    assert CliRunner().invoke(sweep.app, ["beto"]).stderr.startswith("error: 'beto' is no sweep")
    for name in ("params.yaml", "dvc.yaml"):
        (tmp_path / name).write_text((project.folder / name).read_text())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert "no git repository here" in CliRunner().invoke(sweep.app, ["beta"]).stderr
    project.run("git", "init", "-q", str(tmp_path))
    assert "has no commit" in CliRunner().invoke(sweep.app, ["beta"]).stderr


@pytest.mark.slow
def test_two_workers_run_what_was_said_and_a_second_sweep_runs_nothing(project, fss):
    first = fss(sweep, "table3", "--start")
    assert told(first) == ran(project) == {"train": 2, "index": 2, "evaluate": 3, "summarize": 3}
    again = fss(sweep, "table3", "--start")
    assert again.stdout == ""
    assert again.stderr.count("is finished: skipped") == 3
    assert project.ran == []


@pytest.mark.nightly
@pytest.mark.slow
def test_what_experiments_that_were_removed_trained_comes_from_the_run_cache(project, fss):
    fss(sweep, "table3", "--start")
    removed = ["table3-baseline", "table3-bg"]
    project.run("dvc", "exp", "remove", *removed)
    again = fss(sweep, "table3", "--start")
    assert [line.split()[5] for line in again.stdout.splitlines()] == removed
    # Evaluation writes uncached files into git; DVC's run cache does not take such a stage.
    assert ran(project) == {"evaluate": 2, "summarize": 2}


@pytest.mark.slow
def test_the_table_shows_what_was_run_with_the_present_params(project, fss):
    fss(sweep, "table3", "--start")
    text = fss(table, "table3").stdout
    metrics = project.run("git", "show", f"{commit(project, 'table3-fg')}:results/metrics.json")
    mean = json.loads(metrics)["shot1"]["miou"]
    assert f"| FG | {mean:.2f} | {mean:.2f} | 0.50 | 58.9 |" in text
    assert "not run" not in text
    assert "† Not the paper's setting: dataset procedural (paper: pascal);" in text
    project.put(beta=0.25)
    assert fss(table, "table3").stdout.count("| not run |") == 3
    conflict = CliRunner().invoke(sweep.app, ["table3"])
    assert conflict.exit_code == 1
    assert (
        "table3-baseline is there with other params, code or files outside: commit"
        in conflict.stderr
    )
    replaced = fss(sweep, "table3", "--replace", "--dry-run").stdout.splitlines()
    assert replaced[0] == "dvc exp remove table3-baseline"
    assert len(replaced) == 6
    project.put(beta=0.2)


def commit(project, name):
    refs = project.run("git", "for-each-ref", "--format=%(objectname) %(refname)", "refs/exps")
    (found,) = [line.split()[0] for line in refs.splitlines() if line.endswith(f"/{name}")]
    return found


def test_the_table_of_nothing_says_not_run_and_writes_files(project, fss, tmp_path):
    text = fss(table, "sigma").stdout
    assert text.count("| not run |") == len(find_sweep("sigma").experiments)
    for name in ("csv", "png"):
        fss(table, "table8", "--format", name, "--out", str(tmp_path / f"t.{name}"))
    assert (tmp_path / "t.csv").read_text().startswith("experiment,label,status,fold 0,mean")
    assert (tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")
    for arguments in (["table8", "--format", "xls"], ["table8", "--format", "png"]):
        refused = CliRunner().invoke(table.app, arguments)
        assert refused.exit_code == 1
        assert refused.stderr.count("\n") == 1
