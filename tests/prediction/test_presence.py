"""Presence: a score on the prototypes' own scale, a curve through it, and its errors."""

import math

import numpy as np
import pytest
import torch

from fsslib.prediction.calibration_files import (
    DEFAULT,
    Calibration,
    find_presence,
    presence_path,
    presence_settings,
    write_presence,
)
from fsslib.prediction.presence import (
    TOP_SHARE,
    Presence,
    Rates,
    area_under_curve,
    choose_threshold,
    fit_presence,
    measure_rates,
    presence_scores,
)
from fsslib.prediction.typical import Moments, Typical
from fsslib.rectification.rectify import Rectification
from tests.support.helpers import one_line

RATES = Rates(0.9, 0.4, 0.1, 0.2, 10, 10)


def test_score_is_one_where_enough_of_the_photograph_is_the_prototype():
    foreground, mean = torch.tensor([[3.0, 0, 0], [0, 0, 2.0]]), torch.tensor([0, 5.0, 0])
    feature = torch.tensor([0, 5.0, 1.0]).repeat(10, 10, 1).permute(2, 0, 1).clone()
    feature[:, 0, :5] = foreground[0][:, None]  # 5 % of 100 locations
    scores = presence_scores(feature, foreground, Typical(mean))
    assert scores[0] == pytest.approx(1)
    assert scores[1] == pytest.approx(25 / math.sqrt(34 * 29))  # (3, -5, 0) and (0, -5, 2)
    feature[:, 0, 1:5] = mean[:, None]  # typical, and so like nothing
    assert presence_scores(feature, foreground, Typical(mean))[0] == pytest.approx(1 / 5)


def test_score_is_the_naive_mean_of_the_best_locations():
    rng = np.random.default_rng(0)
    feature, fg, mean = rng.normal(size=(4, 6, 9)), rng.normal(size=4), rng.normal(size=4)
    whiten = rng.normal(size=(4, 4))
    whiten = whiten @ whiten.T
    typical = Typical(*(torch.tensor(v, dtype=torch.float32) for v in (mean, whiten)))
    given = (torch.tensor(v, dtype=torch.float32) for v in (feature, fg[None]))
    cosine = lambda u, v: u @ v / math.sqrt((u @ u) * (v @ v))  # noqa: E731
    places = [feature[:, y, x] for y in range(6) for x in range(9)]
    wanted = whiten @ (fg - mean)
    every = sorted((cosine(whiten @ (v - mean), wanted) for v in places), reverse=True)
    number = round(TOP_SHARE * 54)
    expected = sum(every[:number]) / number
    assert float(presence_scores(*given, typical)) == pytest.approx(expected, abs=1e-5)


def test_what_is_typical_is_the_mean_and_the_shrunk_spread_of_all_photographs():
    rng = np.random.default_rng(1)
    photographs = [rng.normal(size=(3, 2, n)) * [[[4.0]], [[1.0]], [[0.2]]] for n in (3, 8)]
    moments = Moments()
    for feature in photographs:
        moments.add(torch.tensor(feature, dtype=torch.float32))
    found = moments.typical(shrink=0.5)
    flat = [f.reshape(3, -1) for f in photographs]
    mean = np.mean([f.mean(1) for f in flat], axis=0)  # each photograph weighs the same
    spread = np.mean([f @ f.T / f.shape[1] for f in flat], axis=0) - np.outer(mean, mean)
    shrunk = spread + 0.5 * np.trace(spread) / 3 * np.eye(3)
    assert np.allclose(found.mean, mean, atol=1e-6)
    whiten = found.whiten.double().numpy()
    assert np.allclose(whiten @ shrunk @ whiten, np.eye(3), atol=1e-5)
    assert np.allclose(whiten, whiten.T, atol=1e-6)


def test_a_feature_that_is_typical_is_like_nothing():
    typical = Typical(torch.ones(3))
    feature = torch.ones(3, 2, 2)
    assert presence_scores(feature, torch.rand(2, 3), typical).tolist() == [0, 0]


def test_the_curve_is_one_half_in_the_middle_and_one_e_fold_of_odds_a_width():
    curve = Presence(0.4, 0.1)
    assert curve.probability(0.4) == 0.5
    odds = [p / (1 - p) for p in (curve.probability(s) for s in (0.4, 0.5, 0.6))]
    assert odds == pytest.approx([1, math.e, math.e**2])
    assert (curve.probability(-1e9), curve.probability(1e9)) == (0, 1)


def test_fit_finds_the_curve_that_the_answers_were_drawn_from():
    rng = np.random.default_rng(0)
    scores = rng.uniform(-1, 2, 20_000)
    truth = Presence(0.5, 0.2)
    present = rng.random(20_000) < [truth.probability(s) for s in scores]
    found = fit_presence(scores.tolist(), present.tolist())
    assert found.middle == pytest.approx(0.5, abs=0.02)
    assert found.width == pytest.approx(0.2, abs=0.02)


