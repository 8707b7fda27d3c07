"""What features of photographs are like in general, so that likeness means likeness to the class.

All features of a layer share a large part: plain cosines between any two photographs are near one.
Without the mean and with the directions in which all photographs differ made short, a cosine is the
detector of one example against the world (exemplar LDA; Hariharan, Malik and Ramanan, ECCV 2012).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

SHRINK = 1.0
"""Of the mean variance, added to every direction: small ones are noise. Between 0.1 and 1 the AUC
on base classes rises by a point or two (docs/prediction.md)."""


@dataclass(frozen=True)
class Typical:
    """Mean and spread of features.

    Attributes:
        mean: (C,) float32.
        whiten: (C, C) float32, symmetric, the covariance to the power of -1/2; None leaves the
            spread as it is.
    """

    mean: Tensor
    whiten: Tensor | None = None

    def unit(self, features: Tensor) -> Tensor:
        """Features (n, C) as directions away from the mean, (n, C) of length 1."""
        away = features - self.mean
        return F.normalize(away if self.whiten is None else away @ self.whiten, dim=1)

    def to(self, device: torch.device) -> "Typical":
        """The same on another device."""
        whiten = None if self.whiten is None else self.whiten.to(device)
        return Typical(self.mean.to(device), whiten)


class Moments:
    """Sums over photographs, each of the same weight, from which `Typical` is made."""

    def __init__(self) -> None:
        self._number = 0
        self._first: Tensor | None = None
        self._second: Tensor | None = None

    def add(self, feature: Tensor) -> None:
        """Count a photograph's feature, (C, h, w) float32."""
        flat = feature.flatten(1)
        first = flat.mean(1).double().cpu()
        second = (flat @ flat.T / flat.shape[1]).double().cpu()
        self._number += 1
        self._first = first if self._first is None else self._first + first
        self._second = second if self._second is None else self._second + second

    def add_batch(self, features: Tensor) -> None:
        """Count photographs' features, (B, C, h, w) float32, without waiting for their device."""
        flat = features.flatten(2)
        first = flat.mean(2).double().sum(0)
        second = (flat @ flat.transpose(1, 2) / flat.shape[2]).double().sum(0)
        self._number += len(features)
        self._first = first if self._first is None else self._first + first
        self._second = second if self._second is None else self._second + second

    def typical(self, shrink: float = SHRINK) -> Typical:
        """Mean and shrunk whitening of what was counted, at least one photograph."""
        assert self._first is not None
        assert self._second is not None
        mean = self._first.cpu() / self._number
        covariance = self._second.cpu() / self._number - mean[:, None] * mean
        variance, axes = torch.linalg.eigh(covariance)
        variance = variance.clamp(min=0)
        scale = (variance + shrink * variance.mean().clamp(min=1e-12)).rsqrt()
        return Typical(mean.float(), (axes * scale @ axes.T).float())
