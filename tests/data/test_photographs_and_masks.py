"""Every kind of file is read right or refused with its name."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from fsslib.data.images import (
    MAX_PIXELS,
    decode_photograph,
    image_size,
    read_image,
    read_mask,
    size_and_orientation,
    turn,
)
from fsslib.errors import FsslibError
from tests.support.fakes import jpeg_bytes, photograph, png_bytes, write


def saved(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)
    return path


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_file(path: Path, width: int, height: int, depth: int, rows: bytes) -> Path:
    """A grayscale PNG written by hand, with the given bit depth."""
    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path


def test_gray_becomes_three_equal_channels(tmp_path: Path) -> None:
    values = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    read = read_image(saved(Image.fromarray(values), tmp_path / "g.png"))
    assert read.shape == (3, 4, 3)
    assert (read == values[..., None]).all()


def test_sixteen_bit_gray_is_scaled_not_clipped(tmp_path: Path) -> None:
    values = np.array([[0, 257, 32896, 65535]], np.uint16)
    read = read_image(saved(Image.fromarray(values), tmp_path / "g16.png"))
    assert read[0, :, 0].tolist() == [0, 1, 128, 255]


def test_transparent_pixels_are_shown_on_white(tmp_path: Path) -> None:
    values = np.zeros((1, 3, 4), np.uint8)
    values[0, :, 0] = 200
    values[0, :, 3] = [255, 0, 128]
    read = read_image(saved(Image.fromarray(values), tmp_path / "a.png"))
    assert read[0, 0].tolist() == [200, 0, 0]
    assert read[0, 1].tolist() == [255, 255, 255]
    assert abs(int(read[0, 2, 1]) - 127) <= 1


def test_palette_with_transparency_is_read(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1]], np.uint8))
    image.putpalette([10, 20, 30, 40, 50, 60])
    read = read_image(saved(image, tmp_path / "p.png", transparency=1))
    assert read[0].tolist() == [[10, 20, 30], [255, 255, 255]]


def test_cmyk_jpeg_has_the_right_hue(tmp_path: Path) -> None:
    cyan = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    red, green, blue = read_image(saved(cyan, tmp_path / "c.jpg"))[8, 8]
    assert red < 20
    assert min(green, blue) > 235


def test_float_tiff_is_refused(tmp_path: Path) -> None:
    path = saved(Image.fromarray(np.ones((4, 4), np.float32)), tmp_path / "f.tif")
    with pytest.raises(FsslibError, match=r"f\.tif cannot be read \(32-bit float"):
        read_image(path)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_to_image_size_and_array(
    tmp_path: Path, orientation: int
) -> None:
    path = write(tmp_path / "r.jpg", jpeg_bytes(1, 24, 40, orientation))
    stored = np.asarray(Image.open(path).convert("RGB"))
    read = read_image(path)
    with Image.open(path) as image:
        assert (read == np.asarray(ImageOps.exif_transpose(image))).all()
    for channel in range(3):
        assert (turn(stored[..., channel], orientation) == read[..., channel]).all()
    assert image_size(path) == read.shape[:2]
    assert size_and_orientation(path)[2] == orientation
    assert decode_photograph(path).orientation == orientation


@pytest.mark.parametrize("where", ["before", "after"])
def test_exif_of_a_png_is_found_before_and_after_its_pixels(tmp_path: Path, where: str) -> None:
    path = tmp_path / "e.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    photograph(1, 10, 20).save(path, exif=exif)
    if where == "after":
        data = path.read_bytes()
        at = data.index(b"eXIf") - 4
        length = struct.unpack(">I", data[at : at + 4])[0] + 12
        path.write_bytes(data[:at] + data[at + length : -12] + data[at : at + length] + data[-12:])
    assert read_image(path).shape[:2] == (20, 10)
    assert image_size(path) == (20, 10)


def test_tiff_orientation_is_applied_once(tmp_path: Path) -> None:
    path = saved(photograph(1, 10, 20), tmp_path / "t.tif", tiffinfo={274: 6})
    assert read_image(path).shape[:2] == image_size(path) == (20, 10)


def test_size_comes_from_the_header_alone(tmp_path: Path) -> None:
    """Broken pixels between a whole header and a whole end go unnoticed: nothing was decoded."""
    content = bytearray(jpeg_bytes(2, 200, 300))
    content[700:-200] = bytes(len(content) - 900)
    assert image_size(write(tmp_path / "h.jpg", bytes(content))) == (200, 300)


@pytest.mark.parametrize("name", ["cut.jpg", "cut.png"])
def test_truncated_photograph_is_refused_even_when_only_its_size_is_asked(
    tmp_path: Path, name: str
) -> None:
    stream = io.BytesIO()
    photograph(1, 200, 200).save(stream, "JPEG" if name.endswith("jpg") else "PNG")
    path = write(tmp_path / name, stream.getvalue()[:-2000])
    for read in (read_image, image_size):
        with pytest.raises(FsslibError, match=rf"{name} cannot be read"):
            read(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"])
def test_what_is_no_image_is_refused(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path / "x.png", content)
    for read in (read_image, read_mask, image_size):
        with pytest.raises(FsslibError, match=r"x\.png cannot be read") as caught:
            read(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("side", [9_600, 40_000])
def test_decompression_bomb_is_refused_in_one_line(tmp_path: Path, side: int) -> None:
    assert side * side > MAX_PIXELS
    rows = zlib.compress(bytes(1000))
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    path = tmp_path / "bomb.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )
    for read in (read_image, read_mask, image_size):
        with pytest.raises(FsslibError, match=r"bomb\.png has more than 89478485 px"):
            read(path)


@pytest.mark.parametrize(("depth", "row", "expected"), [
    (8, bytes([0, 1, 2, 255]), [1, 2, 255]),
    (4, bytes([0, 0x12, 0xF0]), [1, 2, 15]),
    (2, bytes([0, 0b01101100]), [1, 2, 3]),
])  # fmt: skip
def test_gray_masks_keep_their_ids_at_every_bit_depth(
    tmp_path: Path, depth: int, row: bytes, expected: list[int]
) -> None:
    path = png_file(tmp_path / "m.png", 3, 1, depth, row)
    assert read_mask(path)[0].tolist() == expected


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palette_masks_keep_their_ids_at_every_bit_depth(tmp_path: Path, bits: int) -> None:
    values = np.array([[0, 1, 1, 0]], np.uint8) * (2**bits - 1)
    image = Image.open(io.BytesIO(png_bytes(values)))
    assert (read_mask(saved(image, tmp_path / "m.png", bits=bits)) == values).all()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "I;16"])
def test_masks_of_other_modes_are_refused_by_name(tmp_path: Path, mode: str) -> None:
    path = saved(Image.new(mode, (4, 4)), tmp_path / "m.png")
    with pytest.raises(FsslibError, match=rf"m\.png has mode {mode}, expected an index mask"):
        read_mask(path)


def test_jpeg_mask_is_refused(tmp_path: Path) -> None:
    path = saved(Image.new("L", (8, 8)), tmp_path / "m.jpg")
    with pytest.raises(FsslibError, match=r"m\.jpg is a JPEG, which alters class ids"):
        read_mask(path)


def test_missing_files_are_named(tmp_path: Path) -> None:
    for read in (read_image, read_mask, image_size):
        with pytest.raises(FsslibError, match=r"gone\.png does not exist"):
            read(tmp_path / "gone.png")
