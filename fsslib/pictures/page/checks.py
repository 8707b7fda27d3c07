"""What a reader has to know before the numbers: what is missing, and what does not fit together."""

from collections.abc import Mapping, Sequence
from typing import Any

from fsslib.pictures.page.run import FoldRun

HEADS = ("dataset", "protocol", "ways", "search", "resize", "long_side")
"""Keys that both params and a fold's metrics hold."""


def shots_of(metrics: Mapping[str, Any]) -> list[int]:
    """Numbers of shots that were evaluated."""
    return [int(key.removeprefix("shot")) for key in metrics if key.startswith("shot")]


def notices(
    params: Mapping[str, Any], overall: Mapping[str, Any] | None, folds: Sequence[FoldRun]
) -> list[str]:
    """Sentences about a run, none for one that is whole.

    Args:
        params: content of params.yaml.
        overall: as `summarize` wrote it, None where it has not run.
        folds: those of params.yaml.
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
    """Folds whose own numbers are not those that were averaged, and folds averaged beside them."""
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
