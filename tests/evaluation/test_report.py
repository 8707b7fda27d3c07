import json
import statistics

import pytest

from fsslib.errors import FsslibError
from fsslib.evaluation.metrics import Counts
from fsslib.evaluation.result_files import comparison_table, results_table, scores
from fsslib.evaluation.summary import (
    COMMON,
    REFINED,
    common_head,
    fold_metrics,
    overall_metrics,
    overall_references,
)
from tests.support.helpers import one_line

NAMES = {1: "ant", 2: "bee", 3: "cow"}


def counted(ious, shots=(1,)):
    """IoU of `ant` and `bee` for each seed, in percent; `cow` is never drawn."""
    counts = {}
    for number in shots:
        table = Counts(tuple(range(len(ious))), (1, 2, 3))
        for seed, (ant, bee) in enumerate(ious):
            for class_id, iou in ((1, ant), (2, bee)):
                table.add(seed, class_id, iou, iou, 100)
            table.add_binary(seed, ant, ant, 100, 200)
        counts[number] = table
    return counts


def test_metrics_of_a_fold_with_known_counts():
    metrics = fold_metrics(counted([(50, 30), (60, 40)]), NAMES)["shot1"]
    assert metrics["miou"] == 45
    assert metrics["miou_seeds"] == [40, 50]
    assert metrics["miou_std"] == round(statistics.stdev([40, 50]), 3)
    assert metrics["classes"] == {"ant": 55, "bee": 35}
    assert metrics["episodes"] == {"ant": 2, "bee": 2, "cow": 0}
    assert metrics["not_drawn"] == ["cow"]
    assert metrics["fb_iou_seeds"] == [
        round(50 * (0.5 + 100 / 150), 3),
        round(50 * (0.6 + 100 / 140), 3),
    ]


def test_shots_come_in_order_and_hold_the_same_keys():
    metrics = fold_metrics(counted([(50, 30)], (5, 1)), NAMES)
    assert list(metrics) == ["shot1", "shot5"]
    assert list(metrics["shot1"]) == list(metrics["shot5"])
    assert metrics["shot1"]["miou_std"] is None


def test_metrics_are_strict_json_and_equal_for_equal_counts():
    first, second = (
        json.dumps(fold_metrics(counted([(50, 30), (61, 44)]), NAMES), allow_nan=False)
        for _ in range(2)
    )
    assert first == second


def test_overall_is_the_mean_over_folds_and_its_spread_over_seeds():
    folds = {
        0: fold_metrics(counted([(50, 30), (60, 40)]), NAMES),
        2: fold_metrics(counted([(80, 80), (60, 60)]), {1: "dog", 2: "eel", 3: "fox"}),
    }
    overall = overall_metrics(folds)["shot1"]
    assert overall["miou"] == (45 + 70) / 2
    assert overall["miou_seeds"] == [60, 55]
    assert overall["miou_std"] == round(statistics.stdev([60, 55]), 3)
    assert overall["folds"] == {"0": 45, "2": 70}
    assert overall["classes"] == {"ant": 55, "bee": 35, "dog": 70, "eel": 70}
    assert overall["not_drawn"] == ["cow", "fox"]


def test_folds_that_do_not_fit_together_are_refused():
    one, two = (fold_metrics(counted([(50, 30)] * n), NAMES) for n in (1, 2))
    with pytest.raises(FsslibError, match="different seeds"):
        overall_metrics({0: one, 1: two})
    with pytest.raises(FsslibError, match="different shots"):
        overall_metrics({0: one, 1: fold_metrics(counted([(50, 30)], (5,)), NAMES)})
    with pytest.raises(FsslibError, match="none to average"):
        overall_metrics({})


@pytest.mark.parametrize("key", COMMON)
def test_folds_of_different_protocols_are_not_averaged(key):
    head = {name: f"a {name}" for name in COMMON}
    assert common_head({3: {**head, "fold": 3}, 1: {**head, "fold": 1}}) == head
    message = one_line(common_head, {3: head, 1: {**head, key: None}})
    assert message == (
        f"folds: fold 3 was evaluated with {key} a {key}, fold 1 with None: "
        "run 'evaluate' for every fold"
    )


