"""Writes the whole report page."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from fsslib.pictures.page.charts import COLOURS
from fsslib.pictures.page.checks import notices, shots_of
from fsslib.pictures.page.drawing import pipeline_drawing
from fsslib.pictures.page.run import FoldRun
from fsslib.pictures.page.sections import cell, class_bars, flat, fold_section, result_rows

HERE = Path(__file__).parent


def report_html(
    params: Mapping[str, Any], overall: Mapping[str, Any] | None, folds: Sequence[FoldRun]
) -> str:
    """Return the report of a run as one HTML page.

    The same run gives the same page. Every text of the run is escaped.

    Args:
        params: content of params.yaml.
        overall: what `summarize` wrote; None if it has not run.
        folds: the folds of params.yaml, run or not.

    Returns:
        HTML that loads nothing; its security policy forbids scripts and requests.
    """
    metrics = [m for m in (overall, *(f.metrics for f in folds)) if m]
    shots = sorted({shot for m in metrics for shot in shots_of(m)})
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,  # class names, params and file names come from the user
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["code"] = _code
    return environment.get_template("page.html.j2").render(
        style=Markup((HERE / "style.css").read_text(encoding="utf-8")),
        params=list(flat(params)),
        notices=notices(params, overall, folds),
        drawings=[pipeline_drawing(standing=False), pipeline_drawing(standing=True)],
        shots=shots,
        tiles=[_tile(overall, shot) for shot in shots if overall and f"shot{shot}" in overall],
        rows=result_rows(overall, folds, shots),
        seeds=_seeds(metrics),
        classes=[(fold.fold, class_bars(fold)) for fold in folds if fold.metrics],
        colours=COLOURS,
        folds=[fold_section(fold, bool(params["mine"])) for fold in folds],
        facts=[str(params[key]) for key in ("dataset", "backbone", "weights")],
    )


def _code(text: str) -> Markup:
    """Escape a text and mark the parts in backticks as code."""
    parts = [escape(part) for part in text.split("`")]
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else part
        for number, part in enumerate(parts)
    )


def _tile(overall: Mapping[str, Any], shot: int) -> dict[str, Any]:
    values = overall[f"shot{shot}"]
    return {
        "name": f"{shot}-shot mIoU",
        "value": cell(values["miou"]),
        "deviation": cell(values["miou_std"]),
        "other": f"FB-IoU {cell(values['fb_iou'])} ± {cell(values['fb_iou_std'])}",
    }


def _seeds(metrics: Sequence[Mapping[str, Any]]) -> int:
    """Return the largest number of evaluation seeds behind any result's deviation."""
    return max((len(m[f"shot{s}"]["seeds"]) for m in metrics for s in shots_of(m)), default=0)
