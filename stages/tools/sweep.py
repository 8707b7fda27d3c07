"""`sweep`: queues a table of the paper, or values of one param, as DVC experiments."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from fsslib.errors import FsslibError
from fsslib.experiments.sweeps import NAMES, Experiment, Sweep, find_sweep

from ..support.common import Bar, command, make_app, say
from ..support.dvc_queue import (
    WAITING,
    check_ready,
    queue_command,
    queue_status,
    stale_stages,
    start_workers,
    wait_for,
)
from ..support.external import run
from ..support.outside_now import OutsideNow
from ..support.params import (
    Params,
)
from ..support.params_file import (
    PARAMS_FILE,
    load_params,
)
from ..support.recorded import recorded_experiments, same_code, with_changes, with_params
from ..support.reruns import Run, code, counts, read_pipeline, readers, remembered, runs, waves

FINISHED = "finished"


@dataclass(frozen=True)
class Plan:
    """What a sweep has to do.

    Attributes:
        waves: experiments to run, in groups; those of a group compute nothing twice in parallel.
        skipped: name of each skipped experiment -> the reason.
        replaced: names of experiments to remove first.
        needed: runs of stages that the whole sweep consists of.
        missing: needed runs that have not been computed.
    """

    waves: Sequence[Sequence[Experiment]]
    skipped: dict[str, str]
    replaced: Sequence[str]
    needed: frozenset[Run]
    missing: frozenset[Run]

    @property
    def waiting(self) -> list[str]:
        """Names of experiments that an earlier sweep has queued."""
        return [name for name, why in self.skipped.items() if why != FINISHED]


@command
def main(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(NAMES)}.")],
    dry_run: Annotated[bool, typer.Option(help="Print the commands and queue nothing.")] = False,
    start: Annotated[
        bool, typer.Option(help="Also run the queue, and wait until it is done.")
    ] = False,
    jobs: Annotated[int, typer.Option(min=1, help="Experiments to run in parallel.")] = 2,
    images: Annotated[
        str | None,
        typer.Option(help="For table5: folder of unlabelled photographs, instead of ImageNet's."),
    ] = None,
    replace: Annotated[
        bool,
        typer.Option(help="First remove experiments of the same names but other params or code."),
    ] = False,
) -> None:
    """Queue the experiments of a table of the paper, or of a sweep over one param.

    Reads params.yaml, dvc.yaml and DVC's experiments. Writes only to DVC's queue, or with --start
    also runs it. Each experiment is a plain `dvc exp run --queue`, printed before it runs. Params
    that the table does not set are those of params.yaml. Experiments that are finished or queued
    with the same params, code and files outside are skipped. First it prints how many models the
    sweep trains and how often it encodes, from the lists of params and deps in dvc.yaml. `fss
    table` shows the results.
    """
    sweep, params, pipeline = find_sweep(name, images), load_params(), read_pipeline()
    check_ready([*code(pipeline), str(PARAMS_FILE)])
    plan = make_plan(sweep, params, pipeline, replace)
    for line in describe(sweep, plan, pipeline):
        say(line)
    for old in plan.replaced:
        _do(["dvc", "exp", "remove", old], dry_run)
    jobs = 1 if sweep.timed else jobs
    todo = [e for wave in plan.waves for e in wave]
    if start and not dry_run:
        run_waves(sweep, plan, jobs)
    else:
        for experiment in todo:
            _do(queue_command(experiment), dry_run)
        if todo or plan.waiting:
            say(_how_to_start(sweep, plan, jobs))
    say(f"results: fss table {sweep.name}")


def make_plan(sweep: Sweep, params: Params, pipeline: dict[str, Any], replace: bool) -> Plan:
    """Compare what a sweep needs with what is finished, queued and in the workspace.

    Raises:
        FsslibError: an experiment of the same name and commit has other params, other code or
            other files outside.
    """
    files, recorded, queued = code(pipeline), recorded_experiments(), queue_status()
    baseline, now = run(["git", "rev-parse", "HEAD"]).strip(), OutsideNow(pipeline)
    stale = stale_stages() | readers(pipeline, _plain(params), now.changed(params))
    done = set(runs(pipeline, _plain(params)))
    done &= runs(pipeline, _plain(params), stale)
    kept, skipped, replaced, wanted = remembered(pipeline), {}, [], {}
    for experiment in sweep.experiments:
        changed = with_changes(params, experiment.changes)
        wanted[experiment.name] = runs(pipeline, _plain(changed))
        same = with_params(recorded, experiment.name, changed)
        if any(same_code(e.commit, files) and now.same(e.commit, changed) for e in same):
            skipped[experiment.name] = FINISHED
            done |= {r for r in wanted[experiment.name] if r.stage in kept}
        elif queued.get(experiment.name) in WAITING:
            skipped[experiment.name] = queued[experiment.name].lower()
        elif any(e.name == experiment.name and e.baseline == baseline for e in recorded):
            replaced.append(experiment.name)
    if replaced and not replace:
        raise FsslibError(
            f"{replaced[0]} is there with other params, code or files outside: commit what you "
            "changed, so that new experiments hang under a new commit, or replace it with --replace"
        )
    todo = [e for e in sweep.experiments if e.name not in skipped]
    groups = waves([wanted[e.name] for e in todo], done)
    return Plan(
        [[todo[number] for number in group] for group in groups],
        skipped,
        replaced,
        frozenset().union(*wanted.values()),
        frozenset().union(*(wanted[e.name] for e in todo)) - done,
    )


def describe(sweep: Sweep, plan: Plan, pipeline: dict[str, Any]) -> list[str]:
    """Lines that say what a sweep consists of, and which part has to be computed."""
    needed, missing = counts(plan.needed, pipeline), counts(plan.missing, pipeline)
    parts = [f"{stage} {number} ({missing.get(stage, 0)})" for stage, number in needed.items()]
    lines = [f"{sweep.title}: {len(sweep.experiments)} experiments"]
    lines += [f"{name} is {why}: skipped" for name, why in plan.skipped.items()]
    lines.append(f"runs of stages, in brackets how many to compute: {', '.join(parts)}")
    folds = len({r.name for r in plan.needed if r.stage == "train"})
    lines.append(
        f"models to train: {missing.get('train', 0)} of {needed['train']} "
        f"({needed['train'] // folds} a fold); encoder passes: over the training images "
        f"{missing.get('extract', 0)} of {needed['extract']}, over the pools with trained encoders "
        f"{missing.get('index', 0)} of {needed['index']}"
    )
    return lines


def _plain(params: Params) -> dict[str, Any]:
    return params.model_dump()


def _do(arguments: list[str], dry_run: bool) -> None:
    """Print a command, and run it unless `dry_run` is set."""
    typer.echo(shlex.join(arguments))
    if not dry_run:
        run(arguments)


def _how_to_start(sweep: Sweep, plan: Plan, jobs: int) -> str:
    text = f"start them: dvc queue start -j {jobs}"
    if sweep.timed:
        return f"{text} (one at a time: they are compared by time)"
    if len(plan.waves) > 1:
        return (
            f"{text}; workers side by side may compute the same thing twice: '--start' runs "
            f"{len(plan.waves)} waves that do not, and so does '-j 1'"
        )
    return text


def run_waves(sweep: Sweep, plan: Plan, jobs: int) -> None:
    """Wait for queued experiments, then queue, start and await one wave after the other."""
    with Bar(sweep.name, sum(map(len, plan.waves)) + len(plan.waiting)) as bar:
        if plan.waiting:
            start_workers(jobs)
            wait_for(plan.waiting, jobs, lambda name: bar.advance(note=name))
        for wave in plan.waves:
            for experiment in wave:
                _do(queue_command(experiment), dry_run=False)
            start_workers(jobs)
            wait_for([e.name for e in wave], jobs, lambda name: bar.advance(note=name))


app = make_app(main)

if __name__ == "__main__":
    app()
