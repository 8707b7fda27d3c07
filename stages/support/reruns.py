"""Finds from dvc.yaml what a change of params reruns, and which runs experiments share.

A run of a stage is decided by its params and by the runs whose outputs it depends on. Two runs with
the same key give the same outputs, so with DVC's run cache only one of them is computed. (The run
cache compares the content of outputs, so it may reuse even more.)
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from .closure import DVC_YAML

FOLD = "${item.fold}"


@dataclass(frozen=True)
class Run:
    """One run of a stage; two runs are equal if everything that decides their outputs is equal.

    Attributes:
        stage: name of the stage without the fold.
        name: DVC's name of the run, such as `train@2`.
        key: digest of its params and of the runs that it depends on.
    """

    stage: str
    name: str
    key: str


@dataclass(frozen=True)
class _Step:
    """One stage of dvc.yaml, for one fold."""

    stage: str
    name: str
    deps: tuple[str, ...]
    outs: tuple[str, ...]
    params: tuple[str, ...]


def read_pipeline(path: Path = DVC_YAML) -> dict[str, Any]:
    """The stages of dvc.yaml."""
    stages: dict[str, Any] = YAML(typ="safe").load(path.read_text(encoding="utf-8"))["stages"]
    return stages


def runs(
    pipeline: Mapping[str, Any], params: Mapping[str, Any], stale: Collection[str] = ()
) -> frozenset[Run]:
    """List the runs of an experiment with these params, without stages that run always or never.

    Args:
        pipeline: the stages of dvc.yaml.
        params: the whole of `params.yaml`.
        stale: names as in `Run.name`; these runs and all that depend on them get other keys.
    """
    steps = list(_steps(pipeline, params["folds"]))

    @cache
    def key(number: int) -> str:
        step = steps[number]
        values = {name: _value(params, name) for name in step.params}
        above = [key(n) for n, other in enumerate(steps) if _feeds(other.outs, step.deps)]
        text = json.dumps([step.name, values, sorted(above), step.name in stale], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    return frozenset(Run(step.stage, step.name, key(n)) for n, step in enumerate(steps))


def readers(
    pipeline: Mapping[str, Any], params: Mapping[str, Any], files: Collection[str]
) -> set[str]:
    """Names as in `Run.name` of the runs that depend on one of these files themselves."""
    return {s.name for s in _steps(pipeline, params["folds"]) if set(s.deps) & set(files)}


def code(pipeline: Mapping[str, Any]) -> list[str]:
    """Code files that the stages depend on, also those in listed folders, and dvc.yaml itself."""
    deps = {Path(d) for body in pipeline.values() for d in body.get("deps", [])}
    ours = {d for d in deps if d.parts[0] in ("fsslib", "stages")}
    files = {f for d in ours for f in ([d] if d.suffix == ".py" else d.rglob("*.py"))}
    return [str(DVC_YAML), *sorted(f.as_posix() for f in files)]


def remembered(pipeline: Mapping[str, Any]) -> set[str]:
    """Stages whose runs DVC can take from the run cache.

    DVC (3.67) does not keep runs of a stage with an uncached output that is neither metric nor
    plot. Such a stage is skipped only if dvc.lock records the run. In every other experiment, it
    runs again.
    """
    return {
        stage
        for stage, body in pipeline.items()
        if all(_is_cached(out) for out in body.get("outs", []))
    }


def waves(wanted: Sequence[Collection[Run]], done: Collection[Run]) -> list[list[int]]:
    """Group experiments so that no two of a group need the same missing run.

    Parallel workers do not see each other's unfinished work. Two experiments that need the same
    training would both do it.

    Args:
        wanted: the runs of each experiment.
        done: runs that have already been computed.

    Returns:
        Numbers of experiments, one list per wave. Within a wave, no missing run is needed twice.
    """
    known, left, found = set(done), list(range(len(wanted))), []
    while left:
        wave: list[int] = []
        claimed: set[Run] = set()
        for number in left:
            missing = set(wanted[number]) - known
            if not missing & claimed:
                wave.append(number)
                claimed |= missing
        found.append(wave)
        known |= claimed
        left = [n for n in left if n not in wave]
    return found


def counts(found: Collection[Run], pipeline: Mapping[str, Any]) -> dict[str, int]:
    """Number of runs of each stage, in the pipeline's order; stages without runs are left out."""
    number = {stage: sum(run.stage == stage for run in found) for stage in pipeline}
    return {stage: n for stage, n in number.items() if n}


def _steps(pipeline: Mapping[str, Any], folds: Sequence[int]) -> Iterator[_Step]:
    for stage, body in pipeline.items():
        # What a stage that always runs writes is decided by params that its readers have, too.
        if body.get("frozen") or body.get("always_changed"):
            continue
        for fold in folds if "matrix" in body else [None]:
            outs = [*body.get("outs", []), *body.get("metrics", []), *body.get("plots", [])]
            yield _Step(
                stage,
                stage if fold is None else f"{stage}@{fold}",
                tuple(_path(d, fold) for d in body.get("deps", [])),
                tuple(_path(o, fold) for o in outs),
                tuple(body.get("params", [])),
            )


def _path(entry: object, fold: int | None) -> str:
    """The path of an entry of dvc.yaml for one fold; it may be the only key of a mapping."""
    text = next(iter(entry)) if isinstance(entry, dict) else str(entry)
    return text if fold is None else text.replace(FOLD, str(fold))


def _is_cached(out: object) -> bool:
    return not isinstance(out, dict) or all(v.get("cache", True) for v in out.values())


def _feeds(outs: Collection[str], deps: Collection[str]) -> bool:
    """Whether an output is one of the dependencies, lies in one, or is a folder above one."""
    return any(_within(o, d) or _within(d, o) for o in outs for d in deps)


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def _value(params: Mapping[str, Any], key: str) -> Any:  # noqa: ANN401 - any value of params.yaml
    """The value of a dotted key such as `a.b`; None if the key is absent."""
    value: Any = params
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
