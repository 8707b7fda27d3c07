"""One step against its equations, the schedule, and what a toy run learns."""

import math
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cosine_similarity, cross_entropy, interpolate

from fsslib.encoders.base import normalise
from tests.support.helpers import make_dataset, one_line
from tests.support.toy import differing, make_batches, make_trainer, state_of


def upsampled(maps, size):
    return interpolate(maps, size, mode="bilinear", align_corners=True)


def mean_under(feature, where):
    return upsampled(feature[None], where.shape)[0][:, where].mean(dim=1)


def naive_losses(trainer, batch, share=0.0):
    """L_gt and L_pseudo of eq. 1 as the paper writes them: upsample, pool, cosine, softmax.

    `share` is the weight of the mean background over the pairs in each pair's (eq. 7); after one
    update that mean is what the memory holds.
    """

    def encode(images):
        return trainer.encoder(normalise(images))

    backgrounds, foregrounds = [], []
    for images, masks in zip(batch["support_images"], batch["support_masks"], strict=True):
        features = encode(images)
        pairs = list(zip(features, masks, strict=True))
        foregrounds.append(sum(mean_under(f, m == 1) for f, m in pairs) / len(pairs))
        backgrounds.append(sum(mean_under(f, m == 0) for f, m in pairs) / len(pairs))
    common = sum(backgrounds) / len(backgrounds)
    losses = []
    for number, feature in enumerate(encode(batch["query_images"])):
        mask = batch["query_masks"][number]
        background = share * common + (1 - share) * backgrounds[number]
        scores = torch.stack(
            [
                20 * cosine_similarity(feature, p[:, None, None], dim=0)
                for p in (background, foregrounds[number])
            ]
        )
        full = upsampled(scores[None], mask.shape)
        losses.append(cross_entropy(full, mask[None].long(), ignore_index=255))
    episode = sum(losses) / len(losses)
    if trainer.head is None:
        return episode, None, common
    logits = upsampled(trainer.head(encode(batch["pool_images"])), (32, 32))
    masks = batch["pool_masks"].long()
    each = [cross_entropy(x[None], m[None]) for x, m in zip(logits, masks, strict=True)]
    return episode, sum(each) / len(each), common


@pytest.fixture(scope="module")
def batches(discs):
    return make_batches(discs)


@pytest.mark.parametrize("shot", [1, 2])
def test_losses_of_a_step_equal_the_equations(discs, shot):
    batch = make_batches(discs, shot=shot)[0]
    with torch.no_grad():
        episode, pseudo, common = naive_losses(make_trainer(), batch)
    trainer = make_trainer(pseudo_weight=0.5)
    row = trainer.step(batch)
    assert row["episode"] == pytest.approx(float(episode), rel=1e-4)
    assert row["pseudo"] == pytest.approx(float(pseudo), rel=1e-4)
    assert row["loss"] == pytest.approx(float(episode + 0.5 * pseudo), rel=1e-4)  # eq. 1
    assert torch.allclose(trainer.memory.value(), common, rtol=1e-3, atol=1e-4)


def test_a_step_tells_how_well_both_branches_did_before_it(batches):
    trainer, batch = make_trainer(), batches[0]
    with torch.no_grad():
        # A copy of the head: in training its batch norm moves.
        logits = deepcopy(trainer.head)(trainer.encoder(normalise(batch["pool_images"])))
    places = [0, 10, 21, 31]  # of the 4 feature locations among 32 px
    sampled = batch["pool_masks"][:, places][:, :, places]
    expected = (logits.argmax(dim=1) == sampled).float().mean().item()
    row = trainer.step(batch)
    assert row["pseudo_accuracy"] == pytest.approx(expected, abs=2e-3)
    assert 0 < row["episode_iou"] < 1


