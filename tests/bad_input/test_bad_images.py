"""Photographs and masks of every bad kind: refused in one line that names them, or read right."""

# ruff: noqa: E501 - a case a line

import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tests.support.fakes import png_bytes
from tests.support.world import (
    IMAGE,
    MASK,
    VAL_IMAGE,
    VAL_MASK,
    Case,
    after,
    all_of,
    cut,
    encoded,
    every,
    gone,
    link,
    picture,
    put,
    set_params,
)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(width: int, height: int) -> bytes:
    """A gray PNG that claims a size and holds little."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 99))
    return b"\x89PNG\r\n\x1a\n" + header + pixels + chunk(b"IEND", b"")


def frames(kind: str) -> bytes:
    """Two frames; the first is the picture that viewers show."""
    first, second = (Image.new("RGB", (76, 60), colour) for colour in ("red", "blue"))
    return encoded(first, kind, save_all=True, append_images=[second])


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return picture("RGB", "JPEG", exif=exif)


def index_mask(value: int, size=(60, 76)) -> bytes:
    return png_bytes(np.full(size, value, np.uint8))


def as_jpeg(content: bytes, name: str = "photos/JPEGImages/t00.jpg"):
    """Put a JPEG in the place of the first training photograph."""
    return all_of(gone(IMAGE), put(name, content))


def fifo(name: str):
    return all_of(gone(name), lambda project: os.mkfifo(project / name))


def folder(name: str):
    return all_of(gone(name), lambda project: (project / name).mkdir())


def flipped_pixels(name: str):
    """Change a byte of the compressed pixels, whose checksum then is wrong."""

    def damage(project):
        content = bytearray((project / name).read_bytes())
        start = content.index(b"IDAT") + 4
        length = struct.unpack(">I", content[start - 8 : start - 4])[0]
        content[start + length // 2] ^= 1
        (project / name).write_bytes(content)

    return damage


JPEG = picture("RGB", "JPEG")
BAD_PHOTOGRAPHS = {
    "empty": (put(IMAGE, b""), "t00.png cannot be read"),
    "a text": (put(IMAGE, b"<html>404</html>"), "t00.png cannot be read (not an image file)"),
    "a signature alone": (put(IMAGE, b"\x89PNG\r\n\x1a\n"), "t00.png cannot be read"),
    "truncated": (cut(IMAGE, 0.5), "t00.png cannot be read"),
    "a truncated JPEG": (as_jpeg(JPEG[: len(JPEG) // 2]), "t00.jpg cannot be read"),
    "a JPEG's first two bytes": (as_jpeg(JPEG[:2]), "t00.jpg cannot be read"),
    "no width": (put(IMAGE, png_of(0, 60)), "t00.png cannot be read"),
    "no height": (put(IMAGE, png_of(76, 0)), "t00.png cannot be read"),
    "a bomb": (put(IMAGE, png_of(40_000, 40_000)), "has more than 89478485 px, the limit"),
    "a small bomb": (put(IMAGE, png_of(9_600, 9_600)), "has more than 89478485 px, the limit"),
    "of another size": (put(IMAGE, picture("RGB", "PNG", (50, 60))), "is 76x60 px, its image"),
    "32-bit float": (
        all_of(gone(IMAGE), put("photos/JPEGImages/t00.tif", picture("F", "TIFF"))),
        "t00.tif cannot be read (32-bit float",
    ),
    "turned by EXIF": (as_jpeg(turned(6)), "rotate the mask or remove the EXIF tag"),
    "missing": (gone(IMAGE), "JPEGImages/t00 is missing, train.txt lists it"),
    "there twice": (put("photos/JPEGImages/t00.jpg", JPEG), "holds t00.jpg and t00.png for one id"),
    "a folder": (folder(IMAGE), "t00.png is not a regular file"),
    "a pipe": (fifo(IMAGE), "t00.png is not a regular file"),
    "an endless device": (link(IMAGE, "/dev/zero"), "t00.png is not a regular file"),
    "a link to itself": (link(IMAGE, "t00.png"), "t00.png cannot be read"),
    "a link to nothing": (link(IMAGE, "elsewhere.png"), "t00.png does not exist"),
}
BAD_MASKS = {
    "empty": (put(MASK, b""), "mask"),
    "a text": (put(MASK, b"hello"), "t00.png cannot be read (not an image file)"),
    "truncated": (cut(MASK, 0.6), "t00.png cannot be read"),
    "with a flipped bit": (flipped_pixels(MASK), "t00.png cannot be read"),
    "no width": (put(MASK, png_of(0, 60)), "t00.png cannot be read"),
    "a bomb": (put(MASK, png_of(40_000, 40_000)), "has more than 89478485 px, the limit"),
    "of another size": (put(MASK, index_mask(1, (60, 75))), "is 75x60 px, its image"),
    "turned": (put(MASK, index_mask(1, (76, 60))), "rotate the mask or remove the EXIF tag"),
    "RGB": (put(MASK, picture("RGB", "PNG")), "has mode RGB, expected an index mask"),
    "RGBA": (put(MASK, picture("RGBA", "PNG")), "has mode RGBA, expected an index mask"),
    "gray with alpha": (put(MASK, picture("LA", "PNG")), "has mode LA, expected an index mask"),
    "16-bit": (put(MASK, picture("I;16", "PNG")), "has mode I;16, expected an index mask"),
    "black and white": (put(MASK, picture("1", "PNG")), "has mode 1, expected an index mask"),
    "a JPEG named PNG": (put(MASK, picture("L", "JPEG")), "is a JPEG, which alters class ids"),
    "of an undefined id": (put(MASK, index_mask(9)), "holds class id 9, defined are 1-4"),
    "missing": (gone(MASK), "SegmentationClass/t00 is missing, train.txt lists it"),
    "a pipe": (fifo(MASK), "t00.png is not a regular file"),
    "a link to itself": (link(MASK, "t00.png"), "t00.png cannot be read"),
}
CHANGED = put(IMAGE, picture("RGB", "PNG", (100, 90)))
CHANGED_MASK = put(MASK, index_mask(1, (90, 100)))
LATER = [
    Case("truncated photograph", "extract", cut(IMAGE, 0.5), "t00.png cannot be read"),
    Case("missing photograph", "extract", gone(IMAGE), "t00.png does not exist"),
    Case("missing mask", "extract", gone(MASK), "t00.png does not exist"),
    Case("mask became RGB", "extract", put(MASK, picture("RGB", "PNG")), "has mode RGB"),
    Case("photograph of another size", "extract", CHANGED, "is 100x90 px, the manifest says 76x60"),
    Case("mask of another size", "extract", CHANGED_MASK, "is 100x90 px, the manifest says 76x60"),
    Case("truncated photograph", "cluster --fold 0", cut(IMAGE, 0.5), "t00.png cannot be read"),
    Case("missing mask", "cluster --fold 0", gone(MASK), "t00.png does not exist"),
    Case("truncated photograph", "annotate --fold 0",
         all_of(set_params(dense_features=False), after("extract"), cut(IMAGE, 0.5)),
         "t00.png cannot be read"),
    Case("truncated photograph", "train --fold 0",
         every("JPEGImages/t", cut, 0.5),
         ".png cannot be read"),
    Case("masks of another size", "train --fold 0",
         every("SegmentationClass/t", put, index_mask(3, (90, 100))), "is 100x90 px, the manifest says 76x60"),
    Case("photographs of another size", "train --fold 0",
         all_of(every("JPEGImages/t", put, picture("RGB", "PNG", (100, 90))), set_params(mine=False)), "is 100x90 px, the manifest says"),
    Case("pool photographs of another size", "train --fold 0",
         every("JPEGImages/t", put, picture("RGB", "PNG", (100, 90))), "is 100x90 px, the manifest says 76x60"),
    Case("truncated photograph", "index --fold 0", cut(IMAGE, 0.5), "t00.png cannot be read"),
    Case("missing photograph", "index --fold 0", gone(IMAGE), "t00.png does not exist"),
    Case("photograph of another size", "index --fold 0", CHANGED,
         "t00 is 100x90 px, its pseudo-mask 76x60"),
    Case("truncated photographs", "evaluate --fold 0",
         every("JPEGImages/v", cut, 0.5),
         ".png cannot be read"),
    Case("missing masks", "evaluate --fold 0",
         every("SegmentationClass/v", gone),
         ".png does not exist"),
    Case("masks of another size", "evaluate --fold 0",
         every("SegmentationClass/v", put, index_mask(1, (90, 100))), "is 100x90 px, the manifest says 76x60"),
    Case("photographs of another size", "evaluate --fold 0",
         every("JPEGImages/v", put, picture("RGB", "PNG", (100, 90))), "is 100x90 px, the manifest says 76x60"),
    Case("val photograph truncated", "prepare", cut(VAL_IMAGE, 0.5), "v00.png cannot be read"),
    Case("val mask of another size", "prepare", put(VAL_MASK, index_mask(1, (9, 9))),
         "is 9x9 px, its image"),
    Case("all masks ignored", "collect",
         all_of(every("SegmentationClass/t", put, index_mask(255)), after("prepare", "extract")),
         "holds no prototype, every mask is ignored"),
    Case("all masks background", "cluster --fold 0",
         all_of(every("SegmentationClass/t", put, index_mask(0)), after("prepare", "extract", "collect")),
         "no training image holds a base class of this fold"),
    Case("no mask with background", "cluster --fold 0",
         all_of(every("SegmentationClass/t", put, index_mask(3)), after("prepare", "extract", "collect")),
         "no labelled image has background pixels"),
    Case("all val masks ignored", "episodes --fold 0",
         all_of(every("SegmentationClass/v", put, index_mask(255)), after("prepare")), "shots: 1 needs at least 2 val images with 64 px or more"),
]  # fmt: skip
ACCEPTED = {
    "16-bit gray": put(IMAGE, picture("I;16", "PNG")),
    "palette": put(IMAGE, picture("P", "PNG")),
    "with alpha": put(IMAGE, picture("RGBA", "PNG")),
    "black and white": put(IMAGE, picture("1", "PNG")),
    "CMYK": as_jpeg(picture("CMYK", "JPEG")),
    "progressive": as_jpeg(picture("RGB", "JPEG", progressive=True)),
    "turned by half": as_jpeg(turned(3)),
    "animated PNG": put(IMAGE, frames("PNG")),
    "animated GIF named PNG": put(IMAGE, frames("GIF")),
    "animated WebP": all_of(gone(IMAGE), put("photos/JPEGImages/t00.webp", frames("WEBP"))),
    "one mask all ignored": put(MASK, index_mask(255)),
}


@pytest.mark.parametrize("name", BAD_PHOTOGRAPHS)
def test_a_bad_photograph_is_refused_by_prepare(check, name):
    check(Case(name, "prepare", *BAD_PHOTOGRAPHS[name]))


@pytest.mark.parametrize("name", BAD_MASKS)
def test_a_bad_mask_is_refused_by_prepare(check, name):
    check(Case(name, "prepare", *BAD_MASKS[name]))


@pytest.mark.parametrize("name", [*BAD_PHOTOGRAPHS, *BAD_MASKS])
def test_fss_data_check_names_them_too(check, name):
    for table in (BAD_PHOTOGRAPHS, BAD_MASKS):
        if name in table:
            check(Case(name, "data check photos --processes 1", table[name][0], "see above"))


@pytest.mark.parametrize("case", LATER, ids=str)
def test_a_file_that_changed_after_prepare_is_refused(check, case):
    check(case)


@pytest.mark.parametrize("name", ACCEPTED)
def test_an_odd_photograph_is_read(check, name):
    check(Case(name, "prepare", ACCEPTED[name], "8 training and 9 validation images", 0))
    check(Case(name, "extract", lambda project: None, "", 0))
