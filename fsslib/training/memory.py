"""Running memories of training: global background (eq. 6) and the weights' average."""

from copy import deepcopy

import torch
from torch import Tensor, nn


class BackgroundMemory:
    """Global background prototype, an exponential moving average (eq. 6).

    The paper does not say how it starts. At m = 0.999 a start keeps two thirds of its weight after
    400 updates, so the memory starts at zero and is divided by the weight it has gathered,
    1 - m^updates (Adam's bias correction): an average of what was seen, with no start in it.

    Attributes:
        sum: (C,) float32, eq. 6 iterated from zero.
        weight: share of that average that is not the start, 0 to 1.
    """

    def __init__(self, channels: int, momentum: float) -> None:
        self.momentum = momentum
        self.sum = torch.zeros(channels)
        self.weight = torch.zeros((), dtype=torch.float64)

    def update(self, current: Tensor) -> None:
        """One step of eq. 6 with (C,) float32 p_bg^cur."""
        m = self.momentum
        self.sum = m * self.sum + (1 - m) * current.detach().to(self.sum)
        self.weight = m * self.weight + (1 - m)

    def value(self) -> Tensor | None:
        """p_bg^global, (C,) float32; None before the first update, or when m is 1."""
        if self.weight <= 0:
            return None
        return (self.sum.double() / self.weight).float()


class WeightAverage:
    """Exponential moving average of the encoder's weights (section 3.3.2, [45]).

    The decay warms up as min(decay, (1 + t) / (10 + t)), so that the start is forgotten early.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = deepcopy(model).eval()
        self.model.requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move towards `model` after step `step` (counted from 0)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for mine, theirs in zip(self.model.parameters(), model.parameters(), strict=True):
            mine.lerp_(theirs.detach(), 1 - decay)
