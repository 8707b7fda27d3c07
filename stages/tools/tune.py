"""`tune`: chooses params on base classes, which play novel in turn."""

import shlex
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from fsslib.data.holdout import groups
from fsslib.errors import FsslibError
from fsslib.experiments.sweeps import Sweep
from fsslib.experiments.tuning import (
    TUNED_BASELINE,
    Choice,
    Scored,
    choices,
    chosen,
    difference,
    experiment,
    label,
    table,
    tuning_sweep,
)
from fsslib.files.storage import write_bytes

from ..support import paths
from ..support.common import command, make_app, say
from ..support.dvc_queue import check_ready, queue_command
from ..support.external import run
from ..support.inputs import open_manifest
from ..support.outside_now import OutsideNow
from ..support.params import Params
from ..support.params_file import PARAMS_FILE, load_params, parse_params
from ..support.recorded import (
    recorded_experiments,
    results_of,
    same_code,
    with_changes,
    with_params,
)
from ..support.reruns import code, read_pipeline
from .preset import with_values
from .sweep import describe, make_plan, run_waves

Choices = Annotated[
    list[str],
    typer.Argument(help="KEY=VALUE,VALUE,...; a key of params.yaml, dotted within a section."),
]
Fold = Annotated[
    int | None, typer.Option(min=0, help="Fold whose base classes are used; default the first.")
]


@command
def main(
    values: Choices,
    fold: Fold = None,
    start: Annotated[bool, typer.Option(help="Run what is missing, and wait for it.")] = False,
    jobs: Annotated[int, typer.Option(min=1, help="Experiments to run in parallel.")] = 2,
    dry_run: Annotated[bool, typer.Option(help="Print the commands and queue nothing.")] = False,
    replace: Annotated[
        bool, typer.Option(help="First remove experiments of the same names but other params.")
    ] = False,
    apply: Annotated[bool, typer.Option(help="Write the choice into params.yaml.")] = False,
) -> None:
    """Choose values of params without looking at novel classes or validation images.

    fss tune sigma=5,10,20 w=0.2,0.5,0.9 --fold 2 --start

    Each group of the fold's base classes (the novel classes of each other fold) plays novel in
    turn: the whole pipeline runs on the other base classes (`holdout` in params.yaml) and is scored
    on training images that are set aside. Every combination of the values is an experiment of DVC
    for each group. Reads params.yaml, dvc.yaml, data/prepare/manifest.json and DVC's experiments.
    Queues what is missing, and prints scores, differences and the choice once all are there. The
    present value (the first, where it is not listed) stays unless another is better by more than
    the noise: the half width of the 95 % interval over the groups, by Student's t.
    """
    params, pipeline = load_params(), read_pipeline()
    if params.holdout is not None:
        raise FsslibError(f"holdout: {params.holdout} is set in params.yaml: set it to null first")
    found = choices(parse_values(values, params))
    if apply and not any(_is_present(choice, params) for choice in found):
        raise FsslibError(
            f"--apply: the present values are not among {', '.join(values)}, so nothing would be "
            "compared with them: list them, too"
        )
    number = params.folds[0] if fold is None else fold
    count = len(groups(open_manifest(), number))
    sweep = tuning_sweep(found, number, count)
    rows = _scores(found, number, count, params)
    if None in rows:
        check_ready([*code(pipeline), str(PARAMS_FILE)])
        _queue(sweep, params, pipeline, start, jobs, dry_run, replace)
        rows = _scores(found, number, count, params)
    known = [row for row in rows if row is not None]
    if len(known) < len(rows):
        say(f"{len(known)} of {len(rows)} choices are scored: run the queue, then this again")
    elif known:
        _tell(known, params, apply)


