"""Runs git and dvc with lists of arguments, never in a shell; a failure becomes one line."""

import subprocess  # nosec B404
from collections.abc import Sequence

from fsslib.errors import FsslibError

MISSING = {
    "dvc": "activate the environment, 'source .venv/bin/activate'",
    "git": "install git",
}


def run(command: Sequence[str]) -> str:
    """Run a command and return what it prints on standard output.

    Raises:
        FsslibError: the program is missing, or it fails. The message quotes its first error line,
            or the last line that it wrote.
    """
    done = _run(command)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        errors = [line for line in said if line.startswith(("ERROR:", "fatal:"))] or said[-1:]
        reason = errors[0].split(":", 1)[-1].strip() if errors else "no message"
        raise FsslibError(f"'{' '.join(command[:3])}' failed: {reason}")
    return done.stdout


def succeeds(command: Sequence[str]) -> bool:
    """Whether a command ends with exit code 0."""
    return _run(command).returncode == 0


def _run(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    try:
        # With a list of arguments and no shell, a name stays one argument whatever it contains.
        return subprocess.run(command, capture_output=True, text=True, check=False)  # nosec B603
    except FileNotFoundError:
        name = command[0]
        raise FsslibError(f"{name} is not on PATH: {MISSING.get(name, 'install it')}") from None
