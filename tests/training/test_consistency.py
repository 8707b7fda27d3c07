"""Cross-consistency against plain loops, and training with it in place of the pseudo-masks."""

import math
from copy import deepcopy

import numpy as np
import pytest
import torch

from fsslib.encoders.base import normalise
from fsslib.ranks import ALONE, Ranks
from fsslib.training.checkpoint import restore_checkpoint, save_checkpoint, save_model
from fsslib.training.consistency import (
    KINDS,
    MAIN_BIAS,
    ConsistencyHead,
    Perturbations,
    Predictions,
    agreement,
    disagreement,
    disagreement_weight,
    draw_perturbations,
)
from fsslib.training.losses import HEAD_WIDTH, LAST_BIAS, MiningHead, pixel_loss
from fsslib.training.trained_model import load_model
from tests.support.helpers import one_line
from tests.support.toy import CLASSES, differing, make_batches, make_trainer, state_of


def draw(seed=0, images=3, size=(4, 5), ranks=ALONE):
    return draw_perturbations(np.random.default_rng(seed), images, size, ranks)


def seeded(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def naive_perturbed(features, foreground, drawn):
    """Each kind, location by location."""
    found = {kind: np.zeros(features.shape) for kind in KINDS}
    for b, c, y, x in np.ndindex(*features.shape):
        value = features[b, c, y, x]
        active, most = features[b, :, y, x].mean(), features[b].mean(axis=0).max()
        found["F-Noise"][b, c, y, x] = value + value * drawn.noise[c, y, x]
        found["F-Drop"][b, c, y, x] = value if active < drawn.threshold * most else 0
        found["DropOut"][b, c, y, x] = value * drawn.channels[b, c, 0, 0]
        found["Con-Msk"][b, c, y, x] = value if foreground[b, y, x] else 0
        found["Obj-Msk"][b, c, y, x] = 0 if foreground[b, y, x] else value
    return found


def test_perturbations_are_what_their_names_say():
    rng = np.random.default_rng(1)
    features = rng.random((2, 6, 4, 5)).astype(np.float32)
    foreground = rng.random((2, 4, 5)) < 0.4
    channels = torch.from_numpy(2.0 * (rng.random((2, 6, 1, 1)) < 0.5)).float()
    noise = torch.from_numpy(rng.uniform(-0.3, 0.3, (6, 4, 5))).float()
    drawn = Perturbations(noise, 0.8, channels)
    expected = naive_perturbed(features, foreground, drawn)
    found = drawn.apply(torch.from_numpy(features), torch.from_numpy(foreground))
    for kind, tensor in zip(KINDS, found, strict=True):
        assert np.allclose(tensor, expected[kind], atol=1e-6), kind
        assert np.count_nonzero(expected[kind] != features) > 0, kind
    assert 0 < np.count_nonzero(expected["F-Drop"] == 0) < features.size / 2


def test_draws_have_the_strengths_of_ccts_code_and_follow_the_generator_alone():
    drawn = draw(images=20)
    torch.manual_seed(1)
    again = draw(images=20)
    assert torch.equal(drawn.noise, again.noise)
    assert torch.equal(drawn.channels, again.channels)
    assert drawn.threshold == again.threshold
    assert drawn.noise.shape == (HEAD_WIDTH, 4, 5)
    assert drawn.noise.dtype == drawn.channels.dtype == torch.float32
    assert -0.3 <= drawn.noise.min() < -0.29 < 0.29 < drawn.noise.max() < 0.3
    assert drawn.channels.shape == (20, HEAD_WIDTH, 1, 1)
    assert set(drawn.channels.unique().tolist()) == {0.0, 2.0}
    assert 0.9 < drawn.channels.mean() < 1.1
    thresholds = [draw(seed).threshold for seed in range(60)]
    assert 0.6 <= min(thresholds) < 0.65
    assert 0.85 < max(thresholds) < 0.9


def test_ranks_take_their_parts_of_one_draw():
    whole = draw(images=4)
    parts = [draw(images=2, ranks=Ranks(number, 2)) for number in range(2)]
    assert torch.equal(torch.cat([p.channels for p in parts]), whole.channels)
    assert all(torch.equal(p.noise, whole.noise) for p in parts)
    assert {p.threshold for p in parts} == {whole.threshold}


def softmax(scores):
    raised = [math.exp(s) for s in scores]
    return [r / sum(raised) for r in raised]


def test_disagreement_is_the_mean_squared_error_of_probabilities():
    target, *auxiliary = (seeded(2, 3, 2, 2, seed=s) for s in range(4))
    errors, equal = [], []
    for scores in auxiliary:
        for b, y, x in np.ndindex(2, 2, 2):
            one, other = scores[b, :, y, x].tolist(), target[b, :, y, x].tolist()
            pairs = zip(softmax(one), softmax(other), strict=True)
            errors += [(p - q) ** 2 for p, q in pairs]
            equal.append(np.argmax(one) == np.argmax(other))
    found = Predictions(target, target, auxiliary)
    assert float(disagreement(found)) == pytest.approx(sum(errors) / len(errors), rel=1e-5)
    assert float(agreement(found)) == pytest.approx(np.mean(equal))
    same = Predictions(target, target, [target, target + 1])
    assert float(disagreement(same)) == pytest.approx(0, abs=1e-12)
    assert float(agreement(same)) == 1


def test_weight_rises_in_the_first_tenth_and_stays():
    weights = [disagreement_weight(step, 100) for step in range(100)]
    assert weights[0] == pytest.approx(30 * math.exp(-5))
    assert weights[5] == pytest.approx(30 * math.exp(-5 / 4))
    assert weights[:11] == sorted(weights[:11])
    assert set(weights[10:]) == {30.0}
    assert disagreement_weight(0, 1) == pytest.approx(30 * math.exp(-5))


def make_head(seed=1, classes=CLASSES):
    return ConsistencyHead(8, classes, torch.Generator().manual_seed(seed))


def test_the_main_decoder_is_a_mining_head_beside_which_are_auxiliary_ones():
    head, plain = make_head(), MiningHead(8, CLASSES, torch.Generator().manual_seed(1))
    for name, tensor in plain.state_dict().items():
        assert torch.equal(head.state_dict()[f"main.{name}"], tensor), name
    assert head.state_dict()[MAIN_BIAS].shape == (CLASSES,)
    assert f"main.{LAST_BIAS}" == MAIN_BIAS
    assert len(head.auxiliary) == len(KINDS)
    assert len({decoder.weight.sum().item() for decoder in head.auxiliary}) == len(KINDS)
    features = seeded(5, 8, 4, 5)
    with torch.no_grad():
        found = head(features, 2, draw())
        expected = plain(features)
    assert torch.allclose(torch.cat([found.labelled, found.target]), expected, atol=1e-6)
    assert all(scores.shape == (3, CLASSES, 4, 5) for scores in found.auxiliary)


def test_both_parts_reach_the_encoder_and_none_the_target():
    features = seeded(5, 8, 4, 5).requires_grad_()
    head = make_head()
    found = head(features, 2, draw())
    disagreement(found).backward()
    assert head.main[6].weight.grad is None
    assert head.main[0].weight.grad.abs().max() > 0
    assert all(decoder.weight.grad.abs().max() > 0 for decoder in head.auxiliary)
    unsupervised = features.grad.abs().flatten(1).amax(dim=1)
    assert (unsupervised[2:] > 0).all()
    features.grad, head = None, make_head()
    labels = torch.ones(2, 12, 12, dtype=torch.uint8)
    pixel_loss(head(features, 2, draw()).labelled, labels).backward()
    assert head.main[6].weight.grad.abs().max() > 0
    assert all(decoder.weight.grad is None for decoder in head.auxiliary)
    assert (features.grad.abs().flatten(1).amax(dim=1)[:2] > 0).all()


@pytest.fixture(scope="module")
def batches(discs):
    return make_batches(discs, miner="cct")


def test_a_step_takes_both_losses_in_place_of_the_pseudo_masks(batches):
    trainer, batch = make_trainer(miner="cct", pseudo_weight=0.5), batches[0]
    head = deepcopy(trainer.head)  # in training its batch norm moves
    images = torch.cat([batch["query_images"], batch["pool_images"]])
    rng = np.random.default_rng([3, 6, 0])
    with torch.no_grad():
        found = head(trainer.encoder(normalise(images)), 2, draw_perturbations(rng, 2, (4, 4)))
        supervised = pixel_loss(found.labelled, batch["query_labels"])
        expected = supervised + disagreement_weight(0, 6) * disagreement(found)
    row = trainer.step(batch)
    assert row["pseudo"] == pytest.approx(float(expected), rel=1e-4)
    assert row["loss"] == pytest.approx(row["episode"] + 0.5 * row["pseudo"], rel=1e-5)
    assert set(row) == {
        "loss", "episode", "pseudo", "lr", "episode_iou", "base_accuracy", "agreement"
    }  # fmt: skip
    places = [0, 10, 21, 31]  # of the 4 feature locations among 32 px
    truth = batch["query_labels"][:, places][:, :, places]
    right = [
        (scores.argmax(0)[labels != 255] == labels[labels != 255]).float().mean()
        for scores, labels in zip(found.labelled, truth, strict=True)
    ]
    assert row["base_accuracy"] == pytest.approx(float(sum(right) / 2), abs=0.05)
    assert row["agreement"] == pytest.approx(float(agreement(found)), abs=0.05)


def test_a_toy_run_learns_the_base_classes(batches):
    """The loss itself rises with the weight of the disagreement at first."""
    trainer = make_trainer(miner="cct", short=True, iterations=100, lr=0.003, head_lr=0.003)
    rows = [trainer.step(batches[0]) for _ in range(14)]
    assert rows[-1]["base_accuracy"] > rows[0]["base_accuracy"] + 0.3
    assert rows[-1]["agreement"] > rows[0]["agreement"] + 0.3
    assert rows[-1]["pseudo"] < rows[10]["pseudo"]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_training_goes_on_at_a_checkpoint(batches, tmp_path, precision):
    def fresh():
        return make_trainer(miner="cct", short=True, precision=precision)

    whole, first, second = fresh(), fresh(), fresh()
    rows = list(whole.run(batches[step] for step in range(3)))
    save_checkpoint(first, list(first.run(batches[step] for step in range(2))), tmp_path / "c")
    assert restore_checkpoint(second, tmp_path / "c") == rows[:2]
    assert list(second.run([batches[2]])) == rows[2:]
    assert differing(state_of(whole), state_of(second)) == []


def test_steps_and_seeds_draw_other_perturbations(batches):
    trainer = make_trainer(miner="cct", short=True, lr=1e-12, head_lr=1e-12)
    rows = [trainer.step(batches[0]) for _ in range(2)]
    other = make_trainer(miner="cct", short=True, lr=1e-12, head_lr=1e-12)
    other.step_number = 1
    assert other.step(batches[0])["pseudo"] == pytest.approx(rows[1]["pseudo"], rel=1e-6)
    assert rows[0]["pseudo"] != rows[1]["pseudo"]


def test_a_model_reads_back_and_a_damaged_head_is_refused(batches, tmp_path):
    trainer = make_trainer(miner="cct")
    trainer.step(batches[0])
    save_model(trainer, tmp_path / "model", {"fold": 1})
    model = load_model(tmp_path / "model", True)
    assert torch.equal(model.head[MAIN_BIAS], trainer.head.main[6].bias)
    del trainer.head.auxiliary[4]
    save_model(trainer, tmp_path / "damaged", {"fold": 1})
    assert "head.auxiliary.4.bias" in one_line(load_model, tmp_path / "damaged", True)
