"""Intersection over union from integer counts, and its mean, deviation and interval over seeds.

Pixels are summed per class over all episodes of a seed before the division, as in OSLSM and PANet.
The mean of the IoU per image is another number, which favours small objects. Mask value 255 never
counts.
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
    """Pixel counts for one number of shots, with S seeds and n novel classes.

    Attributes:
        seeds: seeds in the order of the rows.
        class_ids: class ids in the order of the columns.
        intersection: (S, n) int64, pixels that belong to the class and are predicted as it.
        union: (S, n) int64, pixels that belong to the class or are predicted as it.
        episodes: (S, n) int64, number of episodes that hold the class as a way.
        binary_intersection: (S, 2) int64, for background and for foreground (any way).
        binary_union: (S, 2) int64, for background and for foreground (any way).
        boundary_intersection: (S, n) int64, as `intersection`, of the boundary regions alone.
        boundary_union: (S, n) int64; all 0 if boundary regions were not counted.
    """

    seeds: tuple[int, ...]
    class_ids: tuple[int, ...]
    intersection: Int64 = field(init=False)
    union: Int64 = field(init=False)
    episodes: Int64 = field(init=False)
    binary_intersection: Int64 = field(init=False)
    binary_union: Int64 = field(init=False)
    boundary_intersection: Int64 = field(init=False)
    boundary_union: Int64 = field(init=False)

    def __post_init__(self) -> None:
        shape = (len(self.seeds), len(self.class_ids))
        self.intersection, self.union = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        self.episodes = np.zeros(shape, np.int64)
        self.boundary_intersection = np.zeros(shape, np.int64)
        self.boundary_union = np.zeros(shape, np.int64)
        self.binary_intersection = np.zeros((shape[0], 2), np.int64)
        self.binary_union = np.zeros((shape[0], 2), np.int64)

    def add(self, seed: int, class_id: int, intersection: int, predicted: int, truth: int) -> None:
        """Add one way of one episode. All counts are in px and leave out ignored pixels."""
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

    def add_boundary(
        self, seed: int, class_id: int, intersection: int, predicted: int, truth: int
    ) -> None:
        """Add the boundary regions of one way of one episode, in px as in `add`."""
        cell = self.seeds.index(seed), self.class_ids.index(class_id)
        self.boundary_intersection[cell] += intersection
        self.boundary_union[cell] += predicted + truth - intersection

    def class_iou(self) -> Float64:
        """Return the IoU of each seed and class, (S, n) in 0 to 1; NaN if a class was never drawn.

        A class that was drawn but has an empty union (every pixel ignored) is NaN as well, because
        nothing was measured.
        """
        return _ratio(self.intersection, self.union)

    def miou(self) -> Float64:
        """Return the mean over the drawn classes, (S,) in 0 to 1; NaN if there is none."""
        return _mean_of_known(self.class_iou())

    def boundary_iou(self) -> Float64:
        """Return the mean boundary IoU over the drawn classes, (S,) in 0 to 1; NaN as in `miou`."""
        return _mean_of_known(_ratio(self.boundary_intersection, self.boundary_union))

    def fb_iou(self) -> Float64:
        """Return the mean IoU of background and foreground, all classes pooled, (S,) in 0 to 1."""
        return _mean_of_known(_ratio(self.binary_intersection, self.binary_union))


def _ratio(part: Int64, whole: Int64) -> Float64:
    known = whole > 0
    return np.where(known, part / np.where(known, whole, 1), np.nan)


def _mean_of_known(values: Float64) -> Float64:
    """Return the mean of each row over the values that are not NaN."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0).sum(axis=1)
    return np.where(known.any(axis=1), total / np.maximum(known.sum(axis=1), 1), np.nan)


@dataclass(frozen=True)
class Summary:
    """Mean over seeds and its spread.

    Attributes:
        mean: mean over the seeds.
        std: sample deviation (n - 1 in the denominator); None with a single seed.
        ci95: half width of the 95 % interval of the mean by Student's t; None with a single seed.
    """

    mean: float | None
    std: float | None
    ci95: float | None


def summarise(values: Sequence[float] | Float64) -> Summary:
    """Return mean, sample deviation and 95 % t-interval; NaN (nothing measured) is left out."""
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