@pytest.fixture(scope="module")
def five_shot(tmp_path_factory):
    """A batch of pairs with five supports, which needs six images of a class."""
    manifest = make_dataset(tmp_path_factory.mktemp("many"), layout=[(1,)] * 6 + [(4,)])
    return make_batches(manifest, shot=5)[0]


def test_five_supports_are_averaged(five_shot):
    assert five_shot["support_images"].shape == (2, 5, 3, 32, 32)
    with torch.no_grad():
        episode, pseudo, _ = naive_losses(make_trainer(), five_shot)
    row = make_trainer().step(five_shot)
    assert row["episode"] == pytest.approx(float(episode), rel=1e-4)
    assert row["pseudo"] == pytest.approx(float(pseudo), rel=1e-4)


def test_resnet101_with_five_shots_takes_a_step(five_shot):
    trainer = make_trainer(backbone="resnet101", lr=1e-4, micro_images=6)
    before = trainer.encoder.conv1.weight.detach().clone()
    row = trainer.step(five_shot)
    assert all(math.isfinite(value) for value in row.values())
    assert trainer.memory.value().shape == (1024,)
    assert not torch.equal(trainer.encoder.conv1.weight, before)


def test_background_of_an_episode_can_be_fused_with_the_global_one(batches):
    with torch.no_grad():
        fused, _, _ = naive_losses(make_trainer(), batches[0], share=0.8)
        plain, _, _ = naive_losses(make_trainer(), batches[0])
    row = make_trainer(background_share=0.8).step(batches[0])
    assert row["episode"] == pytest.approx(float(fused), rel=1e-4)
    assert abs(float(fused - plain)) > 1e-3 * float(plain)


def test_the_first_update_is_plain_sgd_with_weight_decay(batches):
    reference = make_trainer(pseudo_weight=0.5)
    weights = [reference.encoder.layer3[1].conv2.weight, reference.head[6].weight]
    before = [w.detach().clone() for w in weights]
    episode, pseudo, _ = naive_losses(reference, batches[0])
    gradients = torch.autograd.grad(episode + 0.5 * pseudo, weights)
    trainer = make_trainer(pseudo_weight=0.5)
    trainer.step(batches[0])
    after = trainer.encoder.layer3[1].conv2.weight, trainer.head[6].weight
    for old, new, gradient, rate in zip(before, after, gradients, (0.01, 0.02), strict=True):
        expected = -rate * (gradient + 5e-4 * old)
        error = (new.detach() - old - expected).abs().max()
        assert error < 2e-3 * expected.abs().max()


def test_rates_fall_to_a_tenth_at_each_third(batches):
    trainer = make_trainer(iterations=6)
    rows, rates = [], []
    for step in range(6):
        rows.append(trainer.step(batches[step]))
        rates.append([g["lr"] for g in trainer.optimizer.param_groups])
    expected = [0.01, 0.01, 0.001, 0.001, 0.0001, 0.0001]
    assert [r["lr"] for r in rows] == pytest.approx(expected)
    assert [r[0] for r in rates] == pytest.approx(expected)
    assert [r[1] for r in rates] == pytest.approx([2 * e for e in expected])


def test_rates_fall_at_the_steps_asked_for():
    trainer = make_trainer(iterations=10, lr=1.0, lr_steps=(3, 8))
    rates = [trainer.learning_rate(step) for step in range(10)]
    assert rates == pytest.approx([1.0] * 3 + [0.1] * 5 + [0.01] * 2)
    steady = make_trainer(iterations=10, lr=1.0, lr_steps=())
    assert {steady.learning_rate(step) for step in range(10)} == {1.0}


@pytest.mark.parametrize(("iterations", "drops"), [(6000, (2000, 4000)), (200, (67, 134))])
def test_thirds_of_any_length(iterations, drops):
    trainer = make_trainer(None, iterations=iterations)
    rates = [trainer.learning_rate(step) for step in range(iterations)]
    changes = [s for s in range(1, iterations) if rates[s] != rates[s - 1]]
    assert tuple(changes) == drops
    assert rates[-1] == pytest.approx(0.01 / 100)


