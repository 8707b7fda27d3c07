"""What is known of a trained model beyond its header: how it was trained, and what it scored."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NOT_MEASURED = "this file does not come from a run whose results are kept"
KEYS = ("rectify_fg", "rectify_bg", "w", "beta", "top_n", "ema")
"""Params of `evaluate` that change what a loaded model computes."""


@dataclass(frozen=True)
class Measured:
    """Results of exactly this model.

    Attributes:
        metrics: of its fold, as `fsslib.evaluation.summary.fold_metrics` gives them.
        params: of `evaluate`.
        references: scores of the pretrained encoder and of the baseline on the same episodes, as
            `reference` writes them, or None.
    """

    metrics: Mapping[str, Any]
    params: Mapping[str, Any]
    references: Mapping[str, Any] | None = None

    @property
    def shots(self) -> tuple[str, ...]:
        """Keys of the metrics, `shot1` and so on, by number."""
        found = (key for key in self.metrics if key.startswith("shot"))
        return tuple(sorted(found, key=lambda key: int(key.removeprefix("shot"))))

    @property
    def novel(self) -> tuple[str, ...]:
        """Names of the classes that were scored."""
        return tuple(self.metrics[self.shots[0]]["classes"]) if self.shots else ()

    @property
    def rectification(self) -> Mapping[str, Any]:
        """The params of section 3.4 that the results were measured with."""
        return {key: self.params.get(key) for key in KEYS}


@dataclass(frozen=True)
class Provenance:
    """What the project knows of a model.

    Attributes:
        measured: its results, None if there are none of exactly this file.
        why_not: why not, for the card.
        holdout: the group of base classes that played novel, None for none.
        traced: whether the project's records name this file, and so its `holdout`.
    """

    measured: Measured | None = None
    why_not: str = NOT_MEASURED
    holdout: int | None = None
    traced: bool = False


UNKNOWN = Provenance()
"""Of a model without a project."""
