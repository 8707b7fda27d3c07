"""DVC's queue of experiments: commands that fill it, and waiting until it has run."""

import json
import re
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from fsslib.errors import FsslibError
from fsslib.experiments.sweeps import Experiment

from .external import run, succeeds
from .recorded import recorded_experiments

POLL_SECONDS, STATUS_SECONDS = 2, 30
"""Seconds between checks of git, and of DVC, whose command takes seconds of CPU time."""

WAITING, FAILED = ("Queued", "Running"), "Failed"
"""Status words that `dvc queue status` prints."""

PLAIN = re.compile(r"[\w./@+-]+")


def queue_command(experiment: Experiment) -> list[str]:
    """The command that queues an experiment."""
    command = ["dvc", "exp", "run", "--queue", "--name", experiment.name]
    for key, value in experiment.changes.items():
        command += ["-S", f"{key}={set_text(value)}"]
    return command


def set_text(value: Any) -> str:  # noqa: ANN401 - any value of params.yaml
    """A value as `dvc exp run -S` reads it (Hydra's grammar)."""
    if isinstance(value, list):
        return "[" + ",".join(set_text(v) for v in value) + "]"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    return text if PLAIN.fullmatch(text) else "'" + text.replace("'", "\\'") + "'"


def check_ready(files: Collection[str]) -> None:
    """Check that DVC's queue can run experiments here.

    Args:
        files: code and params that an experiment needs.

    Raises:
        FsslibError: there is no git repository or no commit, or git does not track one of the
            files. A queued experiment sees only tracked files.
    """
    run(["dvc", "--version"])
    if not succeeds(["git", "rev-parse", "--git-dir"]):
        raise FsslibError("no git repository here, and DVC's experiments need one: 'git init'")
    if not succeeds(["git", "rev-parse", "--verify", "--quiet", "HEAD"]):
        raise FsslibError("the git repository has no commit for experiments to start from: commit")
    tracked = set(run(["git", "ls-files", "--", *files]).splitlines())
    untracked = [f for f in files if f not in tracked and Path(f).exists()]
    if untracked:
        raise FsslibError(
            f"git does not track {', '.join(untracked[:3])}, and a queued experiment sees tracked "
            "files alone: commit"
        )


def stale_stages() -> set[str]:
    """Names of the workspace's stages that `dvc status` reports as out of date."""
    found: Mapping[str, Any] = json.loads(run(["dvc", "status", "--json"]))
    return set(found)


def queue_status() -> dict[str, str]:
    """Map the name of each experiment in the queue to its last status."""
    return parse_status(run(["dvc", "queue", "status"]))


def parse_status(text: str) -> dict[str, str]:
    """Parse the table of `dvc queue status`: task, name, date in any form, status.

    A name that is listed twice counts as waiting if one of the two is waiting.
    """
    found: dict[str, str] = {}
    for line in text.splitlines()[1:]:
        words = line.split()
        task = len(words) >= 4 and re.fullmatch("[0-9a-f]{7}", words[0])
        if task and found.get(words[1]) not in WAITING:
            found[words[1]] = words[-1]
    return found


def start_workers(jobs: int) -> None:
    """Let `jobs` workers run the queue; workers that already run count."""
    run(["dvc", "queue", "start", "-j", str(jobs)])


def wait_for(names: Collection[str], jobs: int, on_finished: Callable[[str], None]) -> None:
    """Wait until all experiments have finished.

    Args:
        names: names of queued experiments.
        jobs: number of workers to start again if they stop before the queue is empty.
        on_finished: called with the name of each finished experiment.

    Raises:
        FsslibError: one or more experiments failed; raised after the others are done.
    """
    baseline = run(["git", "rev-parse", "HEAD"]).strip()
    left, failed, asked = set(names), set[str](), time.monotonic()
    while left:
        time.sleep(POLL_SECONDS)
        done = {e.name for e in recorded_experiments() if e.baseline == baseline} & left
        for name in sorted(done):
            on_finished(name)
        left -= done
        if left and time.monotonic() - asked > STATUS_SECONDS:
            status, asked = queue_status(), time.monotonic()
            failed |= {name for name in left if status.get(name, FAILED) == FAILED}
            failed -= {e.name for e in recorded_experiments() if e.baseline == baseline}
            left -= failed
            if left and not any(status[name] == "Running" for name in left & set(status)):
                start_workers(jobs)
    if failed:
        first = sorted(failed)[0]
        raise FsslibError(f"{', '.join(sorted(failed))} failed: 'dvc queue logs {first}' says why")