def test_many_photographs_without_the_class_do_not_move_the_middle():
    scores, present = [0.0, 0.2, 0.8, 1.0], [False, True, False, True]
    more = fit_presence(scores + [0.0, 0.8] * 9, present + [False] * 18)
    once = fit_presence(scores, present)
    assert more.middle == pytest.approx(once.middle, abs=0.01)
    assert more.width == pytest.approx(once.width, rel=0.1)


def test_separated_scores_give_a_finite_curve_between_them():
    found = fit_presence([0.1, 0.2, 0.8, 0.9], [False, False, True, True])
    assert 0.4 < found.middle < 0.6
    assert 0 < found.width < 0.2


def test_scores_that_say_nothing_are_refused():
    assert "0 of 2 trials" in one_line(fit_presence, [0.1, 0.2], [False, False])
    assert "say nothing" in one_line(fit_presence, [0.1, 0.9], [True, False])
    assert "say nothing" in one_line(fit_presence, [0.5, 0.5], [True, False])


def test_rates_count_each_error_among_its_own_kind():
    curve = Presence(0.5, 0.1)
    scores = [0.4, 0.6, 0.7, 0.3, 0.6]
    present = [True, True, True, False, False]
    rates = measure_rates(curve, scores, present, 0.5)
    assert (rates.positives, rates.negatives) == (3, 2)
    assert rates.false_absent == pytest.approx(1 / 3)
    assert rates.false_present == pytest.approx(1 / 2)
    assert rates.auc == pytest.approx((1 + 1.5 + 2) / 6)


def test_auc_equals_counting_every_pair():
    rng = np.random.default_rng(3)
    scores = rng.integers(0, 6, 40).tolist()
    present = (rng.random(40) < 0.4).tolist()
    wins = [
        (a > b) + (a == b) / 2
        for a, p in zip(scores, present, strict=True)
        for b, q in zip(scores, present, strict=True)
        if p and not q
    ]
    assert area_under_curve(scores, present) == pytest.approx(np.mean(wins))


def test_the_threshold_calls_a_share_of_the_photographs_with_the_class_absent():
    curve = Presence(0.5, 0.1)
    scores = [i / 20 for i in range(20)] + [5.0] * 30
    present = [True] * 20 + [False] * 30
    threshold = choose_threshold(curve, scores, present, 0.1)
    assert threshold == curve.probability(2 / 20)
    rates = measure_rates(curve, scores, present, threshold)
    assert rates.false_absent == 0.1
    assert choose_threshold(curve, scores, present, 0) == curve.probability(0)


def calibration(presence):
    return Calibration(presence, 0.4, Typical(torch.ones(3), torch.eye(3)), "")


def test_a_calibration_is_read_for_its_own_encoder_and_rectification_only(tmp_path):
    path = presence_path(tmp_path / "model.safetensors")
    assert path.name == "model.presence.json"
    settings = presence_settings(Rectification(torch.ones(3), 0.9))
    write_presence(path, calibration(Presence(0.3, 0.05)), RATES, "abc", settings, {"fold": 0})
    found = find_presence(path, "abc", settings)
    assert (found.presence, found.threshold) == (Presence(0.3, 0.05), 0.4)
    assert torch.equal(found.typical.whiten, torch.eye(3))
    for encoder, other in (("abd", settings), ("abc", {"beta": 0.2, "top_n": 4})):
        found = find_presence(path, encoder, other)
        assert (found.presence, found.threshold, found.typical) == (DEFAULT, 0, None)
        assert str(path) in found.source
    for missing in (tmp_path / "none.json", None):
        assert find_presence(missing, "abc", settings).typical is None


@pytest.mark.parametrize("content", ["{", "[]", '{"encoder": "a"}', '{"middle": "x"}'])
def test_a_damaged_calibration_is_told_in_one_line(tmp_path, content):
    (tmp_path / "p.json").write_text(content)
    assert "fss calibrate" in one_line(find_presence, tmp_path / "p.json", "a", {})


def test_a_curve_that_does_not_rise_is_refused(tmp_path):
    write_presence(tmp_path / "p.json", calibration(Presence(0.3, 0.0)), RATES, "a", {}, {})
    assert "expected above 0" in one_line(find_presence, tmp_path / "p.json", "a", {})


def test_a_calibration_without_its_tensors_is_refused(tmp_path):
    path = tmp_path / "p.json"
    write_presence(path, calibration(Presence(0.3, 0.1)), RATES, "a", {}, {})
    (tmp_path / "p.safetensors").unlink()
    assert "p.safetensors does not exist" in one_line(find_presence, path, "a", {})
