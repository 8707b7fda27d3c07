"""Running averages during training: the global background (eq. 6) and the encoder's weights."""

from copy import deepcopy

import torch
from torch import Tensor, nn


class BackgroundMemory:
    """The global background prototype, an exponential moving average (eq. 6).

    The paper does not say how the average starts. At m = 0.999 a start value keeps two thirds of
    its weight after 400 updates. So the memory starts at zero and is divided by the weight that it
    has gathered, 1 - m^updates (Adam's bias correction). The result is an average of the values
    seen, without a start value.

    Attributes:
        sum: (C,) float32, eq. 6 iterated from zero.
        weight: share of that average that comes from updates and not from the start, 0 to 1.
    """

    def __init__(self, channels: int, momentum: float) -> None:
        self.momentum = momentum
        self.sum = torch.zeros(channels)
        self.weight = torch.zeros((), dtype=torch.float64)

    def update(self, current: Tensor) -> None:
        """Apply one step of eq. 6 with p_bg^cur, (C,) float32."""
        m = self.momentum
        self.sum = m * self.sum + (1 - m) * current.detach().to(self.sum)
        self.weight = m * self.weight + (1 - m)

    def value(self) -> Tensor | None:
        """Return p_bg^global, (C,) float32; None before the first update, or if m is 1."""
        if self.weight <= 0:
            return None
        return (self.sum.double() / self.weight).float()


class WeightAverage:
    """Exponential moving average of the encoder's weights (section 3.3.2, [45]).

    The decay warms up as min(decay, (1 + t) / (10 + t)), so that the initial weights are soon
    forgotten.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = deepcopy(model).eval()
        self.model.requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move the average towards `model` after step `step` (counted from 0)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for mine, theirs in zip(self.model.parameters(), model.parameters(), strict=True):
            mine.lerp_(theirs.detach(), 1 - decay)
