"""Intersection over union from integer counts, and its mean, deviation and interval over seeds.

Pixels are summed per class over all episodes of a seed before the division, as in OSLSM and PANet;
the mean over images, which favours small objects, is another number. Mask value 255 never counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]


@dataclass
class Counts:
    """Pixel counts of one number of shots, for S seeds and n novel classes.

    Attributes:
        seeds: in the order of the rows.
        class_ids: in the order of the columns.
        intersection: (S, n) int64, pixels that are the class and predicted so.
        union: (S, n) int64, pixels that are the class or predicted so.
        episodes: (S, n) int64, episodes that hold the class as a way.
        binary_intersection: (S, 2) int64, of background and of foreground (any way).
        binary_union: (S, 2) int64, likewise.
    """

    seeds: tuple[int, ...]
    class_ids: tuple[int, ...]
    intersection: Int64 = field(init=False)
    union: Int64 = field(init=False)
    episodes: Int64 = field(init=False)
    binary_intersection: Int64 = field(init=False)
    binary_union: Int64 = field(init=False)

    def __post_init__(self) -> None:
        shape = (len(self.seeds), len(self.class_ids))
        self.intersection, self.union = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        self.episodes = np.zeros(shape, np.int64)
        self.binary_intersection = np.zeros((shape[0], 2), np.int64)
        self.binary_union = np.zeros((shape[0], 2), np.int64)

    def add(self, seed: int, class_id: int, intersection: int, predicted: int, truth: int) -> None:
        """Add one way of one episode, in px that are not ignored."""
        cell = self.seeds.index(seed), self.class_ids.index(class_id)
        self.intersection[cell] += intersection
        self.union[cell] += predicted + truth - intersection
        self.episodes[cell] += 1

    def add_binary(
        self, seed: int, intersection: int, predicted: int, truth: int, valid: int
    ) -> None:
        """Add one episode's foreground against its background; `valid` px are not ignored."""
        row = self.seeds.index(seed)
        union = predicted + truth - intersection
        self.binary_intersection[row] += (valid - union, intersection)
        self.binary_union[row] += (valid - intersection, union)

    def class_iou(self) -> Float64:
        """IoU of each seed and class, (S, n) in 0 to 1; NaN where the class was never drawn.

        A class that was drawn but has an empty union (every pixel ignored) is NaN as well: nothing
        was measured.
        """
        return _ratio(self.intersection, self.union)

    def miou(self) -> Float64:
        """Mean over the classes that were drawn, (S,) in 0 to 1; NaN when there is none."""
        return _mean_of_known(self.class_iou())

    def fb_iou(self) -> Float64:
        """Mean of the IoU of background and foreground, classes pooled, (S,) in 0 to 1."""
        return _mean_of_known(_ratio(self.binary_intersection, self.binary_union))


def _ratio(part: Int64, whole: Int64) -> Float64:
    known = whole > 0
    return np.where(known, part / np.where(known, whole, 1), np.nan)


def _mean_of_known(values: Float64) -> Float64:
    """Mean of each row over what is not NaN."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0).sum(axis=1)
    return np.where(known.any(axis=1), total / np.maximum(known.sum(axis=1), 1), np.nan)


@dataclass(frozen=True)
class Summary:
    """Mean over seeds with its spread.

    Attributes:
        mean: over the seeds.
        std: sample deviation (n - 1 in the denominator); None with a single seed.
        ci95: half width of the 95 % interval of the mean by Student's t; None with a single seed.
    """

    mean: float | None
    std: float | None
    ci95: float | None


def summarise(values: Sequence[float] | Float64) -> Summary:
    """Mean, sample deviation and 95 % t-interval; NaN (nothing measured) is left out."""
    known = np.asarray(values, np.float64)
    known = known[~np.isnan(known)]
    if len(known) == 0:
        return Summary(None, None, None)
    if len(known) == 1:
        return Summary(float(known[0]), None, None)
    std = float(known.std(ddof=1))
    # stdtrit is the quantile of Student's t; scipy.stats would cost 60 MB and a second to import.
    half = float(stdtrit(len(known) - 1, 0.975)) * std / len(known) ** 0.5
    return Summary(float(known.mean()), std, half)
