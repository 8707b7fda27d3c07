"""Choosing on base classes: experiments, and what counts as larger than the noise."""

import re

from fsslib.experiments.tuning import (
    Scored,
    choices,
    chosen,
    difference,
    experiment,
    label,
    table,
    tuning_sweep,
)


def test_all_combinations_in_a_fixed_order():
    found = choices({"sigma": [5, 10], "w": [0.2, 0.9]})
    assert [label(c) for c in found] == [
        "sigma=5 w=0.2", "sigma=5 w=0.9", "sigma=10 w=0.2", "sigma=10 w=0.9",
    ]  # fmt: skip


def test_experiments_hold_out_one_group_and_leave_the_baseline_out():
    made = experiment({"training.lr": 0.001}, 2, 1)
    assert made.name == "tune-2-1-training.lr-0.001"
    assert made.changes == {
        "holdout": 1, "folds": [2], "baseline_lr": None, "training.lr": 0.001,
    }  # fmt: skip
    assert experiment({"baseline_lr": 0.01}, 0, 0).changes["baseline_lr"] == 0.01


def test_names_are_distinct_and_plain_whatever_the_values():
    values = {"training.lr_steps": [None, [120], [1, 20]], "weights": ["a b", "a-b", "x" * 90]}
    sweep = tuning_sweep(choices(values), 0, 3)
    names = [e.name for e in sweep.experiments]
    assert len(set(names)) == len(names) == 27
    assert all(re.fullmatch(r"[\w.-]{1,90}", name) for name in names)


def rows(*scores):
    return [Scored({"sigma": i}, tuple(s)) for i, s in enumerate(scores)]


def test_a_small_steady_gain_is_clear_and_a_large_unsteady_one_is_not():
    present, steady, wild = rows((40, 50, 60), (40.5, 50.4, 60.6), (48, 49, 58))
    assert difference(steady, present).clear
    assert abs(difference(steady, present).mean - 0.5) < 1e-9
    assert not difference(wild, present).clear
    assert chosen([present, steady], present) is steady
    assert chosen([present, wild], present) is present
    assert chosen([present, steady, wild], present) is present  # the best by mean is not clear


def test_two_standard_errors_over_three_groups_are_noise():
    present, other = rows((43.69, 43.83, 33.39), (44.17, 43.86, 33.87))
    found = difference(other, present)
    errors = 0.15  # the deviation of 0.48, 0.03 and 0.48, by the root of 3
    assert 2 * errors < found.mean < found.ci95
    assert abs(found.ci95 - 4.303 * errors) < 1e-3  # Student's t from a printed table
    assert chosen([present, other], present) is present


def test_one_group_says_nothing_about_noise():
    present, better = rows((40,), (60,))
    assert not difference(better, present).clear
    assert present.deviation == 0


def test_the_table_marks_the_present_value():
    present, other = rows((40, 50, 60), (41, 52, 60))
    assert table([present, other], present).splitlines() == [
        "|  | group 0 | group 1 | group 2 | mean | ± std | difference | ± 95 % |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        "| sigma=0 (present) | 40.00 | 50.00 | 60.00 | 50.00 | 10.00 |  |  |",
        "| sigma=1 | 41.00 | 52.00 | 60.00 | 51.00 | 9.54 | +1.00 | 2.48 |",
    ]
