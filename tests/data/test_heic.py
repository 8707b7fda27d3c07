"""HEIC photographs are read upright where pillow-heif is installed, and named where it is not."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from fsslib.data import heic
from fsslib.data.images import (
    PHOTO_SUFFIXES,
    decode_photograph,
    image_size,
    photo_suffixes,
    read_image,
    read_mask,
    size_and_orientation,
)
from fsslib.data.unread import describe_unread, unread_files
from fsslib.datasets.layout import find_layout
from fsslib.errors import FsslibError
from tests.support.fakes import make_voc, write

needs_heic = pytest.mark.skipif(not heic.reads_heic(), reason="pillow-heif is not installed")


@pytest.fixture
def without_heic(monkeypatch):
    """An installation without pillow-heif."""
    monkeypatch.setattr(heic, "reads_heic", lambda: False)
    photo_suffixes.cache_clear()
    yield
    photo_suffixes.cache_clear()


def drawing() -> Image.Image:
    """A red upper left quarter on black, 96x64 px."""
    values = np.zeros((64, 96, 3), np.uint8)
    values[:32, :48, 0] = 250
    return Image.fromarray(values)


def heic_bytes(orientation: int = 1) -> bytes:
    import pillow_heif

    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = pillow_heif.from_pillow(drawing())
    stored.info["exif"] = exif.tobytes()
    stream = io.BytesIO()
    stored.save(stream, quality=95)
    return stream.getvalue()


@needs_heic
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_heic_is_read_upright_once(tmp_path: Path, orientation: int) -> None:
    path = write(tmp_path / "a.HEIC", heic_bytes(orientation))
    turned = drawing()
    turned.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(turned), np.int64)
    read = read_image(path)
    assert read.shape == expected.shape
    assert np.abs(read - expected).mean() < 2
    assert size_and_orientation(path) == (*expected.shape[:2], 1)
    assert decode_photograph(path).kind == "HEIF RGB"


@needs_heic
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_cut_heic_is_refused_in_one_line(tmp_path: Path, share: float) -> None:
    content = heic_bytes()
    path = write(tmp_path / "cut.heic", content[: int(len(content) * share)])
    for read in (read_image, image_size):
        with pytest.raises(FsslibError, match=r"image .*cut\.heic cannot be read \(.*replace"):
            read(path)


@needs_heic
def test_a_mask_is_never_heic(tmp_path: Path) -> None:
    path = write(tmp_path / "m.heic", heic_bytes())
    with pytest.raises(FsslibError, match=r"m\.heic is HEIC, which alters class ids"):
        read_mask(path)


@needs_heic
def test_a_heic_under_another_name_is_refused_whatever_was_read_before(tmp_path: Path) -> None:
    read_image(write(tmp_path / "a.heic", heic_bytes()))
    with pytest.raises(FsslibError, match=r"a\.jpg cannot be read \(not an image file\)"):
        read_image(write(tmp_path / "a.jpg", heic_bytes()))


@needs_heic
def test_a_dataset_may_hold_heic_photographs(tmp_path: Path) -> None:
    root = make_voc(tmp_path / "voc")
    (root / "JPEGImages/2007_000000.jpg").unlink()
    write(root / "JPEGImages/2007_000000.HEIF", heic_bytes())
    layout = find_layout(root)
    assert layout.problems == ()
    assert layout.entries[0].image == "JPEGImages/2007_000000.HEIF"


def test_heic_is_a_photograph_only_where_it_can_be_read(without_heic) -> None:
    assert photo_suffixes() == PHOTO_SUFFIXES


def test_without_the_package_the_error_says_how_to_get_it(tmp_path: Path, without_heic) -> None:
    path = write(tmp_path / "a.heic", b"\0\0\0\x18ftypheic" + bytes(40))
    with pytest.raises(FsslibError, match=r"a\.heic cannot be .*: pip install 'fsslib\[heic\]'"):
        read_image(path)
    assert describe_unread(unread_files(tmp_path)) == (
        "1 file was not read: a.heic (pip install 'fsslib[heic]')"
    )
