"""The size at which photographs are encoded."""

import numpy as np
import pytest

from fsslib.data.scaling import scale_photograph, scaled_size, shrink


@pytest.mark.parametrize(
    ("size", "long_side", "expected"),
    [
        ((375, 500), 250, (188, 250)),
        ((500, 375), 250, (250, 188)),
        ((100, 200), 400, (200, 400)),
        ((1, 3000), 300, (1, 300)),
        ((375, 500), None, (375, 500)),
        ((375, 500), 500, (375, 500)),
    ],
)
def test_the_longer_side_is_made_the_size_asked_for(size, long_side, expected):
    assert scaled_size(*size, long_side) == expected
    image = np.zeros((*size, 3), np.uint8)
    assert scale_photograph(image, long_side).shape == (*expected, 3)


def test_a_photograph_of_the_right_size_is_not_copied():
    image = np.zeros((30, 40, 3), np.uint8)
    assert scale_photograph(image, 40) is image
    assert scale_photograph(image, None) is image


def test_shrinking_averages_and_does_not_skip_pixels():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 200
    small = scale_photograph(stripes, 16)
    assert abs(small[4:-4, 4:-4].astype(int) - 100).max() <= 3


def test_shrink_is_the_factor_of_the_longer_side():
    assert shrink(375, 500, 250) == 0.5
    assert shrink(500, 375, None) == 1.0
