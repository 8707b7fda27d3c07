"""Choosing params on base classes: which experiments it takes, and what their scores say.

Groups of base classes play novel in turn (`fsslib.data.holdout`). A choice is compared with the
present value group by group, because groups differ more from one another than choices do.
"""

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from statistics import mean, stdev
from typing import Any

from fsslib.evaluation.metrics import summarise
from fsslib.experiments.sweeps import Experiment, Sweep

Choice = Mapping[str, Any]
"""Dotted key of `params.yaml` -> value."""

TUNED_BASELINE = "baseline_lr"
"""Where this key is tuned, the baseline's score counts; else the baseline is not trained."""


def choices(values: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Every combination of the values of several keys, the last key fastest."""
    return [dict(zip(values, row, strict=True)) for row in itertools.product(*values.values())]


def label(choice: Choice) -> str:
    """A choice as people write it: `sigma=10 w=0.2`."""
    return " ".join(f"{key}={_text(value)}" for key, value in choice.items())


def experiment(choice: Choice, fold: int, group: int) -> Experiment:
    """The experiment that scores a choice on one group of a fold's base classes."""
    plain = re.sub(r"[^A-Za-z0-9.]+", "-", label(choice)).strip("-")
    if len(plain) > 60 or _text(list(choice.values())) != _text([*map(_scalar, choice.values())]):
        plain = f"{plain[:50]}-{sha256(label(choice).encode()).hexdigest()[:8]}"
    alone = {} if TUNED_BASELINE in choice else {TUNED_BASELINE: None}
    changes = {"holdout": group, "folds": [fold], **alone, **choice}
    return Experiment(f"tune-{fold}-{group}-{plain}", f"{label(choice)} group {group}", changes)


def tuning_sweep(found: Sequence[Choice], fold: int, groups: int) -> Sweep:
    """All experiments of a search, group by group."""
    rows = [experiment(choice, fold, group) for group in range(groups) for choice in found]
    return Sweep("tune", f"Choice on the base classes of fold {fold}", rows)


@dataclass(frozen=True)
class Scored:
    """A choice and its scores.

    Attributes:
        choice: see `Choice`.
        scores: mIoU in percent of each group, mean over the numbers of shots.
    """

    choice: Choice
    scores: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean over the groups."""
        return mean(self.scores)

    @property
    def deviation(self) -> float:
        """Standard deviation over the groups; 0 for one."""
        return stdev(self.scores) if len(self.scores) > 1 else 0.0


@dataclass(frozen=True)
class Difference:
    """A choice against the present one, group by group.

    Attributes:
        mean: of the differences, in points.
        ci95: half width of its 95 % interval by Student's t; infinite for one group, which says
            nothing about noise.
    """

    mean: float
    ci95: float

    @property
    def clear(self) -> bool:
        """Whether the difference is larger than the noise."""
        return abs(self.mean) > self.ci95


def difference(other: Scored, present: Scored) -> Difference:
    """Paired difference of two choices over the same groups."""
    pairs = [a - b for a, b in zip(other.scores, present.scores, strict=True)]
    half = summarise(pairs).ci95
    return Difference(mean(pairs), float("inf") if half is None else half)


def chosen(rows: Sequence[Scored], present: Scored) -> Scored:
    """The best choice if its difference from the present one is clear, else the present one."""
    best = max(rows, key=lambda row: row.mean)
    return best if difference(best, present).clear else present


def table(rows: Sequence[Scored], present: Scored, name: str = "present") -> str:
    """Choices as rows of a Markdown table: groups, mean, deviation, and the paired difference.

    Args:
        rows: the choices.
        present: the one of them that the others are compared with.
        name: what to call it.
    """
    groups = len(present.scores)
    head = ["", *(f"group {g}" for g in range(groups)), "mean", "± std", "difference", "± 95 %"]
    lines = [head, ["---"] * len(head)]
    for row in rows:
        found = difference(row, present)
        same = row is present
        cells = [*(f"{s:.2f}" for s in row.scores), f"{row.mean:.2f}", f"{row.deviation:.2f}"]
        cells += ["", ""] if same else [f"{found.mean:+.2f}", f"{found.ci95:.2f}"]
        lines.append([label(row.choice) + f" ({name})" * same, *cells])
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value).replace(" ", "")


def _scalar(value: object) -> object:
    return value if isinstance(value, (bool, int, float)) else None