def parse_values(texts: Sequence[str], params: Params) -> dict[str, list[Any]]:
    """Keys and their values.

    Raises:
        FsslibError: no `KEY=VALUE`, a value that params.yaml does not take, or a double key.
    """
    found: dict[str, list[Any]] = {}
    for text in texts:
        key, _, listed = text.partition("=")
        if not key or not listed or key in found or key in ("holdout", "folds"):
            raise FsslibError(f"{text!r}: give each key once, as KEY=VALUE,VALUE")
        try:
            found[key] = list(YAML(typ="safe", pure=True).load(f"[{listed}]"))
        except YAMLError:
            raise FsslibError(f"{text!r}: the values are no YAML: give KEY=VALUE,VALUE") from None
        for value in found[key]:
            with_changes(params, {key: value})
    return found


def _queue(
    sweep: Sweep,
    params: Params,
    pipeline: dict[str, Any],
    start: bool,
    jobs: int,
    dry_run: bool,
    replace: bool,
) -> None:
    """Queue what is neither finished nor queued; with `start` also run it and wait."""
    plan = make_plan(sweep, params, pipeline, replace)
    for line in describe(sweep, plan, pipeline):
        say(line)
    commands = [["dvc", "exp", "remove", old] for old in plan.replaced]
    if start and not dry_run:
        for arguments in commands:
            run(arguments)
        run_waves(sweep, plan, jobs)
        return
    commands += [queue_command(e) for wave in plan.waves for e in wave]
    for arguments in commands:
        typer.echo(shlex.join(arguments))
        if not dry_run:
            run(arguments)
    if not dry_run:
        say(f"start them: dvc queue start -j {jobs}")


def _scores(found: Sequence[Choice], fold: int, count: int, params: Params) -> list[Scored | None]:
    """The scores of each choice, or None where an experiment is missing."""
    pipeline, recorded = read_pipeline(), recorded_experiments()
    files, now = code(pipeline), OutsideNow(pipeline)

    def score(choice: Choice, group: int) -> float | None:
        row = experiment(choice, fold, group)
        changed = with_changes(params, row.changes)
        found = with_params(recorded, row.name, changed)
        runs = [r for r in found if now.same(r.commit, changed)]
        for made in sorted(runs, key=lambda r: not same_code(r.commit, files)):
            results = results_of(made.commit, paths.RESULTS / "scores.json") or {}
            what = "baseline" if TUNED_BASELINE in choice else "miou"
            shots = [results.get(f"shot{n}", {}).get(what) for n in params.shots]
            if None not in shots:
                return float(sum(shots) / len(shots))
        return None

    rows: list[Scored | None] = []
    for choice in found:
        scores = [score(choice, group) for group in range(count)]
        known = tuple(s for s in scores if s is not None)
        rows.append(Scored(choice, known) if len(known) == count else None)
    return rows


def _tell(rows: Sequence[Scored], params: Params, apply: bool) -> None:
    """Print the table and the choice; with `apply` write it."""
    there = [row for row in rows if _is_present(row.choice, params)]
    present, name = (there[0], "present") if there else (rows[0], "first")
    typer.echo(table(rows, present, name), nl=False)
    best, taken = max(rows, key=lambda row: row.mean), chosen(rows, present)
    if best is present:
        say(f"choice: {label(present.choice)}, the {name} value; no other scores higher")
    else:
        found = difference(best, present)
        size = "larger than" if found.clear else "within"
        say(
            f"best: {label(best.choice)}, {found.mean:+.2f} ± {found.ci95:.2f} against "
            f"{label(present.choice)}: {size} the noise (95 %)"
        )
        say(f"choice: {label(taken.choice)}")
    if apply:
        changed, text = with_values(PARAMS_FILE.read_text(encoding="utf-8-sig"), taken.choice)
        parse_params(text, PARAMS_FILE)
        if changed:
            write_bytes(PARAMS_FILE, text.encode())
        say(f"{PARAMS_FILE}: {', '.join(changed) or 'nothing to change'}")


def _is_present(choice: Choice, params: Params) -> bool:
    return with_changes(params, choice) == params


app = make_app(main)

if __name__ == "__main__":
    app()
