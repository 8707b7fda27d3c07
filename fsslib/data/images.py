"""Reading photographs and index masks, the way every stage reads them.

Every file is taken as a viewer shows it: EXIF orientation is applied to photographs and to masks
alike. What cannot be read without guessing is refused in one line that names the file.
"""

import io
import stat
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from fsslib.errors import FsslibError

UInt8 = npt.NDArray[np.uint8]
Size = tuple[int, int]

MAX_PIXELS = 89_478_485
"""Pillow's own bound: 256 MB of RGB. A larger file is a bomb or no photograph."""

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")

_BROKEN = (
    UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error,
    KeyError, IndexError, TypeError, OverflowError, MemoryError,
)  # fmt: skip
"""What Pillow's readers raise on damaged bytes; anything else would be our bug."""

_TAIL = 65_536
_TURNED = (5, 6, 7, 8)
_EXIF_ORIENTATION = 0x0112
# Pillow scales gray PNGs of fewer than 8 bits to 0..255; an index must not be scaled.
_GRAY_SCALE = {"L;2": 85, "L;4": 17}


def require_file(kind: str, path: Path) -> None:
    """Raise `FsslibError` unless `path` is a regular file: a pipe or a device may never end."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise FsslibError(f"{kind} {path} does not exist: check data_root") from None
    except OSError as error:
        reason = error.strerror or "no such file"
        raise FsslibError(f"{kind} {path} cannot be read ({reason}): replace the file") from None
    except ValueError as error:  # a zero byte in the name
        raise FsslibError(f"{kind} {path!s:.80} cannot be read ({error}): rename it") from None
    if not stat.S_ISREG(mode):
        raise FsslibError(f"{kind} {path} is not a regular file: replace it")


def require_size(kind: str, path: Path, values: npt.NDArray[np.uint8], size: Size | None) -> None:
    """Raise `FsslibError` unless an array has the (H, W) that the manifest says, where it does."""
    height, width = values.shape[:2]
    if size is not None and (height, width) != size:
        raise FsslibError(
            f"{kind} {path} is {width}x{height} px, the manifest says {size[1]}x{size[0]}: it was "
            "replaced, run the stage 'prepare' again"
        )


@contextmanager
def _opened(kind: str, path: Path, content: bytes | None = None) -> Iterator[Image.Image]:
    """Open lazily; any failure inside the block becomes an `FsslibError` that names `path`."""
    if content is None:
        require_file(kind, path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on odd metadata
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path if content is None else io.BytesIO(content)) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise Image.DecompressionBombError(f"{image.width}x{image.height}")
                yield image
    except FileNotFoundError:
        raise FsslibError(f"{kind} {path} does not exist: check data_root") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise FsslibError(
            f"{kind} {path} has more than {MAX_PIXELS} px, the limit: scale it down"
        ) from None
    except UnidentifiedImageError:
        raise FsslibError(
            f"{kind} {path} cannot be read (not an image file): replace the file"
        ) from None
    except _BROKEN as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise FsslibError(f"{kind} {path} cannot be read ({reason}): replace the file") from None


def _sixteen_bit(image: Image.Image) -> Image.Image:
    """Scale 16-bit gray to 8 bits; Pillow's own conversion clips at 255 instead."""
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError("32-bit gray values outside 0..65535")
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert any loaded image to sRGB; transparency is shown on white, as viewers do.

    Raises:
        ValueError: a mode without a defined 8-bit reading (32-bit float).
    """
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _sixteen_bit(image).convert("RGB")
    if image.mode == "F":
        raise ValueError("32-bit float samples have no defined range")
    if image.has_transparency_data:
        canvas = Image.new("RGBA", image.size, "white")
        canvas.alpha_composite(image.convert("RGBA"))
        return canvas.convert("RGB")
    return image.convert("RGB")


def exif_orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8, from what the header says (no pixel is decoded)."""
    # The base class's method: PngImageFile.getexif decodes the whole image first.
    value = Image.Image.getexif(image).get(_EXIF_ORIENTATION, 1)
    return value if value in range(1, 9) else 1


def _load_upright(image: Image.Image) -> tuple[Image.Image, int]:
    """Decode an opened image; returns it as sRGB, upright, and the orientation applied."""
    # Pillow turns a TIFF and drops its tag while loading; a PNG may tell after its pixels, and
    # what was asked before loading would be remembered.
    orientation = exif_orientation(image) if image.format == "TIFF" else 0
    image.load()
    orientation = orientation or exif_orientation(image)
    return to_rgb(ImageOps.exif_transpose(image)), orientation


