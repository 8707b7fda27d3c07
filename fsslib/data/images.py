"""Reading of photographs and index masks, the same in every stage.

Every file is read as a viewer shows it: EXIF orientation is applied to photographs and to masks.
A file that cannot be read unambiguously is refused in one line that names it.
"""

import io
import stat
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from fsslib.data import heic
from fsslib.errors import FsslibError

UInt8 = npt.NDArray[np.uint8]
Size = tuple[int, int]

MAX_PIXELS = 89_478_485
"""Pillow's own limit: 256 MB of RGB. A larger file is a decompression bomb, not a photograph."""

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
"""Suffixes of photographs that every installation reads."""

_BROKEN = (
    UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error,
    KeyError, IndexError, TypeError, OverflowError, MemoryError, RuntimeError,
)  # fmt: skip
"""Exceptions that Pillow and pillow-heif raise on damaged bytes; any other one is a bug here."""

_TAIL = 65_536
_TURNED = (5, 6, 7, 8)
_EXIF_ORIENTATION = 0x0112
# Pillow scales gray PNGs of fewer than 8 bits to 0..255, but a class id must not be scaled.
_GRAY_SCALE = {"L;2": 85, "L;4": 17}


@cache
def photo_suffixes() -> tuple[str, ...]:
    """Lower-case suffixes of the photographs that this installation reads."""
    return PHOTO_SUFFIXES + heic.SUFFIXES if heic.reads_heic() else PHOTO_SUFFIXES


def require_file(kind: str, path: Path) -> None:
    """Raise `FsslibError` unless `path` is a regular file; a pipe or a device may never end."""
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
    """Raise `FsslibError` unless an array has the (H, W) of the manifest; None is not checked."""
    height, width = values.shape[:2]
    if size is not None and (height, width) != size:
        raise FsslibError(
            f"{kind} {path} is {width}x{height} px, the manifest says {size[1]}x{size[0]}: it was "
            "replaced, run the stage 'prepare' again"
        )


@contextmanager
def _opened(kind: str, path: Path, content: bytes | None = None) -> Iterator[Image.Image]:
    """Open an image lazily; any failure in the block becomes an `FsslibError` that names `path`."""
    if content is None:
        require_file(kind, path)
    is_heic = heic.prepare(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about unusual metadata
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path if content is None else io.BytesIO(content)) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise Image.DecompressionBombError(f"{image.width}x{image.height}")
                if image.format == "HEIF" and not is_heic:  # else earlier files would decide
                    raise UnidentifiedImageError
                yield image
    except FileNotFoundError:
        raise FsslibError(f"{kind} {path} does not exist: check data_root") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise FsslibError(
            f"{kind} {path} has more than {MAX_PIXELS} px, the limit: scale it down"
        ) from None
    except UnidentifiedImageError:
        remedy = heic.remedy(path) if kind == "image" else "replace the file"
        raise FsslibError(f"{kind} {path} cannot be read (not an image file): {remedy}") from None
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
    """Convert any loaded image to sRGB; transparent areas become white, as in viewers.

    Raises:
        ValueError: the mode has no defined conversion to 8 bits (32-bit float).
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
    """EXIF orientation, 1 to 8, read from the header without decoding pixels."""
    # This calls the base class's method, since PngImageFile.getexif decodes the whole image first.
    value = Image.Image.getexif(image).get(_EXIF_ORIENTATION, 1)
    return value if value in range(1, 9) else 1


def _load_upright(image: Image.Image) -> tuple[Image.Image, int]:
    """Decode an opened image; return it upright in sRGB, and the orientation that was applied."""
    # Pillow rotates a TIFF and drops its tag while loading, so its orientation is read before. A
    # PNG may store the tag after its pixels, and Pillow would cache an answer given before loading.
    orientation = exif_orientation(image) if image.format == "TIFF" else 0
    image.load()
    orientation = orientation or exif_orientation(image)
    return to_rgb(ImageOps.exif_transpose(image)), orientation


@dataclass(frozen=True)
class Photograph:
    """A decoded photograph.

    Attributes:
        values: (H, W, 3) uint8 sRGB, EXIF rotation applied.
        kind: format and mode of the file, for example `JPEG RGB`.
        orientation: EXIF orientation that was applied; 1 is upright.
    """

    values: UInt8
    kind: str
    orientation: int


def decode_photograph(path: Path, content: bytes | None = None) -> Photograph:
    """Decode a photograph from `content`, or from the file when `content` is None.

    Raises:
        FsslibError: as `read_image`, except that the size is not checked.
    """
    with _opened("image", path, content) as image:
        kind = f"{image.format} {image.mode}"
        shown, orientation = _load_upright(image)
        return Photograph(np.asarray(shown), kind, orientation)


def read_image(path: Path, size: Size | None = None) -> UInt8:
    """Read a photograph, including gray, 16-bit gray, palette, CMYK and RGBA files.

    Args:
        path: path of the file.
        size: (H, W) of the manifest, or None.

    Returns:
        (H, W, 3) uint8 sRGB, EXIF rotation applied.

    Raises:
        FsslibError: the file is missing, not an image, truncated, too large or of another size; the
            message names the file.
    """
    values = decode_photograph(path).values
    require_size("image", path, values, size)
    return values


def _header_is_enough(image: Image.Image, path: Path) -> bool:
    """Whether the header gives the displayed size and the file's end looks complete."""
    if image.format not in ("JPEG", "PNG"):
        return False
    with path.open("rb") as stream:
        stream.seek(max(0, stream.seek(0, io.SEEK_END) - _TAIL))
        tail = stream.read()
    if image.format == "PNG":
        return tail[-8:-4] == b"IEND" and b"eXIf" not in tail
    return b"\xff\xd9" in tail[-64:]


