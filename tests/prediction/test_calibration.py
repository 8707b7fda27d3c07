"""Trials of presence: balanced, drawn from base classes, scored as prediction scores."""

import numpy as np
import pytest
import torch

from fsslib import Segmenter
from fsslib.encoders.resnet import ResNet
from fsslib.encoders.weights import load_weights
from fsslib.prediction.calibration import draw_trials, prediction_score, score_trials
from fsslib.prediction.calibration_files import Calibration
from fsslib.prediction.presence import Presence
from tests.support.helpers import one_line
from tests.support.scenes import Scenes

LAYOUT = [(1,), (2,), (1, 2), (1,), (2,), (3,), (1, 3)]


@pytest.fixture(scope="module")
def scenes():
    return Scenes(LAYOUT, sizes=((72, 96), (80, 60)))


def test_trials_hold_their_class_or_not_one_pixel_of_it(scenes):
    trials = draw_trials(scenes.records, (1, 2), 6, 0, shots=2, min_pixels=50)
    assert len(trials) == 2 * 2 * 6
    assert sum(t.present for t in trials) == 12
    assert {t.episode.class_ids for t in trials} == {(1,), (2,)}
    for trial in trials:
        (class_id,), (supports,) = trial.episode.class_ids, trial.episode.supports
        assert len({*supports, trial.episode.query}) == 3
        assert all((scenes.read_mask(i) == class_id).sum() >= 50 for i in supports)
        pixels = (scenes.read_mask(trial.episode.query) == class_id).sum()
        assert pixels >= 50 if trial.present else pixels == 0


def test_trials_of_a_class_do_not_depend_on_the_other_classes(scenes):
    alone = draw_trials(scenes.records, (2,), 5, 0, min_pixels=50)
    both = draw_trials(scenes.records[::-1], (2, 1), 5, 0, min_pixels=50)
    assert alone == both[10:]
    assert alone != draw_trials(scenes.records, (2,), 5, 1, min_pixels=50)


def test_a_class_with_too_few_images_is_passed_over(scenes):
    assert "none of the 1 classes has 3 images" in one_line(
        draw_trials, scenes.records, (3,), 5, 0, 2, 50
    )
    both = draw_trials(scenes.records, (1, 3), 5, 0, shots=2, min_pixels=50)
    assert {t.episode.class_ids for t in both} == {(1,)}


@pytest.mark.parametrize("workers", [0, 2])
def test_scores_are_those_of_prediction(scenes, workers):
    encoder = ResNet("resnet18")
    load_weights(encoder, "random")
    segmenter = Segmenter(encoder, device="cpu")
    trials = draw_trials(scenes.records, (1, 2), 2, 0, min_pixels=50)
    seen = []
    scores, typical = score_trials(
        lambda i: segmenter.feature(scenes.read_image(i)),
        scenes.read_mask,
        trials,
        workers=workers,
        score=prediction_score,
        on_progress=lambda done, total: seen.append((done, total)),
    )
    curve = Presence(0.2, 0.3)
    segmenter.calibration = Calibration(curve, 0.5, typical, "")
    assert seen[-1] == (len(seen), len(seen))
    for trial, score in zip(trials, scores, strict=True):
        (class_id,), ((support,),) = trial.episode.class_ids, trial.episode.supports
        segmenter.learn("c", scenes.read_image(support), scenes.read_mask(support), class_id)
        found = segmenter.predict(scenes.read_image(trial.episode.query))
        assert found.scores[0] == pytest.approx(curve.probability(score), abs=1e-5)
        segmenter.forget("c")
    assert np.isfinite(scores).all()
    assert len(set(scores)) > 1
    assert not torch.is_inference_mode_enabled()
