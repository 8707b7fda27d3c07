"""Boundary IoU: how well the edges of a mask fit (Cheng et al., CVPR 2021).

It is the IoU of the two masks' boundary regions, which are the pixels of a mask within a short
distance of its contour. The mask's inside, which dominates the IoU of large objects, does not
count.
"""

from math import hypot

from torch import Tensor

from fsslib.evaluation.windows import window_sums

SHARE = 0.02
"""Width of the boundary region as a share of the image's diagonal, as published."""


def boundary_width(size: tuple[int, int]) -> int:
    """Width of the boundary region in px, for an image of (H, W) px."""
    return max(1, round(SHARE * hypot(*size)))


def boundary_regions(masks: Tensor, width: int) -> Tensor:
    """Return the part of each mask that is within `width` px of its contour.

    Distances are those of a square window, as in the published code, whose erosion repeats a 3 x 3
    window. The image's border is a contour.

    Args:
        masks: (..., H, W) float32, 0 and 1.
        width: in px, at least 1.

    Returns:
        (..., H, W) float32, 0 and 1.
    """
    whole = (2 * width + 1) ** 2
    return masks * (window_sums(masks, width) < whole)
