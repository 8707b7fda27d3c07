"""The fused background prototype (eq. 7), in evaluation and in training episodes.

A file of its own: training needs nothing else of the rectification, so a change of the search does
not train again.
"""

from torch import Tensor


def fuse_background(global_background: Tensor, current: Tensor, w: float) -> Tensor:
    """Fuse the global and the current background prototype (eq. 7).

    Args:
        global_background: (C,) float32.
        current: (..., C) float32, mean over an episode's supports.
        w: weight of the global one, 0 to 1.

    Returns:
        (..., C) float32.
    """
    return w * global_background + (1 - w) * current
