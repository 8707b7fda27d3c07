"""`summarize`: averages the folds and writes the tables of results."""

from typing import Any

import typer

from fsslib.evaluation.result_files import class_rows, comparison_table, results_table, scores
from fsslib.evaluation.summary import (
    common_head,
    overall_metrics,
    overall_references,
    require_metrics,
)
from fsslib.files.storage import read_json, write_bytes, write_json

from .support import paths
from .support.common import command, make_app, say
from .support.inputs import read_params
from .support.params import (
    SummarizeParams,
)
from .support.params_file import (
    stage_params,
)


@command
def main() -> None:
    """Average the folds of params.yaml and print the tables of results.

    Reads folds from params.yaml, and results/folds/<fold>/metrics.json and
    data/reference/<fold>/scores.json of each fold. Writes results/metrics.json, results/scores.json
    (the few numbers that DVC compares), results/classes.csv (IoU per class, for plots) and
    results/table.md (the folds, and this run beside the pretrained encoder and the baseline,
    unless it was refined: these two never are).
    """
    params = stage_params(SummarizeParams, read_params())
    folds = {
        fold: require_metrics(read_json(path, "run the stage 'evaluate'"), path)
        for fold in params.folds
        for path in [paths.fold_results(fold) / "metrics.json"]
    }
    overall = overall_metrics(folds)
    references = overall_references(folds, {fold: _reference(fold) for fold in folds})
    head = common_head(folds)
    write_json(paths.METRICS, {**head, **overall})
    write_json(paths.RESULTS / "scores.json", scores(overall, references))
    write_bytes(paths.RESULTS / "classes.csv", class_rows(folds).encode())
    if "refine" in head:
        say(f"refine: {head['refine']}: not compared with the references, which are not refined")
    compared = comparison_table(overall, references)
    table = results_table(folds, overall) + (f"\n{compared}" if compared else "")
    write_bytes(paths.RESULTS / "table.md", table.encode())
    typer.echo(table)


def _reference(fold: int) -> dict[str, Any]:
    """Scores that the fold is compared with; empty if the stage `reference` has not run."""
    path = paths.reference(fold) / "scores.json"
    return dict(read_json(path, "run the stage 'reference'")) if path.is_file() else {}


app = make_app(main)

if __name__ == "__main__":
    app()
