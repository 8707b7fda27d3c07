"""Evaluation at a fixed square size (HSNet's 400x400), as wrappers around encoder and readers.

`encode_at` alone is HSNet's `use_original_imgsize`: images are encoded at the fixed size and scored
at the original resolution. `readers_at` is HSNet's default: the query's mask is resized as well,
and the IoU is measured on the resized masks. PFENet and the paper resize nothing at the end.
"""

import numpy as np
from PIL import Image

from fsslib.data.images import UInt8
from fsslib.encoders.running import Encode
from fsslib.evaluation.passes import Reader


def resize(values: UInt8, size: int, how: Image.Resampling) -> UInt8:
    """Resize a photograph (H, W, 3) or a mask (H, W) to `size` x `size` px."""
    return np.asarray(Image.fromarray(values).resize((size, size), how))


def encode_at(encode: Encode, size: int) -> Encode:
    """Encode photographs at `size` x `size` px; prototypes and labels keep the original masks."""
    return lambda image: encode(resize(image, size, Image.Resampling.BILINEAR))


def readers_at(read_image: Reader, read_mask: Reader, size: int) -> tuple[Reader, Reader]:
    """Return readers of photographs (bilinear) and masks (nearest) at `size` x `size` px."""
    return (
        lambda image_id: resize(read_image(image_id), size, Image.Resampling.BILINEAR),
        lambda image_id: resize(read_mask(image_id), size, Image.Resampling.NEAREST),
    )
