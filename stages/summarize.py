"""`summarize`: all folds together."""

import typer

from fsslib.report import common_head, overall_metrics, require_metrics
from fsslib.storage import read_json, write_bytes, write_json
from fsslib.tables import class_rows, results_table, scores
from stages import paths
from stages.common import command, make_app
from stages.inputs import read_params
from stages.params import SummarizeParams, stage_params


@command
def main() -> None:
    """Average the folds of params.yaml and print the results table.

    Reads folds from params.yaml and results/folds/<fold>/metrics.json of each. Writes
    results/metrics.json, results/scores.json (the few of its numbers that DVC compares),
    results/classes.csv (IoU per class, for plots) and results/table.md.
    """
    params = stage_params(SummarizeParams, read_params())
    folds = {
        fold: require_metrics(read_json(path, "run the stage 'evaluate'"), path)
        for fold in params.folds
        for path in [paths.fold_results(fold) / "metrics.json"]
    }
    overall = overall_metrics(folds)
    write_json(paths.METRICS, {**common_head(folds), **overall})
    write_json(paths.RESULTS / "scores.json", scores(overall))
    write_bytes(paths.RESULTS / "classes.csv", class_rows(folds).encode())
    table = results_table(folds, overall)
    write_bytes(paths.RESULTS / "table.md", table.encode())
    typer.echo(table)


app = make_app(main)

if __name__ == "__main__":
    app()
