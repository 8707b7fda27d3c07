"""Finished experiments: DVC keeps each as a commit under `refs/exps/<baseline>/<name>`."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fsslib.errors import FsslibError
from stages.support.external import run, succeeds
from stages.support.params import (
    Params,
)
from stages.support.params_file import (
    PARAMS_FILE,
    parse_params,
)

REF = re.compile(r"refs/exps/([0-9a-f]{2})/([0-9a-f]{38})/(\S+)")


@dataclass(frozen=True)
class Recorded:
    """An experiment that DVC has finished.

    Attributes:
        name: of the experiment.
        commit: that holds its params, code and results.
        baseline: the commit that it was made from.
    """

    name: str
    commit: str
    baseline: str


def recorded_experiments() -> list[Recorded]:
    """All of the repository, newest first.

    Raises:
        FsslibError: no git repository here, or no git.
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
    """A JSON file as a commit holds it; None where it holds none."""
    try:
        content: dict[str, Any] = json.loads(run(["git", "show", f"{commit}:./{path.as_posix()}"]))
    except (FsslibError, ValueError):
        return None
    return content


def comparable(params: Params) -> dict[str, Any]:
    """What decides results: all params but `runtime`."""
    return params.model_dump(exclude={"runtime"})


def with_changes(params: Params, changes: Mapping[str, Any]) -> Params:
    """Params with other values, checked."""
    return Params.model_validate({**params.model_dump(), **changes})


def with_params(experiments: Sequence[Recorded], name: str, params: Params) -> Iterator[Recorded]:
    """Those of a name that were run with these params (any `runtime`), newest first."""
    wanted = comparable(params)
    for experiment in experiments:
        if experiment.name == name and _params_of(experiment.commit) == wanted:
            yield experiment


def same_code(commit: str, files: Sequence[str]) -> bool:
    """Whether files are the same in a commit and in the workspace."""
    return succeeds(["git", "diff", "--quiet", commit, "--", *files])


def _params_of(commit: str) -> dict[str, Any] | None:
    """Of a commit; None where this version of the code cannot read them."""
    try:
        text = run(["git", "show", f"{commit}:./{PARAMS_FILE}"])
        return comparable(parse_params(text, PARAMS_FILE))
    except FsslibError:
        return None
