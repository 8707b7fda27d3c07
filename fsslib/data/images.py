"""Reading photographs and index masks, the way every stage reads them."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from fsslib.errors import FsslibError

UInt8 = npt.NDArray[np.uint8]


def read_image(path: Path) -> UInt8:
    """Read a photograph.

    Returns:
        (H, W, 3) uint8 sRGB, EXIF rotation applied.

    Raises:
        FsslibError: missing, not an image, truncated or too large; the file is named.
    """
    try:
        with Image.open(path) as image:
            image.load()
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except FileNotFoundError:
        raise FsslibError(f"image {path} does not exist: check data_root") from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise FsslibError(f"image {path} cannot be read ({error}): replace the file") from None


def read_mask(path: Path) -> UInt8:
    """Read an index mask: palette or 8-bit gray PNG, the pixel value is the class id.

    Returns:
        (H, W) uint8, 0 background, 255 ignore.

    Raises:
        FsslibError: missing, truncated, or a colour image instead of an index one.
    """
    try:
        with Image.open(path) as image:
            if image.mode not in ("P", "L"):
                raise FsslibError(
                    f"mask {path} has mode {image.mode}, expected an index mask (P or L): "
                    "convert it with 'fss data folder'"
                )
            image.load()
            return np.asarray(image)
    except FileNotFoundError:
        raise FsslibError(f"mask {path} does not exist: check data_root") from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise FsslibError(f"mask {path} cannot be read ({error}): replace the file") from None
