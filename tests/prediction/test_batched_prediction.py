"""Prediction and calibration in batches give what they give photograph by photograph."""

import numpy as np
import pytest
import torch
from PIL import Image

from fsslib.encoders.feeding import feed
from fsslib.encoders.work import Feeding, Tally
from fsslib.prediction.batched_trials import score_trials_in_batches
from fsslib.prediction.calibration import draw_trials, prediction_score, score_trials
from fsslib.prediction.prediction_pass import prediction_work
from fsslib.prediction.segmenter import Segmenter
from tests.support.scenes import Scenes, scene
from tests.support.toy import make_trainer

SIZES = [(64, 80), (80, 64), (64, 80), (64, 80), (56, 56), (64, 80), (120, 150)]


@pytest.fixture(scope="module")
def segmenter():
    made = Segmenter(make_trainer(short=True).encoder, device="cpu", max_side=100)
    for class_id, name in ((1, "ant"), (2, "bee")):
        image, mask = scene(40 + class_id, (class_id,), (64, 80))
        made.learn(name, image, (mask == class_id).astype(np.uint8))
    return made


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    for number, size in enumerate(SIZES):
        image, _ = scene(number, [(1,), (2,), (1, 2), (3,)][number % 4], size)
        Image.fromarray(image).save(folder / f"p{number}.png")
    (folder / "p3.png").write_bytes(b"no photograph")
    return sorted(folder.iterdir())


def made(path, image, prediction):
    return path, image.shape[:2], prediction


def failed(path, error):
    return path, error, None


@pytest.mark.parametrize("processes", [False, True])
@pytest.mark.parametrize("threshold", [0, "between"])
def test_predictions_agree(segmenter, paths, processes, threshold):
    if threshold == "between":  # of the scores, so that some classes are absent
        threshold = float(np.median([segmenter.predict(p).scores for p in paths[:3]]))
    work = prediction_work(segmenter, threshold, made, failed)
    feeding = Feeding(segmenter.encode, 4, 2, processes, tally=Tally())
    alone = list(feed(work, paths, Feeding()))
    together = list(feed(work, paths, feeding))
    assert sum(feeding.tally.batches) == len(paths)
    assert max(feeding.tally.batches) == 3
    same = pixels = 0
    for (path, size, one), (other_path, other_size, other) in zip(alone, together, strict=True):
        assert (path, size) == (other_path, other_size)
        if path.name == "p3.png":
            assert one is other is None
            assert "cannot be read" in size
            continue
        assert one.names == other.names
        assert one.present == other.present
        assert other.scores == pytest.approx(one.scores, abs=1e-5)
        assert one.mask.shape == other.mask.shape == size
        assert other.mask.dtype == np.uint8
        same += (one.mask == other.mask).sum()
        pixels += one.mask.size
    assert same / pixels >= 0.9999
    if threshold:
        assert {p for _, _, one in together if one for p in one.present} == {True, False}


def test_nothing_is_labelled_where_no_class_is_likely(segmenter, paths):
    work = prediction_work(segmenter, 1.0, made, failed)
    (_, _, found), *_ = feed(work, paths[:2], Feeding(segmenter.encode, 2))
    assert not found.mask.any()
    assert found.present == (False, False)


def test_trials_agree():
    layout = [(1,), (2,), (1, 3), (2, 3), (3,), (1, 2)] * 2
    scenes = Scenes(layout, ((64, 80), (80, 64), (64, 80), (56, 56)))
    trials = draw_trials(scenes.records, (1, 2), 4, 0, 1, 20)
    segmenter = Segmenter(make_trainer(short=True).encoder, device="cpu")
    alone, typical = score_trials(
        lambda i: segmenter.feature(scenes.read_image(i)), scenes.read_mask, trials,
        score=prediction_score,
    )  # fmt: skip
    said = []
    feeding = Feeding(segmenter.encode, 4, 2, tally=Tally())
    together, found = score_trials_in_batches(
        segmenter.encode, scenes.read_image, scenes.read_mask, trials,
        feeding=feeding, on_progress=lambda *told: said.append(told),
    )  # fmt: skip
    assert together == pytest.approx(alone, abs=1e-4)
    assert torch.allclose(found.mean, typical.mean, rtol=1e-5, atol=1e-5)
    assert (found.whiten - typical.whiten).norm() <= 1e-3 * typical.whiten.norm()
    assert said[-1][0] == said[-1][1] == len(said)
    assert max(feeding.tally.batches) == 4
