"""NT-Xent against plain loops, and training with it in place of the pseudo-masks."""

import math

import numpy as np
import pytest
import torch

from fsslib.encoders.base import normalise
from fsslib.training.checkpoint import restore_checkpoint, save_checkpoint
from fsslib.training.contrastive import PROJECTION, ProjectionHead, contrastive_loss
from tests.support.toy import differing, make_batches, make_trainer, state_of


def naive_loss(z, t):
    """The docstring's formula in float64."""
    count = len(z) // 2
    unit = [v / np.linalg.norm(v) for v in z.astype(float)]
    losses = []
    for i in range(2 * count):
        j = (i + count) % (2 * count)
        others = [math.exp(unit[i] @ unit[k] / t) for k in range(2 * count) if k != i]
        losses.append(-math.log(math.exp(unit[i] @ unit[j] / t) / sum(others)))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_loss_is_the_formula(count, temperature):
    z = torch.randn(2 * count, 7, generator=torch.Generator().manual_seed(count))
    found = contrastive_loss(z, temperature)
    assert float(found) == pytest.approx(naive_loss(z.numpy(), temperature), rel=1e-5, abs=1e-6)


def test_known_values():
    """Equal views that are orthogonal to all others: log(e^10 + 2) - 10; all alike: log(3)."""
    pairs = torch.eye(2).repeat(2, 1)
    assert float(contrastive_loss(pairs)) == pytest.approx(math.log1p(2 * math.exp(-10)), rel=1e-3)
    assert float(contrastive_loss(torch.ones(4, 3))) == pytest.approx(math.log(3))
    assert float(contrastive_loss(torch.randn(2, 3))) == pytest.approx(0, abs=1e-6)


def test_length_of_embeddings_does_not_count_and_the_gradient_is_finite():
    z = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert torch.allclose(contrastive_loss(z), contrastive_loss(5 * z), atol=1e-5)
    contrastive_loss(z).backward()
    assert torch.isfinite(z.grad).all()


def test_projection_pools_whole_features_and_is_a_function_of_its_seed():
    heads = [ProjectionHead(8, torch.Generator().manual_seed(1)) for _ in range(2)]
    feature = torch.randn(3, 8, 5, 4)
    assert heads[0](feature).shape == (3, PROJECTION)
    assert torch.equal(heads[0](feature), heads[1](feature))
    assert torch.allclose(heads[0](feature), heads[0](feature.flip(-1)), atol=1e-6)


@pytest.fixture(scope="module")
def batches(discs):
    return make_batches(discs, miner="simclr")


def test_a_batch_holds_two_views_of_each_pool_image_and_no_masks(batches, discs):
    batch = batches[0]
    assert batch["pool_images"].shape == (4, 3, 32, 32)  # of two images
    assert "pool_masks" not in batch
    first, second = batch["pool_images"].chunk(2)
    assert not any(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert torch.equal(batches[0]["pool_images"], batch["pool_images"])
    plain = make_batches(discs, mined=False)[0]
    assert torch.equal(plain["query_images"], batch["query_images"])
    assert "pool_images" not in plain


def test_a_step_takes_the_contrastive_loss_in_place_of_the_pseudo_masks(batches):
    trainer = make_trainer(miner="simclr", pseudo_weight=0.5)
    with torch.no_grad():
        features = trainer.encoder(normalise(batches[0]["pool_images"]))
        expected = contrastive_loss(trainer.head(features))
    row = trainer.step(batches[0])
    assert row["pseudo"] == pytest.approx(float(expected), rel=1e-3)
    assert row["loss"] == pytest.approx(row["episode"] + 0.5 * row["pseudo"], rel=1e-5)


def test_training_goes_on_at_a_checkpoint(batches, tmp_path):
    whole = make_trainer(miner="simclr")
    rows = list(whole.run(batches[step] for step in range(3)))
    first = make_trainer(miner="simclr")
    save_checkpoint(first, list(first.run(batches[step] for step in range(2))), tmp_path / "c")
    second = make_trainer(miner="simclr")
    assert restore_checkpoint(second, tmp_path / "c") == rows[:2]
    assert list(second.run([batches[2]])) == rows[2:]
    assert differing(state_of(whole), state_of(second)) == []