def test_a_toy_run_learns(batches):
    trainer = make_trainer(iterations=30, lr=0.003)
    rows = [trainer.step(batches[0]) for _ in range(12)]
    assert rows[-1]["episode_iou"] > rows[0]["episode_iou"]
    assert rows[-1]["pseudo_accuracy"] > rows[0]["pseudo_accuracy"]
    assert rows[-1]["episode"] < 0.7 * rows[0]["episode"]
    assert rows[-1]["pseudo"] < 0.8 * rows[0]["pseudo"]


def test_bfloat16_learns_as_float32_does(batches):
    losses = {}
    for precision in ("float32", "bfloat16"):
        trainer = make_trainer(precision=precision)
        losses[precision] = [trainer.step(batches[s])["loss"] for s in range(2)]
        assert trainer.encoder.conv1.weight.dtype == torch.float32
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.05)
    assert losses["bfloat16"] != losses["float32"]


def test_the_baseline_has_no_head_and_asks_for_no_pool(discs):
    trainer = make_trainer(None)
    row = trainer.step(make_batches(discs, mined=False)[0])
    assert trainer.head is None
    assert set(row) == {"loss", "episode", "lr", "episode_iou"}
    assert row["loss"] == row["episode"]
    assert len(trainer.optimizer.param_groups) == 1


def test_batch_norm_of_the_encoder_never_moves_and_that_of_the_head_does(batches):
    trainer = make_trainer()
    before = state_of(trainer)
    trainer.step(batches[0])
    after = state_of(trainer)
    changed = [k for k in before if not torch.equal(before[k], after[k])]
    norms = [k for k in before if k.startswith("online") and ("bn" in k or "downsample.1" in k)]
    assert norms
    assert not set(norms) & set(changed)
    assert "head.1.running_mean" in changed
    convolutions = [
        k for k in before if k.startswith("online") and k.endswith("weight") and k not in norms
    ]
    assert set(convolutions) <= set(changed)


def test_the_average_follows_the_weights(batches):
    trainer = make_trainer()
    start = trainer.average.model.conv1.weight.clone()
    trainer.step(batches[0])
    online = trainer.encoder.conv1.weight.detach()
    expected = 0.1 * start + 0.9 * online  # decay of step 0: 1 / 10
    assert torch.allclose(trainer.average.model.conv1.weight, expected, atol=1e-6)


def test_the_same_batches_end_in_the_same_weights(batches):
    states = []
    for _ in range(2):
        trainer = make_trainer()
        rows = list(trainer.run(iter([batches[0], batches[1]])))
        assert len(rows) == 2
        states.append(state_of(trainer))
    assert differing(*states) == []


def test_colours_may_be_left_to_the_device(discs):
    rows = []
    for later in (False, True):
        trainer = make_trainer()
        rows.append(trainer.step(make_batches(discs, later=later)[0]))
    assert rows[0] == pytest.approx(rows[1], rel=2e-3)
    assert rows[0]["episode"] == rows[1]["episode"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_refused_before_it_spoils_the_weights(batches, value):
    trainer = make_trainer()
    trainer.settings = replace(trainer.settings, pseudo_weight=value)
    before = trainer.encoder.conv1.weight.detach().clone()
    message = one_line(trainer.step, batches[0])
    assert message == f"the loss became {value} at step 0: lower training.lr"
    assert torch.equal(trainer.encoder.conv1.weight, before)
    assert trainer.step_number == 0


def test_crops_without_any_valid_pixel_still_train(batches):
    batch = dict(batches[0])
    batch["query_masks"] = torch.full_like(batch["query_masks"], 255)
    batch["support_masks"] = torch.full_like(batch["support_masks"], 255)
    trainer = make_trainer()
    row = trainer.step(batch)
    assert row["episode"] == 0
    assert torch.isfinite(trainer.encoder.conv1.weight).all()
