"""`table`: shows a sweep's finished experiments beside the paper's numbers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from fsslib.errors import FsslibError
from fsslib.experiments.paper import FPS, PARAMETERS, departures
from fsslib.experiments.sweeps import NAMES, Experiment, Sweep, find_sweep
from fsslib.experiments.table import (
    Comparison,
    Measured,
    Row,
    comparison_csv,
    comparison_markdown,
)
from fsslib.files.storage import read_json, write_bytes

from ..support import paths
from ..support.common import command, make_app, say
from ..support.outside_now import OutsideNow
from ..support.params import (
    Params,
)
from ..support.params_file import (
    load_params,
)
from ..support.recorded import (
    Recorded,
    recorded_experiments,
    results_of,
    same_code,
    with_changes,
    with_params,
)
from ..support.reruns import code, read_pipeline

CACHED = "episodes/s, encoded once"
BOUNDARY = "boundary IoU"
"""Additional column of sweeps that measure it."""

EXTRAS = (FPS, CACHED, PARAMETERS)
"""Additional columns of table 7."""

FORMATS = ("md", "csv", "png")


@command
def main(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(NAMES)}.")],
    format: Annotated[str, typer.Option(help="Format: md, csv or png.")] = "md",
    out: Annotated[
        Path | None,
        typer.Option(help="File to write instead of printing the table; png needs one."),
    ] = None,
    shot: Annotated[int, typer.Option(min=1, help="Supports per episode; not for table7.")] = 1,
    images: Annotated[
        str | None, typer.Option(help="For table5: the folder that was given to the sweep.")
    ] = None,
) -> None:
    """Show the experiments of `fss sweep NAME` as a table: folds as columns, mean and deviation.

    Reads params.yaml, dvc.yaml and DVC's finished experiments. Prints the table, or writes --out.
    An experiment counts only if it was run with the current params.yaml and the files that now lie
    outside of the project; others are `not run`. The paper's numbers stand beside ours, and are
    marked if params.yaml is not the paper's setting.
    """
    sweep, params = find_sweep(name, images), load_params()
    if format not in FORMATS:
        raise FsslibError(f"--format {format}: choose one of {', '.join(FORMATS)}")
    if format == "png" and out is None:
        raise FsslibError("--format png needs --out FILE")
    table = compare(sweep, params, shot)
    if format == "png":
        from fsslib.pictures.table import comparison_picture

        content = comparison_picture(table)
    else:
        content = {"md": comparison_markdown, "csv": comparison_csv}[format](table).encode()
    if out is None:
        typer.echo(content.decode(), nl=False)
    else:
        write_bytes(out, content)
        say(f"wrote {out}")


def compare(sweep: Sweep, params: Params, shot: int) -> Comparison:
    """Gather the finished experiments of a sweep."""
    shots = sweep.shots or [shot] * len(sweep.experiments)
    pipeline, recorded = read_pipeline(), recorded_experiments()
    files, now = code(pipeline), OutsideNow(pipeline)
    rows = [
        _row(experiment, number, recorded, params, files, now, sweep.timed)
        for experiment, number in zip(sweep.experiments, shots, strict=True)
    ]
    what = "mIoU" if sweep.shots else f"{shot}-shot mIoU"
    swept = sweep.keys()
    apart = departures(params.model_dump(), swept)
    extras = EXTRAS if sweep.timed else (BOUNDARY,) if "boundary_iou" in swept else ()
    return Comparison(sweep.name, sweep.title, what, params.folds, rows, apart, extras)


def _row(
    experiment: Experiment,
    shot: int,
    recorded: Sequence[Recorded],
    params: Params,
    files: Sequence[str],
    now: OutsideNow,
    timed: bool,
) -> Row:
    """The newest run with these params and files; a run with the present code comes first."""
    changed = with_changes(params, experiment.changes)
    same = with_params(recorded, experiment.name, changed)
    found = [e for e in same if now.same(e.commit, changed)]
    present = [e for e in found if same_code(e.commit, files)]
    for chosen in [*present, *found]:
        measured = _measured(chosen, f"shot{shot}", params.folds, timed)
        if measured is not None:
            return Row(experiment, measured, older_code=chosen not in present)
    return Row(experiment, None)


def _measured(
    experiment: Recorded, shot: str, folds: Sequence[int], timed: bool
) -> Measured | None:
    """Read the numbers from an experiment's commit; None if it does not hold them."""
    overall = (results_of(experiment.commit, paths.METRICS) or {}).get(shot)
    if overall is None:
        return None
    extras = _times(experiment, folds) if timed else {BOUNDARY: overall.get("boundary_iou")}
    each = {fold: overall["folds"].get(str(fold)) for fold in folds}
    return Measured(each, overall["miou"], overall["miou_std"], extras)


def _times(experiment: Recorded, folds: Sequence[int]) -> dict[str, float | None]:
    """Means over the folds of what table 7 compares; times are stored outside the commit."""
    metrics = [results_of(experiment.commit, paths.fold_results(f) / "metrics.json") for f in folds]
    times = [_time(paths.timing(fold, experiment.name)) for fold in folds]
    return {
        FPS: _mean([t.get("cold_episodes_per_second") for t in times]),
        CACHED: _mean([t.get("episodes_per_second") for t in times]),
        PARAMETERS: _mean([(m or {}).get("parameters", None) for m in metrics], 1e6),
    }


def _time(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = read_json(path, "run 'evaluate'") if path.exists() else {}
    return found


def _mean(values: Sequence[float | None], unit: float = 1) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) / len(known) / unit if len(known) == len(values) else None


app = make_app(main)

if __name__ == "__main__":
    app()