@dataclass(frozen=True)
class Photograph:
    """A decoded photograph.

    Attributes:
        values: (H, W, 3) uint8 sRGB, EXIF rotation applied.
        kind: format and mode of the file, as `JPEG RGB`.
        orientation: EXIF orientation that was applied, 1 upright.
    """

    values: UInt8
    kind: str
    orientation: int


def decode_photograph(path: Path, content: bytes | None = None) -> Photograph:
    """Decode a photograph from `content`, or from the file when that is None.

    Raises:
        FsslibError: as `read_image`.
    """
    with _opened("image", path, content) as image:
        kind = f"{image.format} {image.mode}"
        shown, orientation = _load_upright(image)
        return Photograph(np.asarray(shown), kind, orientation)


def read_image(path: Path, size: Size | None = None) -> UInt8:
    """Read a photograph: gray, 16-bit gray, palette, CMYK and RGBA files included.

    Args:
        path: of the file.
        size: (H, W) that the manifest says, or None.

    Returns:
        (H, W, 3) uint8 sRGB, EXIF rotation applied.

    Raises:
        FsslibError: missing, not an image, truncated, too large or of another size; the file is
            named.
    """
    values = decode_photograph(path).values
    require_size("image", path, values, size)
    return values


def _header_is_enough(image: Image.Image, path: Path) -> bool:
    """Whether the header tells the displayed size and the file ends as a whole one does."""
    if image.format not in ("JPEG", "PNG"):
        return False
    with path.open("rb") as stream:
        stream.seek(max(0, stream.seek(0, io.SEEK_END) - _TAIL))
        tail = stream.read()
    if image.format == "PNG":
        return tail[-8:-4] == b"IEND" and b"eXIf" not in tail
    return b"\xff\xd9" in tail[-64:]


def size_and_orientation(path: Path) -> tuple[int, int, int]:
    """Size of a photograph as `read_image` returns it, without decoding it where possible.

    A file that does not end as a whole JPEG or PNG does is decoded, and refused when truncated.

    Returns:
        H and W in px with the EXIF rotation applied, and that orientation (1 upright, 5 to 8
        swap height and width).

    Raises:
        FsslibError: as `read_image`.
    """
    with _opened("image", path) as image:
        if _header_is_enough(image, path):
            orientation = exif_orientation(image)
            turned = orientation in _TURNED
            height, width = image.height, image.width
            return (width, height, orientation) if turned else (height, width, orientation)
        shown, orientation = _load_upright(image)
        return shown.height, shown.width, orientation


def image_size(path: Path) -> tuple[int, int]:
    """(H, W) of `size_and_orientation`."""
    return size_and_orientation(path)[:2]


def turn(values: UInt8, orientation: int) -> UInt8:
    """Apply an EXIF orientation (1 to 8) to an (H, W) array, as a viewer does."""
    if orientation >= 5:
        values = values.T
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    return np.ascontiguousarray(values[::rows, ::columns])


@contextmanager
def open_mask(path: Path, content: bytes | None = None) -> Iterator[Image.Image]:
    """Open a mask of any lossless kind; failures are `FsslibError`s that name `path`."""
    with _opened("mask", path, content) as image:
        if image.format in ("JPEG", "MPO"):
            raise FsslibError(f"mask {path} is a JPEG, which alters class ids: save it as PNG")
        yield image


def index_values(image: Image.Image) -> UInt8:
    """Values of a P or L image, EXIF orientation applied, gray of 2 or 4 bits not scaled."""
    tiles = getattr(image, "tile", [])
    scale = _GRAY_SCALE.get(str(tiles[0][3]), 1) if tiles else 1
    image.load()
    values = np.asarray(ImageOps.exif_transpose(image))
    return values if scale == 1 else values // np.uint8(scale)


def decode_mask(path: Path, content: bytes | None = None) -> tuple[UInt8, list[int]]:
    """Decode an index mask from `content`, or from the file when that is None.

    Returns:
        The (H, W) uint8 values and the palette, 3 ints an entry, empty for a gray mask.

    Raises:
        FsslibError: as `read_mask`.
    """
    with open_mask(path, content) as image:
        if image.mode not in ("P", "L"):
            raise FsslibError(
                f"mask {path} has mode {image.mode}, expected an index mask (P or L): "
                "convert it with 'fss data folder'"
            )
        values = index_values(image)
        return values, image.getpalette() or [] if image.mode == "P" else []


def read_mask(path: Path, size: Size | None = None) -> UInt8:
    """Read an index mask: palette or gray PNG of at most 8 bits, the pixel value is the class id.

    Args:
        path: of the file.
        size: (H, W) that the manifest says, or None.

    Returns:
        (H, W) uint8, 0 background, 255 ignore.

    Raises:
        FsslibError: missing, truncated, lossy, a colour image instead of an index one, or of
            another size.
    """
    values = decode_mask(path)[0]
    require_size("mask", path, values, size)
    return values