def size_and_orientation(path: Path) -> tuple[int, int, int]:
    """Size of a photograph as `read_image` returns it; the file is not decoded where possible.

    A file without the usual end of a JPEG or PNG is decoded, and refused when truncated.

    Returns:
        H and W in px with the EXIF rotation applied, and the EXIF orientation (1 is upright, 5 to 8
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
    """(H, W) in px, the first two values of `size_and_orientation`."""
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
    """Open a mask in any lossless format; a failure is an `FsslibError` that names `path`."""
    with _opened("mask", path, content) as image:
        if image.format in ("JPEG", "MPO"):
            raise FsslibError(f"mask {path} is a JPEG, which alters class ids: save it as PNG")
        if image.format == "HEIF":
            raise FsslibError(f"mask {path} is HEIC, which alters class ids: save it as PNG")
        yield image


def index_values(image: Image.Image) -> UInt8:
    """Values of a P or L image with EXIF orientation applied; gray of 2 or 4 bits is not scaled."""
    tiles = getattr(image, "tile", [])
    scale = _GRAY_SCALE.get(str(tiles[0][3]), 1) if tiles else 1
    image.load()
    values = np.asarray(ImageOps.exif_transpose(image))
    return values if scale == 1 else values // np.uint8(scale)


def decode_mask(path: Path, content: bytes | None = None) -> tuple[UInt8, list[int]]:
    """Decode an index mask from `content`, or from the file when `content` is None.

    Returns:
        The (H, W) uint8 values and the palette, 3 ints per entry, empty for a gray mask.

    Raises:
        FsslibError: as `read_mask`, except that the size is not checked.
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
    """Read an index mask, a palette or gray PNG of at most 8 bits whose values are class ids.

    Args:
        path: path of the file.
        size: (H, W) of the manifest, or None.

    Returns:
        (H, W) uint8, 0 background, 255 ignore.

    Raises:
        FsslibError: the file is missing, truncated, lossy, a colour image instead of an index mask,
            or of another size.
    """
    values = decode_mask(path)[0]
    require_size("mask", path, values, size)
    return values
