"""Finds what a reader has to know before the numbers: missing parts and contradictions."""

from collections.abc import Mapping, Sequence
from typing import Any

from fsslib.pictures.page.run import FoldRun

HEADS = ("dataset", "protocol", "ways", "search", "resize", "long_side")
"""Keys that are in both params and a fold's metrics."""


def shots_of(metrics: Mapping[str, Any]) -> list[int]:
    """Return the numbers of shots that were evaluated."""
    return [int(key.removeprefix("shot")) for key in metrics if key.startswith("shot")]


def notices(
    params: Mapping[str, Any], overall: Mapping[str, Any] | None, folds: Sequence[FoldRun]
) -> list[str]:
    """Return sentences about missing or contradictory parts of a run; none if it is complete.

    Args:
        params: content of params.yaml.
        overall: what `summarize` wrote; None if it has not run.
        folds: the folds of params.yaml.
    """
    found = [f"Fold {f.fold} has not run." for f in folds if f.empty]
    found += [
        f"Fold {f.fold} has not been evaluated." for f in folds if not f.empty and not f.metrics
    ]
    if overall is None:
        found.append("There is no mean over the folds: run `fss summarize`.")
    elif apart := _apart(overall, folds):
        found.append(f"The mean is not of what {', '.join(apart)} scored: run `fss summarize`.")
    for fold in folds:
        if fold.metrics and fold.metrics.get("refine", "none") != params["refine"]:
            found.append(
                f"Fold {fold.fold} was evaluated with refine {fold.metrics.get('refine', 'none')}, "
                f"params.yaml now says {params['refine']}."
            )
        found += [
            f"Fold {fold.fold} was evaluated with {key} {_said(fold.metrics[key])}, params.yaml "
            f"now says {_said(params[key])}."
            for key in HEADS
            if fold.metrics and key in fold.metrics and fold.metrics[key] != params[key]
        ]
    return found


def _said(value: object) -> object:
    return "null" if value is None else value


def _apart(overall: Mapping[str, Any], folds: Sequence[FoldRun]) -> list[str]:
    """Return the folds whose own numbers differ from those that were averaged.

    A fold that has only one of the two numbers differs as well.
    """
    apart = set()
    for shot in shots_of(overall):
        averaged = overall[f"shot{shot}"]["folds"]
        own = {
            str(f.fold): f.metrics[f"shot{shot}"]["miou"]
            for f in folds
            if f.metrics and f"shot{shot}" in f.metrics
        }
        apart |= {n for n in {*averaged, *own} if averaged.get(n) != own.get(n)}
    return [f"fold {number}" for number in sorted(apart, key=int)]
