"""Builds the parts of the page as plain values for the template."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from fsslib.pictures.page.charts import line_chart
from fsslib.pictures.page.checks import shots_of
from fsslib.pictures.page.run import FoldRun
from fsslib.pictures.page.sheets import sheets

Json = dict[str, Any]

CHARTS = (
    ("Loss", {"loss": "total", "episode": "episodes", "pseudo": "pseudo-masks"}, None),
    (
        "Is it learning? (0 to 1)",
        {
            "episode_iou": "IoU of episodes",
            "pseudo_accuracy": "head agrees",
            "base_accuracy": "base classes",
            "agreement": "decoders agree",
        },
        1.0,
    ),
    ("Learning rate of the encoder", {"lr": "rate"}, None),
)
"""Title, curve -> label, top of the axis."""


def cell(value: float | None) -> str:
    """Format a percentage with two decimals."""
    return "-" if value is None else f"{value:.2f}"


def result_rows(
    overall: Mapping[str, Any] | None, folds: Sequence[FoldRun], shots: Sequence[int]
) -> list[Json]:
    """Return a row per fold and one for the mean.

    Each row has mIoU and FB-IoU with their deviations over seeds, for each number of shots.
    """
    named = [(f"fold {fold.fold}", fold.metrics, False) for fold in folds]
    if overall is not None:
        named.append(("mean", overall, True))
    return [
        {"name": name, "mean": mean, "cells": list(_cells(metrics, shots)), "run": bool(metrics)}
        for name, metrics, mean in named
    ]


def _cells(metrics: Mapping[str, Any] | None, shots: Sequence[int]) -> Iterator[tuple[str, str]]:
    for shot in shots:
        values = (metrics or {}).get(f"shot{shot}", {})
        for name in ("miou", "fb_iou"):
            yield cell(values.get(name)), cell(values.get(f"{name}_std"))


def class_bars(fold: FoldRun) -> list[Json]:
    """Return a row per class, in the order of the metrics.

    A row has one bar per number of shots, in percent.
    """
    metrics = fold.metrics or {}
    shots = shots_of(metrics)
    names = dict.fromkeys(name for s in shots for name in metrics[f"shot{s}"]["episodes"])
    return [
        {
            "name": name,
            "episodes": max(metrics[f"shot{s}"]["episodes"].get(name, 0) for s in shots),
            "bars": [
                {"shot": s, "number": n, "iou": metrics[f"shot{s}"]["classes"].get(name)}
                for n, s in enumerate(shots)
            ],
        }
        for name in names
    ]


def fold_section(fold: FoldRun, mine: bool) -> Json:
    """Return the curves and pictures of a fold."""
    return {
        "number": fold.fold,
        "empty": fold.empty,
        "classes": [row["name"] for row in class_bars(fold)],
        "charts": list(_charts(fold)),
        "mined": not fold.curves or "pseudo" in fold.curves,
        "mine": mine,
        "clusters": fold.clusters,
        "sheets": list(sheets(fold)),
    }


def _charts(fold: FoldRun) -> Iterator[tuple[str, Markup]]:
    for title, labels, top in CHARTS:
        drawn = {
            label: fold.curves[name] for name, label in labels.items() if fold.curves.get(name)
        }
        if drawn:
            yield title, line_chart(drawn, top)


def flat(params: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the dotted keys and their values as text."""
    for key, value in params.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", _plain(value)


def _plain(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(_plain(v) for v in value)
    if isinstance(value, Mapping):
        return " ".join(f"{k} {_plain(v)}" for k, v in value.items() if v is not None)
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)
