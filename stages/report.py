"""`report`: a run as one HTML file."""

from pathlib import Path
from typing import Annotated

import typer

from fsslib.errors import FsslibError
from fsslib.html_report import read_fold, report_html
from fsslib.storage import read_json, write_bytes
from stages import paths
from stages.common import command, make_app, say
from stages.inputs import read_params


@command
def main(
    out: Annotated[Path, typer.Option(help="File to write.")] = paths.RESULTS / "report.html",
) -> None:
    """Write a page of the run: pipeline, tables, curves, sub-clusters, pseudo-masks, episodes.

    Reads params.yaml and, of the folds named there, whatever the stages left in results/, the
    curves in data/train/ and the reports in data/cluster/. What is missing is said in the page. The
    file holds its pictures, needs no network and no script, and prints.
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
    write_bytes(out, report_html(params.model_dump(), overall, folds).encode())
    say(f"wrote {out}")


app = make_app(main)

if __name__ == "__main__":
    app()
