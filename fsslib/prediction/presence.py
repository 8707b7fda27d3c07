"""Is the class in the photograph at all? A score, and the curve that makes it a probability.

Eq. 5 gives nearly every photograph some foreground: some location is always nearer to the support
than to the background. By how much says little (docs/prediction.md compares); how alike the best
locations are, once what all photographs share is taken away, says more.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fsslib.errors import FsslibError
from fsslib.prediction.typical import Typical

TOP_SHARE = 0.05
"""Of the locations, the best ones that the score looks at; chosen in docs/prediction.md."""

FALSE_ABSENT = 0.1
"""Share of photographs with their class that a fitted threshold calls absent: a missed object is
worse than a wrong blob that a person sees at once."""

ITERATIONS = 50
"""Of Newton's method; ten are enough for scores that overlap."""

RIDGE = 1e-3
"""Keeps the fitted curve finite where the scores separate without an error."""


def presence_scores(feature: Tensor, foreground: Tensor, typical: Typical) -> Tensor:
    """How much the best locations look like each class, beside what all photographs look like.

    The mean, over the best `TOP_SHARE` of the locations, of the cosine with the foreground
    prototype, both without what is typical.

    Args:
        feature: (C, h, w) float32 of the query.
        foreground: (ways, C) float32.
        typical: of the encoder's features.

    Returns:
        (ways,) float32, -1 to 1.
    """
    likeness = typical.unit(foreground) @ typical.unit(feature.flatten(1).T).T
    number = max(1, round(TOP_SHARE * likeness.shape[1]))
    return likeness.topk(number, dim=1).values.mean(1)


@dataclass(frozen=True)
class Presence:
    """Score -> probability: a logistic curve (Platt scaling).

    Attributes:
        middle: score at which present and absent are as likely, when as many photographs hold the
            class as do not.
        width: change of the score that takes the odds from 1 to e, above 0.
    """

    middle: float
    width: float

    def probability(self, score: float) -> float:
        """Of the class being present, 0 to 1."""
        return 0.5 * (1 + math.tanh((score - self.middle) / (2 * self.width)))


def fit_presence(scores: Sequence[float], present: Sequence[bool]) -> Presence:
    """Fit the curve by logistic regression; photographs with and without weigh a half each.

    Args:
        scores: of `presence_scores`, one a trial.
        present: whether the query of the trial holds the class.

    Raises:
        FsslibError: no trial of one kind, or scores that do not rise with presence.
    """
    x = torch.tensor(scores, dtype=torch.float64)
    y = torch.tensor(present, dtype=torch.float64)
    if not 0 < y.sum() < len(y):
        raise FsslibError(
            f"calibration: {int(y.sum())} of {len(y)} trials hold their class, it needs some with "
            "and some without: give more images or classes"
        )
    centre, spread = x.mean(), x.std().clamp(min=1e-9)
    rows = torch.stack([(x - centre) / spread, torch.ones_like(x)], dim=1)
    weight = torch.where(y > 0, 0.5 / y.sum(), 0.5 / (1 - y).sum())
    slope, shift = _newton(rows, y, weight).tolist()
    if slope <= 1e-6:
        raise FsslibError(
            "calibration: scores are no higher where the class is present, so they say nothing: "
            "use trained or pretrained weights"
        )
    width = float(spread) / slope
    return Presence(float(centre) - shift * width, width)


def choose_threshold(
    presence: Presence,
    scores: Sequence[float],
    present: Sequence[bool],
    false_absent: float = FALSE_ABSENT,
) -> float:
    """The largest probability below which at most a share of the trials with the class lies."""
    told = sorted(presence.probability(s) for s, p in zip(scores, present, strict=True) if p)
    return told[int(false_absent * len(told))]


def _newton(rows: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """Coefficients (2,) of weighted logistic regression with a small ridge."""
    found = torch.zeros(2, dtype=torch.float64)
    ridge = RIDGE * torch.eye(2, dtype=torch.float64)
    for _ in range(ITERATIONS):
        p = torch.sigmoid(rows @ found)
        gradient = rows.T @ (weight * (p - y)) + ridge @ found
        curvature = (rows * (weight * p * (1 - p))[:, None]).T @ rows + ridge
        found = found - torch.linalg.solve(curvature, gradient)
    return found


@dataclass(frozen=True)
class Rates:
    """How often presence is told wrongly.

    Attributes:
        auc: chance that a photograph with the class scores higher than one without, 0.5 to 1.
        threshold: least probability of "present".
        false_absent: share of the trials with the class that are called absent.
        false_present: share of the trials without the class that are called present.
        positives: trials with the class.
        negatives: trials without.
    """

    auc: float
    threshold: float
    false_absent: float
    false_present: float
    positives: int
    negatives: int


def measure_rates(
    presence: Presence, scores: Sequence[float], present: Sequence[bool], threshold: float
) -> Rates:
    """Errors of "present where the probability reaches the threshold"; arguments as in the fit."""
    told = [presence.probability(s) >= threshold for s in scores]
    missed = [not t for t, truth in zip(told, present, strict=True) if truth]
    wrong = [t for t, truth in zip(told, present, strict=True) if not truth]
    return Rates(
        auc=area_under_curve(scores, present),
        threshold=threshold,
        false_absent=sum(missed) / max(1, len(missed)),
        false_present=sum(wrong) / max(1, len(wrong)),
        positives=len(missed),
        negatives=len(wrong),
    )


def area_under_curve(scores: Sequence[float], present: Sequence[bool]) -> float:
    """Area under the ROC curve by ranks (Mann-Whitney); ties count half."""
    values = torch.tensor(scores, dtype=torch.float64)
    truth = torch.tensor(present)
    positive, negative = values[truth], values[~truth].sort().values
    below = torch.searchsorted(negative, positive)
    up_to = torch.searchsorted(negative, positive, right=True)
    pairs = max(1, len(positive) * len(negative))
    return float((below + up_to).double().sum() / 2 / pairs)
