"""Scaling of photographs before encoding; masks and scores keep the original resolution."""

import numpy as np
from PIL import Image

from fsslib.data.images import UInt8


def shrink(height: int, width: int, long_side: int | None) -> float:
    """Factor that scales the longer side of an image to `long_side` px; 1 for None."""
    return 1.0 if long_side is None else long_side / max(height, width)


def scaled_size(height: int, width: int, long_side: int | None) -> tuple[int, int]:
    """(H, W) in px of an image with its longer side scaled to `long_side`; None keeps the size."""
    factor = shrink(height, width, long_side)
    return max(1, round(height * factor)), max(1, round(width * factor))


def scale_photograph(image: UInt8, long_side: int | None) -> UInt8:
    """Resize a photograph (H, W, 3) so that its longer side has `long_side` px.

    The resize is bilinear with antialiasing. It also enlarges small photographs, so that objects
    have about the size that the encoder was trained on. None returns the photograph unchanged.
    """
    height, width = scaled_size(image.shape[0], image.shape[1], long_side)
    if (height, width) == image.shape[:2]:
        return image
    how = Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(image).resize((width, height), how))
