"""`report`: writes a run as one HTML file."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from fsslib.errors import FsslibError
from fsslib.files.storage import read_json, write_bytes
from fsslib.pictures.page import FoldRun, read_fold, report_html

from ..support import paths
from ..support.common import command, make_app, say
from ..support.inputs import read_params
from ..support.params import (
    Params,
)


@command
def main(
    out: Annotated[Path, typer.Option(help="HTML file to write.")] = paths.RESULTS / "report.html",
    ranked: Annotated[
        int,
        typer.Option(
            min=0,
            help="Episodes per fold to predict again, to show the best and the worst; 0: none.",
        ),
    ] = 0,
) -> None:
    """Write a page of the run: pipeline, tables, curves, sub-clusters, pseudo-masks, episodes.

    Reads params.yaml and, for its folds, what the stages wrote to results/, the curves in
    data/train/ and the reports in data/cluster/. The page says what is missing. Writes --out: one
    file that contains its pictures, needs no network and no script, and can be printed. With
    --ranked, it also reads what `evaluate` reads and predicts episodes again, since no stage keeps
    the score of a single episode.
    """
    params = read_params()
    folds = [
        read_fold(f, paths.fold_results(f), paths.curves(f), paths.cluster_report(f))
        for f in params.folds
    ]
    remedy = "run 'fss summarize'"
    overall = read_json(paths.METRICS, remedy) if paths.METRICS.is_file() else None
    if overall is None and all(fold.empty for fold in folds):
        raise FsslibError(
            f"{paths.RESULTS} holds no run of the folds {params.folds}: run 'dvc repro' first"
        )
    if ranked:
        folds = [_with_ranked(fold, params, ranked) for fold in folds]
    write_bytes(out, report_html(params.model_dump(), overall, folds).encode())
    say(f"wrote {out}")


def _with_ranked(fold: FoldRun, params: Params, most: int) -> FoldRun:
    """Add the pictures of a fold's best and worst episodes, if it has a trained model."""
    if not paths.model(fold.fold).is_file():
        say(f"fold {fold.fold}: not trained, so there are no best and worst episodes")
        return fold
    from ..support.ranked import ranked_episodes  # needs torch, which takes seconds to import

    count, pictures = ranked_episodes(fold.fold, params, most)
    return replace(fold, pictures={**fold.pictures, **pictures}, ranked=count)


app = make_app(main)

if __name__ == "__main__":
    app()
