"""Finished experiments, which DVC keeps as commits under `refs/exps/<baseline>/<name>`."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fsslib.errors import FsslibError

from .external import run, succeeds
from .params import (
    Params,
)
from .params_file import (
    PARAMS_FILE,
    parse_params,
    suggest,
    validated,
)

REF = re.compile(r"refs/exps/([0-9a-f]{2})/([0-9a-f]{38})/(\S+)")


@dataclass(frozen=True)
class Recorded:
    """An experiment that DVC has finished.

    Attributes:
        name: name of the experiment.
        commit: commit that holds its params, code and results.
        baseline: commit that it was made from.
    """

    name: str
    commit: str
    baseline: str


def recorded_experiments() -> list[Recorded]:
    """List the finished experiments of the repository, newest first.

    Raises:
        FsslibError: this is not a git repository, or git is missing.
    """
    listed = run(
        ["git", "for-each-ref", "--sort=-committerdate", "--format=%(refname) %(objectname)",
         "refs/exps"]
    )  # fmt: skip
    found = []
    for line in listed.splitlines():
        ref, commit = line.split()
        match = REF.fullmatch(ref)
        if match:
            found.append(Recorded(match[3], commit, match[1] + match[2]))
    return found


def results_of(commit: str, path: Path) -> dict[str, Any] | None:
    """Read a JSON file from a commit; None if the commit does not hold it as valid JSON."""
    try:
        content: dict[str, Any] = json.loads(run(["git", "show", f"{commit}:./{path.as_posix()}"]))
    except (FsslibError, ValueError):
        return None
    return content


def comparable(params: Params) -> dict[str, Any]:
    """Params that decide results: all except `runtime`."""
    return params.model_dump(exclude={"runtime"})


def with_changes(params: Params, changes: Mapping[str, Any]) -> Params:
    """A validated copy of the params with some values changed; `a.b` is key b of section a.

    Raises:
        FsslibError: no such key, or values that params.yaml does not take.
    """
    raw = params.model_dump()
    for key, value in changes.items():
        *sections, last = key.split(".")
        place = raw
        try:
            for section in sections:
                place = place[section]
            place[last] = value
        except (KeyError, TypeError):  # no section
            raise FsslibError(f"unknown key {key}: {suggest(key, Params)}") from None
    return validated(Params, raw)


def with_params(experiments: Sequence[Recorded], name: str, params: Params) -> Iterator[Recorded]:
    """Experiments of a name that were run with these params (any `runtime`), newest first."""
    wanted = comparable(params)
    for experiment in experiments:
        if experiment.name == name and _params_of(experiment.commit) == wanted:
            yield experiment


def same_code(commit: str, files: Sequence[str]) -> bool:
    """Whether files are the same in a commit and in the workspace."""
    return succeeds(["git", "diff", "--quiet", commit, "--", *files])


def _params_of(commit: str) -> dict[str, Any] | None:
    """Comparable params of a commit; None if this version of the code cannot read them."""
    try:
        text = run(["git", "show", f"{commit}:./{PARAMS_FILE}"])
        return comparable(parse_params(text, PARAMS_FILE))
    except FsslibError:
        return None