@pytest.mark.parametrize("key", REFINED)
def test_refined_folds_are_never_averaged_with_others(key):
    head = {name: f"a {name}" for name in COMMON}
    refined = {**head, "refine": "guided", "refine_radius": 0.06, "refine_eps": 0.001}
    assert common_head({0: refined, 1: refined}) == refined
    assert not set(REFINED) & set(common_head({0: head, 1: head}))
    message = one_line(common_head, {0: refined, 1: {**refined, key: "other"}})
    assert message.startswith(f"folds: fold 0 was evaluated with {key} {refined[key]}, fold 1 with")
    assert "fold 1 with refine guided" not in one_line(common_head, {0: head, 1: refined})


def test_boundary_iou_is_averaged_where_every_fold_measured_it():
    parts = {}
    for fold, hits in enumerate((10, 30)):
        counts = counted([(50, 30), (60, 40)])
        for seed in (0, 1):
            counts[1].add_boundary(seed, 1, hits + seed, 40, 60)
        parts[fold] = fold_metrics(counts, NAMES)
    found = overall_metrics(parts)["shot1"]
    each = [[100 * (h + s) / (100 - h - s) for s in (0, 1)] for h in (10, 30)]
    means = [(a + b) / 2 for a, b in zip(*each, strict=True)]
    assert found["boundary_iou_seeds"] == pytest.approx(means, abs=2e-3)
    assert found["boundary_iou"] == pytest.approx(sum(means) / 2, abs=2e-3)
    assert scores({"shot1": found}, {})["shot1"]["boundary_iou"] == found["boundary_iou"]
    assert "| FB-IoU | boundary IoU |" in results_table(parts, {"shot1": found})
    parts[2] = fold_metrics(counted([(50, 30), (60, 40)]), NAMES)
    mixed = overall_metrics(parts)["shot1"]
    assert not [k for k in mixed if "boundary" in k]
    assert "boundary" not in results_table(parts, {"shot1": mixed})


def references(**changes):
    """What `reference` writes of a fold."""
    seeds = {"seeds": [0, 1], "fb_iou_seeds": [1.0, 1.0], "not_drawn": []}
    names = {"classes": {}, "episodes": {}}
    made = {
        name: {"shot1": {"miou": m, "miou_seeds": [m, m], **seeds, **names}}
        for name, m in {"pretrained": 30.0, "baseline": 40.0, **changes}.items()
    }
    return {"fold": 0, "episode_list": "a", **made}


def test_the_gain_is_over_the_better_of_encoder_and_baseline_in_the_mean_of_the_folds():
    ours = {
        f: {**references(), **references(baseline=m)["baseline"]} for f, m in ((0, 44), (1, 50))
    }
    both = {0: references(), 1: references(pretrained=52.0)}
    found = overall_references(ours, both)
    assert found == {"shot1": {"pretrained": 41.0, "baseline": 40.0, "gain": 6.0}}
    overall = overall_metrics(ours)
    assert "| 1-shot mIoU | 41.00 | 40.00 | 47.00 | +6.00 |" in comparison_table(overall, found)
    assert scores(overall, found)["shot1"]["gain"] == 6.0


def test_without_a_reference_there_is_no_comparison():
    ours = {0: {**references(), **references(baseline=44.0)["baseline"]}}
    assert overall_references(ours, {0: {}}) == {}
    assert overall_references(ours, {0: {"fold": 0}}) == {}
    assert comparison_table(overall_metrics(ours), {}) == ""
    assert "gain" not in scores(overall_metrics(ours), {})["shot1"]


def test_a_refined_result_is_not_compared_with_references_that_are_not():
    ours = {0: {**references(), **references(baseline=44.0)["baseline"], "refine": "guided"}}
    assert overall_references(ours, {0: references()}) == {}


def test_a_reference_of_other_episodes_is_refused():
    ours = {0: {**references(), **references(baseline=44.0)["baseline"], "episode_list": "b"}}
    assert "run the stage 'reference' again" in one_line(
        overall_references, ours, {0: references()}
    )
