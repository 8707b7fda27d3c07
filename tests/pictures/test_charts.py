"""Curves and pictures: ticks and points known by hand, smaller pictures."""

import re

import numpy as np
import pytest
from PIL import Image

from fsslib.pictures.page.charts import line_chart, thinned, ticks
from fsslib.pictures.page.pictures import WIDEST, embed
from fsslib.pictures.page.run import read_curve
from tests.support.page_fakes import write_picture


@pytest.mark.parametrize(
    ("highest", "expected"),
    [
        (1, [0, 0.25, 0.5, 0.75, 1]),
        (2.317, [0, 1, 2, 3]),
        (0.002, [0, 0.0005, 0.001, 0.0015, 0.002]),
        (99, [0, 25, 50, 75, 100]),
        (5999, [0, 2000, 4000, 6000]),
        (0, [0, 1]),
    ],
)
def test_ticks_are_round_and_hold_the_highest(highest, expected):
    assert ticks(highest) == expected


def test_points_lie_where_arithmetic_puts_them():
    svg = line_chart({"a": [(0, 0), (10, 1)]}, top=1)
    assert 'points="46.0,186.0 348.0,28.0"' in svg


def test_a_long_curve_is_thinned_to_means():
    assert thinned([(i, i) for i in range(7)], 4) == [(0.5, 0.5), (2.5, 2.5), (4.5, 4.5), (6, 6)]
    assert len(thinned([(i, 0) for i in range(6000)])) == 240


def test_every_curve_has_its_own_dashes_and_escaped_name():
    svg = line_chart({"<i>": [(0, 1)], "b": [(0, 2)], "c": [(0, 3)]})
    assert len(set(re.findall(r'stroke-dasharray="([^"]*)"', svg))) == 3
    assert "<i>" not in svg


def test_a_curve_leaves_out_what_is_not_finite(tmp_path):
    (tmp_path / "a.tsv").write_text("step\tloss\n0\t1.5\n1\tnan\n2\tinf\n3\t0.5\n")
    assert read_curve(tmp_path / "a.tsv") == [(0, 1.5), (3, 0.5)]


def test_pictures_become_smaller_and_keep_their_looks(tmp_path):
    write_picture(tmp_path / "wide.png", width=2 * WIDEST, height=100)
    wide = embed((tmp_path / "wide.png").read_bytes())
    assert (wide.width, wide.height) == (WIDEST, 50)
    assert len(wide.source) < (tmp_path / "wide.png").stat().st_size / 2


def test_a_tiny_picture_stays_as_it_is(tmp_path):
    Image.fromarray(np.zeros((1, 1, 3), np.uint8)).save(tmp_path / "dot.png", optimize=True)
    dot = embed((tmp_path / "dot.png").read_bytes())
    assert (dot.width, dot.height) == (1, 1)
    assert embed(b"no picture") is None
