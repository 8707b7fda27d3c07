"""What every command does with errors and signals, and how it tells its progress."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fsslib.errors import FsslibError
from stages.support import common
from stages.support.common import Bar, as_json, command, make_app, project_root, say
from stages.support.params_outside import Source

ROOT = Path(__file__).parents[2]
RESUMES = "run the same command again"


@pytest.fixture(autouse=True)
def _keep_handler():
    former = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, former)


def outcome(function):
    """Exit code, standard output and standard error of a command with this body."""

    @command
    def main() -> None:
        """Do it."""
        function()

    result = CliRunner().invoke(make_app(main), [])
    return result.exit_code, result.stdout, result.stderr


def raiser(error):
    def body():
        raise error

    return body


def test_success_is_silent():
    assert outcome(lambda: None) == (0, "", "")


def test_our_error_is_one_line_and_code_1():
    error = FsslibError("k: 0: too small:\n  raise it")
    assert outcome(raiser(error)) == (1, "", "error: k: 0: too small: raise it\n")


def test_the_systems_error_is_one_line_that_names_the_path():
    code, out, err = outcome(raiser(OSError(28, "No space left on device", "data/x.h5")))
    assert (code, out) == (1, "")
    assert err == (
        "error: data/x.h5 No space left on device: free space or mend the path, then rerun\n"
    )


def test_the_systems_error_without_a_path_is_one_line():
    _, _, err = outcome(raiser(OSError(28, "No space left on device")))
    assert err.startswith("error: No space left on device: ")


def test_ctrl_c_is_130():
    assert outcome(raiser(KeyboardInterrupt())) == (130, "", f"interrupted: {RESUMES}\n")


def test_sigterm_is_143():
    code, out, err = outcome(lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert (code, out, err) == (143, "", f"terminated: {RESUMES}\n")


@pytest.mark.parametrize("error", [ZeroDivisionError("bug"), OSError("no number")])
def test_a_bug_keeps_its_traceback(error):
    @command
    def main() -> None:
        """Do it."""
        raise error

    with pytest.raises(type(error)):
        main()


def test_a_command_keeps_its_help():
    @command
    def main(fold: common.FoldOption = None) -> None:
        """Do the thing."""

    result = CliRunner().invoke(make_app(main), ["--help"])
    assert result.exit_code == 0
    assert "Do the thing." in result.stdout
    assert "--fold" in result.stdout


def test_a_negative_fold_is_a_wrong_call():
    @command
    def main(fold: common.FoldOption = None) -> None:
        """Do the thing."""

    assert CliRunner().invoke(make_app(main), ["--fold", "-1"]).exit_code == 2


WAITS = """
import time
from stages.support.common import command, make_app, say
@command
def main() -> None:
    say("ready")
    time.sleep(60)
make_app(main)()
"""


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_a_signalled_process_says_so_in_one_line(number, code, word):
    # A shell's background job (CI, `make test &`) ignores SIGINT and hands that on to its children.
    listen = f"import signal; signal.signal({int(number)}, signal.default_int_handler)\n"
    with subprocess.Popen(
        [sys.executable, "-c", listen + WAITS], cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr.readline() == "ready\n"
        process.send_signal(number)
        assert process.stderr.read() == f"{word}: {RESUMES}\n"
    assert process.returncode == code


TALKS = """
import typer
from stages.support.common import command, make_app
@command
def main() -> None:
    typer.echo("a line")
make_app(main)()
"""


def test_a_reader_that_stops_as_head_does_is_no_error_to_mend():
    read, write = os.pipe()
    os.close(read)
    command_line = [sys.executable, "-c", TALKS]
    done = subprocess.run(command_line, cwd=ROOT, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")


def test_another_broken_pipe_is_told():
    code, _, err = outcome(raiser(BrokenPipeError(32, "Broken pipe")))
    assert (code, "Broken pipe" in err) == (1, True)


def test_a_real_stage_outside_a_project_is_one_line(tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "stages.episodes"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == ("error: params.yaml does not exist: run from the project's folder\n")


@pytest.fixture
def clock(monkeypatch):
    """A clock that tests move."""
    now = [100.0]
    monkeypatch.setattr(common.time, "monotonic", lambda: now[0])
    return now


def test_bar_in_a_log_speaks_every_ten_seconds(clock, capsys):
    with Bar("Encoding", 40) as bar:
        for _ in range(30):
            clock[0] += 1
            bar.advance(note=f"loss {bar.done}")
    assert capsys.readouterr().err.splitlines() == [
        "Encoding: 10/40, 1.0/s, 30 s left loss 9",
        "Encoding: 20/40, 1.0/s, 20 s left loss 19",
        "Encoding: 30/40, 1.0/s, 10 s left loss 29",
    ]


def test_bar_may_count_several_images_a_step(clock, capsys):
    with Bar("Training", 120, each=24, unit=" images") as bar:
        bar.skip(100)
        for _ in range(10):
            clock[0] += 1
            bar.advance(note="loss 0.5")
    said = capsys.readouterr().err
    assert said == "Training: 110/120, 24.0 images/s, 10 s left loss 0.5\n"


def test_quick_work_stays_silent(clock, capsys):
    with Bar("Encoding", 3) as bar:
        assert list(bar.count(iter("abc"))) == ["a", "b", "c"]
    assert bar.done == 3
    assert capsys.readouterr().err == ""


def test_what_an_earlier_run_did_is_no_part_of_the_rate(clock, capsys):
    with Bar("Encoding", 120) as bar:
        bar.skip(100)
        for _ in range(10):
            clock[0] += 1
            bar.advance()
    assert capsys.readouterr().err == "Encoding: 110/120, 1.0/s, 10 s left (resumed)\n"


def test_nothing_skipped_is_no_resumption(clock, capsys):
    with Bar("Encoding", 2) as bar:
        bar.skip(0)
        clock[0] += 10
        bar.advance()
    assert capsys.readouterr().err == "Encoding: 1/2, 0.1/s, 10 s left\n"


def test_say_goes_to_standard_error(capsys):
    say("hello")
    assert capsys.readouterr() == ("", "hello\n")


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("project", "project"),
        ("project/.dvc/tmp/exps/temp/abc", "project"),
        ("project/.dvc/tmp/exps/standalone/tmpxyz", "project"),
        ("tmp/exps/project", "tmp/exps/project"),
    ],
)
def test_relative_paths_are_the_projects_in_a_temporary_experiment_too(
    tmp_path, monkeypatch, folder, expected
):
    (tmp_path / folder).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / folder)
    assert project_root() == tmp_path / expected


def test_as_json_turns_sections_into_plain_values():
    assert as_json(Source(source="train", cap=3)) == {"source": "train", "cap": 3}
    assert as_json([1, "a"]) == [1, "a"]
