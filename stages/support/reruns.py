"""What a change of params reruns, read off dvc.yaml: which runs of stages experiments share.

A run of a stage is decided by its params and by the runs whose outputs it depends on. Two runs with
the same key give the same outputs, so that DVC's run cache computes one of them. (It compares the
content of outputs, so it may reuse even more.)
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from stages.support.closure import DVC_YAML

FOLD = "${item.fold}"


@dataclass(frozen=True)
class Run:
    """One run of a stage; equal where nothing that decides its outputs differs.

    Attributes:
        stage: name without the fold.
        name: as DVC says it, `train@2`.
        key: digest of params and of the runs that it depends on.
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
    """Every run that an experiment with these params consists of; frozen stages never run.

    Args:
        pipeline: the stages of dvc.yaml.
        params: the whole of `params.yaml`.
        stale: names as in `Run.name`; these runs and what depends on them get other keys.
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


def code(pipeline: Mapping[str, Any]) -> list[str]:
    """Files of code that the stages depend on, those of folders too, and dvc.yaml itself."""
    deps = {Path(d) for body in pipeline.values() for d in body.get("deps", [])}
    ours = {d for d in deps if d.parts[0] in ("fsslib", "stages")}
    files = {f for d in ours for f in ([d] if d.suffix == ".py" else d.rglob("*.py"))}
    return [str(DVC_YAML), *sorted(f.as_posix() for f in files)]


def remembered(pipeline: Mapping[str, Any]) -> set[str]:
    """Stages whose runs DVC can take from the run cache.

    DVC (3.67) leaves out a stage with an uncached output that is neither metric nor plot. Such a
    stage does not run where dvc.lock says that it has, and runs anew in every other experiment.
    """
    return {
        stage
        for stage, body in pipeline.items()
        if all(_is_cached(out) for out in body.get("outs", []))
    }


def waves(wanted: Sequence[Collection[Run]], done: Collection[Run]) -> list[list[int]]:
    """Group experiments so that none of a group waits for what another of it computes.

    Workers that run side by side do not see each other's unfinished work: two experiments that
    need the same training would both do it.

    Args:
        wanted: the runs of each experiment.
        done: what has been computed already.

    Returns:
        Numbers of experiments, a list a wave. Within a wave no run that is missing is needed twice.
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
    """Number of runs of each stage, in the pipeline's order, stages without one left out."""
    number = {stage: sum(run.stage == stage for run in found) for stage in pipeline}
    return {stage: n for stage, n in number.items() if n}


def _steps(pipeline: Mapping[str, Any], folds: Sequence[int]) -> Iterator[_Step]:
    for stage, body in pipeline.items():
        if body.get("frozen"):
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
    """A path of dvc.yaml, which may be the one key of a mapping, for one fold."""
    text = next(iter(entry)) if isinstance(entry, dict) else str(entry)
    return text if fold is None else text.replace(FOLD, str(fold))


def _is_cached(out: object) -> bool:
    return not isinstance(out, dict) or all(v.get("cache", True) for v in out.values())


def _feeds(outs: Collection[str], deps: Collection[str]) -> bool:
    """Whether an output is one of the dependencies, in its folder, or a folder above it."""
    return any(_within(o, d) or _within(d, o) for o in outs for d in deps)


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def _value(params: Mapping[str, Any], key: str) -> Any:  # noqa: ANN401 - any value of params.yaml
    """The value of `a.b`; absent keys are None."""
    value: Any = params
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
