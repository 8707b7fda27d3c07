"""Writes results as a Markdown table, as CSV rows of classes, and as a few scores to compare."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any


def results_table(folds: Mapping[int, Mapping[str, Any]], overall: Mapping[str, Any]) -> str:
    """Make a table of mIoU and FB-IoU in percent, mean and standard deviation over seeds.

    The folds are the columns. Boundary IoU is the last column, if it was measured.

    Args:
        folds: fold -> its metrics, from `fold_metrics`.
        overall: result of `overall_metrics`.
    """
    measured = any(BOUNDARY in values for values in overall.values())
    head = ["", *(f"fold {fold}" for fold in folds), "mean", "± std", "FB-IoU"]
    head += ["boundary IoU"] if measured else []
    rows = [head, ["---"] * len(head)]
    for shot, values in overall.items():
        name = f"{shot.removeprefix('shot')}-shot mIoU"
        cells = [_cell(metrics[shot]["miou"]) for metrics in folds.values()]
        tail = [values["miou"], values["miou_std"], values["fb_iou"]]
        tail += [values[BOUNDARY]] if measured else []
        rows.append([name, *cells, *(_cell(v) for v in tail)])
    return _markdown(rows)


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)


def comparison_table(
    overall: Mapping[str, Any], references: Mapping[str, Mapping[str, float | None]]
) -> str:
    """Compare this run with the pretrained encoder and the baseline, by the mean of the folds.

    The text is empty if there are no references.

    Args:
        overall: result of `overall_metrics`.
        references: result of `overall_references`.
    """
    if not references:
        return ""
    head = ["mean of the folds", "pretrained encoder", "baseline", "this run", "gain"]
    rows = [head, ["---"] * len(head)]
    for shot, values in references.items():
        gain = "-" if values["gain"] is None else f"{values['gain']:+.2f}"
        cells = [values["pretrained"], values["baseline"], overall[shot]["miou"]]
        name = f"{shot.removeprefix('shot')}-shot mIoU"
        rows.append([name, *(_cell(v) for v in cells), gain])
    return _markdown(rows)


SCORES = ("miou", "miou_std", "fb_iou")
BOUNDARY = "boundary_iou"


def scores(
    overall: Mapping[str, Any], references: Mapping[str, Mapping[str, float | None]]
) -> dict[str, dict[str, float | None]]:
    """Return the numbers by which experiments are compared, a few for each number of shots.

    `dvc exp show` makes a column of every number in a metrics file. All of `overall_metrics` would
    be more than a hundred columns.

    Args:
        overall: result of `overall_metrics`.
        references: result of `overall_references`.
    """
    return {
        shot: {
            **{name: values[name] for name in (*SCORES, BOUNDARY) if name in values},
            **references.get(shot, {}),
        }
        for shot, values in overall.items()
    }


def class_rows(folds: Mapping[int, Mapping[str, Any]]) -> str:
    """Return CSV with a row per class and number of shots: class, shot, iou, episodes, fold."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["class", "shot", "iou", "episodes", "fold"])
    for fold, metrics in folds.items():
        for shot, values in metrics.items():
            if shot.startswith("shot"):
                for name, iou in values["classes"].items():
                    number = shot.removeprefix("shot")
                    writer.writerow([name, number, iou, values["episodes"][name], fold])
    return stream.getvalue()


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
