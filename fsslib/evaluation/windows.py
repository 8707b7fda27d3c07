"""Sums over square windows by running sums, in a time that does not depend on their size."""

import torch
from torch import Tensor


def window_sums(maps: Tensor, radius: int) -> Tensor:
    """Sum maps over the windows of 2 `radius` + 1 px around each location, cut off at the edges.

    Args:
        maps: (..., H, W); float64, or whole numbers in float32 with running sums below 2^24.
        radius: in px, at least 0.

    Returns:
        (..., H, W) of the same type.
    """
    for axis in (-1, -2):
        length = maps.shape[axis]
        reach = min(radius, length - 1)
        running = torch.cumsum(maps, axis)
        maps = torch.empty_like(running)
        inner = length - reach
        maps.narrow(axis, 0, inner).copy_(running.narrow(axis, reach, inner))
        maps.narrow(axis, inner, reach).copy_(
            running.narrow(axis, length - 1, 1).expand_as(maps.narrow(axis, inner, reach))
        )
        if inner > 1:
            maps.narrow(axis, reach + 1, inner - 1).sub_(running.narrow(axis, 0, inner - 1))
    return maps
