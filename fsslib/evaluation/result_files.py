"""Results for people, plots and comparisons: a Markdown table, rows of classes, a few scores."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any


def results_table(folds: Mapping[int, Mapping[str, Any]], overall: Mapping[str, Any]) -> str:
    """Folds as columns, mIoU and FB-IoU in percent, mean and standard deviation over seeds.

    Args:
        folds: fold -> its metrics, as `fold_metrics` makes them.
        overall: as `overall_metrics` makes them.
    """
    head = ["", *(f"fold {fold}" for fold in folds), "mean", "± std", "FB-IoU"]
    rows = [head, ["---"] * len(head)]
    for shot, values in overall.items():
        name = f"{shot.removeprefix('shot')}-shot mIoU"
        cells = [_cell(metrics[shot]["miou"]) for metrics in folds.values()]
        tail = [values["miou"], values["miou_std"], values["fb_iou"]]
        rows.append([name, *cells, *(_cell(v) for v in tail)])
    return _markdown(rows)


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)


def comparison_table(
    overall: Mapping[str, Any], references: Mapping[str, Mapping[str, float | None]]
) -> str:
    """This run beside the pretrained encoder and the baseline, mean of the folds; may be empty.

    Args:
        overall: as `overall_metrics` makes them.
        references: as `overall_references` makes them.
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


def scores(
    overall: Mapping[str, Any], references: Mapping[str, Mapping[str, float | None]]
) -> dict[str, dict[str, float | None]]:
    """The numbers to compare experiments by, a few for each number of shots.

    `dvc exp show` makes a column of every number in a metrics file: all of `overall_metrics` would
    be more than a hundred.

    Args:
        overall: as `overall_metrics` makes them.
        references: as `overall_references` makes them.
    """
    return {
        shot: {**{name: values[name] for name in SCORES}, **references.get(shot, {})}
        for shot, values in overall.items()
    }


def class_rows(folds: Mapping[int, Mapping[str, Any]]) -> str:
    """CSV with a row per class and number of shots: class, shot, iou, episodes, fold."""
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
