import math

import numpy as np
import pytest

from fsslib.evaluation.metrics import Counts, summarise


def counts():
    table = Counts((7, 9), (3, 5))
    table.add(7, 3, intersection=10, predicted=30, truth=20)
    table.add(7, 3, intersection=0, predicted=10, truth=50)
    table.add(9, 5, intersection=5, predicted=5, truth=5)
    table.add(9, 3, intersection=1, predicted=2, truth=3)
    return table


def test_pixels_are_summed_over_episodes_before_the_division():
    iou = counts().class_iou()
    assert iou[0, 0] == pytest.approx(10 / (40 + 60))
    assert iou[1, 0] == pytest.approx(1 / 4)


def test_a_class_that_a_seed_never_drew_is_left_out_of_its_mean():
    table = counts()
    assert math.isnan(table.class_iou()[0, 1])
    assert table.miou().tolist() == pytest.approx([0.1, (1.0 + 0.25) / 2])


def test_episodes_are_counted_by_seed_and_class():
    assert counts().episodes.tolist() == [[2, 0], [1, 1]]


def test_fb_iou_is_the_mean_of_background_and_foreground():
    table = Counts((0,), (1,))
    table.add_binary(0, intersection=10, predicted=30, truth=20, valid=100)
    assert table.fb_iou()[0] == pytest.approx((10 / 40 + 60 / 90) / 2)


def test_counts_equal_those_of_two_masks_pixel_by_pixel():
    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(0, 3, 4000), rng.integers(0, 2, 4000)
    truth[truth == 2] = 255
    valid = truth != 255
    both = int(((truth == 1) & (predicted == 1)).sum())
    table = Counts((0,), (1,))
    numbers = both, int((predicted[valid] == 1).sum()), int((truth == 1).sum())
    table.add(0, 1, *numbers)
    table.add_binary(0, *numbers, int(valid.sum()))
    background = [
        int(n)
        for n in (
            ((truth == 0) & (predicted == 0)).sum(),
            (valid & ((truth == 0) | (predicted == 0))).sum(),
        )
    ]
    assert table.union[0, 0] == int((valid & ((truth == 1) | (predicted == 1))).sum())
    assert [table.binary_intersection[0, 0], table.binary_union[0, 0]] == background


def test_nothing_measured_is_nan_without_a_warning():
    table = Counts((0,), (1,))
    table.add(0, 1, 0, 0, 0)
    assert math.isnan(table.miou()[0])
    assert math.isnan(table.fb_iou()[0])


def test_mean_sample_deviation_and_t_interval_of_known_numbers():
    summary = summarise([1.0, 2.0, 3.0, 4.0, 5.0])
    assert summary.mean == pytest.approx(3)
    assert summary.std == pytest.approx(math.sqrt(2.5))
    assert summary.ci95 == pytest.approx(2.776445 * math.sqrt(2.5) / math.sqrt(5), rel=1e-5)


def test_one_seed_has_no_spread_and_none_has_no_mean():
    assert summarise([4.0]).mean == 4
    assert summarise([4.0]).std is summarise([4.0]).ci95 is None
    assert summarise([float("nan")]).mean is None
    assert summarise([float("nan"), 2.0, 4.0]).mean == 3
