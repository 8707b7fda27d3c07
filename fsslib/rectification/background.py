"""The fused background prototype (eq. 7), for evaluation and for training episodes.

The function has a file of its own because training needs nothing else from rectification. A
change of the search therefore does not cause a new training.
"""

from torch import Tensor


def fuse_background(global_background: Tensor, current: Tensor, w: float) -> Tensor:
    """Fuse the global and the current background prototype (eq. 7).

    Args:
        global_background: (C,) float32.
        current: (..., C) float32, the mean over an episode's supports.
        w: weight of the global prototype, 0 to 1.

    Returns:
        (..., C) float32.
    """
    return w * global_background + (1 - w) * current
