"""Masks of supports: any value that is not 0, or one value of an index mask."""

import numpy as np
import pytest
from PIL import Image

from fsslib.prediction.support_masks import marked_values, read_support_mask, support_mask
from tests.support.fakes import jpeg_bytes, png_bytes, write
from tests.support.helpers import one_line

VALUES = np.array([[0, 1, 7], [255, 7, 0]], np.uint8)


@pytest.mark.parametrize("values", [VALUES, VALUES.astype(np.int64), VALUES > 0])
def test_without_a_value_everything_but_zero_is_the_class(values):
    mask = support_mask(values, None, "m")
    assert mask.tolist() == [[0, 1, 1], [1, 1, 0]]
    assert mask.dtype == np.uint8


def test_one_value_is_the_class_and_255_neither():
    assert support_mask(VALUES, 7, "m").tolist() == [[0, 0, 1], [255, 1, 0]]
    assert support_mask(VALUES, 255, "m").tolist() == [[0, 0, 0], [1, 0, 0]]


@pytest.fixture
def photograph(tmp_path):
    return write(tmp_path / "a.jpg", jpeg_bytes(0, 40, 60))


def painted():
    values = np.zeros((40, 60), np.uint8)
    values[5:9, 3:8] = 1
    return values


@pytest.mark.parametrize("kind", ["palette", "gray", "bilevel", "rgb", "16 bit"])
def test_every_lossless_kind_is_read(tmp_path, photograph, kind):
    values = painted()
    if kind == "palette":
        write(tmp_path / "m.png", png_bytes(values))
    else:
        green = np.stack([values * 0, values * 9, values * 0], 2)
        kinds = {"gray": values * 200, "bilevel": values > 0, "rgb": green}
        Image.fromarray(kinds.get(kind, values.astype(np.uint16) * 200)).save(tmp_path / "m.png")
    assert np.array_equal(read_support_mask(tmp_path / "m.png", photograph, None), values)


def test_wrong_masks_are_told_in_one_line(tmp_path, photograph):
    small = write(tmp_path / "s.png", png_bytes(painted()[:, :50]))
    message = one_line(read_support_mask, small, photograph, None)
    assert "is 50x40 px, its photograph" in message
    assert "60x40 px" in message
    empty = write(tmp_path / "e.png", png_bytes(painted() * 0))
    assert "marks no pixel" in one_line(read_support_mask, empty, photograph, None)
    good = write(tmp_path / "g.png", png_bytes(painted()))
    assert "it holds 0, 1:" in one_line(read_support_mask, good, photograph, 3)
    colours = write(tmp_path / "c.png", png_bytes(np.stack([painted()] * 3, 2), palette=False))
    assert "needs an index mask" in one_line(read_support_mask, colours, photograph, 3)
    assert "save it as PNG" in one_line(read_support_mask, photograph, photograph, None)
    assert "does not exist" in one_line(read_support_mask, tmp_path / "x.png", photograph, None)


def test_a_mask_that_ignores_the_exif_rotation_is_told_so(tmp_path):
    turned = write(tmp_path / "t.jpg", jpeg_bytes(0, 40, 60, orientation=6))
    stored = write(tmp_path / "m.png", png_bytes(painted()))
    assert "EXIF rotation" in one_line(read_support_mask, stored, turned, None)
    shown = write(tmp_path / "n.png", png_bytes(painted().T))
    assert read_support_mask(shown, turned, None).shape == (60, 40)


def test_marked_values_are_those_of_an_index_mask(tmp_path):
    index = write(tmp_path / "i.png", png_bytes(VALUES))
    assert marked_values(index) == [1, 7, 255]
    colours = write(tmp_path / "c.png", png_bytes(np.stack([VALUES] * 3, 2), palette=False))
    assert marked_values(colours) == []
