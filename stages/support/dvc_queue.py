"""DVC's queue of experiments: the commands that fill it, and waiting until it has run."""

import json
import re
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from fsslib.errors import FsslibError
from fsslib.experiments.sweeps import Experiment
from stages.support.external import run, succeeds
from stages.support.recorded import recorded_experiments

POLL_SECONDS, STATUS_SECONDS = 2, 30
"""Between looks at git, and at DVC, whose command takes seconds of a core."""

WAITING, FAILED = ("Queued", "Running"), "Failed"
"""Words of `dvc queue status`."""

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
    """Refuse what DVC's queue cannot run.

    Args:
        files: of code and params that an experiment needs.

    Raises:
        FsslibError: no git repository, no commit, or a file that git does not track, since a queued
            experiment sees tracked files alone.
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
    """Names of the workspace's stages that are out of date; all where DVC cannot tell."""
    found: Mapping[str, Any] = json.loads(run(["dvc", "status", "--json"]))
    return set(found)


def queue_status() -> dict[str, str]:
    """Name of each experiment in the queue -> its last status."""
    return parse_status(run(["dvc", "queue", "status"]))


def parse_status(text: str) -> dict[str, str]:
    """`queue_status` from the table that DVC prints: task, name, date in any form, status.

    A name that stands there twice waits if one of the two does.
    """
    found: dict[str, str] = {}
    for line in text.splitlines()[1:]:
        words = line.split()
        task = len(words) >= 4 and re.fullmatch("[0-9a-f]{7}", words[0])
        if task and found.get(words[1]) not in WAITING:
            found[words[1]] = words[-1]
    return found


def start_workers(jobs: int) -> None:
    """Let so many workers run what is queued; those that already run count."""
    run(["dvc", "queue", "start", "-j", str(jobs)])


def wait_for(names: Collection[str], jobs: int, on_finished: Callable[[str], None]) -> None:
    """Wait until all experiments have finished.

    Args:
        names: that are queued.
        jobs: workers to start again when they have gone home before the queue is empty.
        on_finished: called with each name.

    Raises:
        FsslibError: one or more failed; raised when the others are done.
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
