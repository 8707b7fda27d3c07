"""Pretraining: a file that the encoder loads, the same twice, and a loss with known values."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from fsslib.encoder import Encoder
from fsslib.errors import FsslibError
from fsslib.pretraining import (
    Classifier,
    crop_and_flip,
    dense_loss,
    live_features,
    pretrain,
    save_weights,
)


def tiny(on_step=None, epochs: int = 1) -> Encoder:
    rng = np.random.default_rng(0)
    pictures = torch.from_numpy(rng.integers(0, 256, (8, 40, 40, 3)).astype(np.uint8))
    masks = torch.from_numpy(rng.integers(0, 4, (8, 40, 40)).astype(np.uint8))
    return pretrain(pictures, masks, 3, epochs, seed=1, batch=4, crop=32, on_step=on_step)


def test_two_steps_give_the_same_bytes_twice_and_the_encoder_loads_them(tmp_path: Path) -> None:
    steps: list[int] = []
    encoder = tiny(lambda count, loss: steps.append(count))
    assert steps == [4, 4]
    for name, made in (("a", encoder), ("b", tiny())):
        save_weights(made, tmp_path / name, {"seed": "1"})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    state = {
        k: v.float() if v.is_floating_point() else v for k, v in load_file(tmp_path / "a").items()
    }
    fresh = Encoder("resnet18")
    fresh.load_state_dict(state)
    with safe_open(tmp_path / "a", "pt") as file:
        assert file.metadata() == {"seed": "1"}
    with torch.no_grad():
        image = torch.randn(1, 3, 32, 32)
        cosines = torch.cosine_similarity(fresh(image), encoder(image))
        assert cosines.min() > 0.999


def test_features_with_live_norms_equal_the_encoder_once_the_norms_rest() -> None:
    encoder = tiny()
    image = torch.randn(1, 3, 40, 32)
    with torch.no_grad():
        expected = encoder(image)
        assert torch.allclose(live_features(encoder, image), expected, rtol=1e-3, atol=1e-3)


def test_training_moves_weights_and_running_statistics_and_leaves_the_global_generator() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    encoder = tiny()
    assert torch.equal(torch.rand(3), expected)
    assert int(encoder.bn1.num_batches_tracked) == 2
    assert not torch.allclose(encoder.bn1.running_mean, torch.zeros(64))
    assert not torch.allclose(encoder.bn1.weight, torch.ones(64), atol=1e-6)


def test_scores_are_scaled_cosines() -> None:
    model = Classifier("resnet18", 3)
    scores = model(torch.randn(2, 3, 40, 40))
    assert scores.shape == (2, 4, 5, 5)
    assert scores.abs().max() <= 20.001


def test_loss_weighs_background_a_fifth_and_skips_ignored() -> None:
    scores = torch.zeros(1, 3, 1, 3)
    scores[0, 1] = math.log(2)  # probabilities 1/4, 1/2, 1/4
    mask = torch.full((1, 8, 24), 255, dtype=torch.uint8)
    mask[0, 0, 0], mask[0, 0, 8] = 0, 1
    expected = (0.2 * math.log(4) + 1.0 * math.log(2)) / 1.2
    assert dense_loss(scores, mask).item() == pytest.approx(expected)


def test_crops_and_flips_move_images_and_masks_together() -> None:
    masks = torch.arange(100, dtype=torch.uint8).view(1, 10, 10).repeat(6, 1, 1)
    images = masks.unsqueeze(1).repeat(1, 3, 1, 1)
    cut, target = crop_and_flip(images, masks, 7, torch.Generator().manual_seed(0))
    assert target.shape == (6, 7, 7)
    assert torch.equal(cut[:, 0], target)
    assert len({row.numpy().tobytes() for row in target}) == 2


def test_too_few_pictures_are_refused() -> None:
    with pytest.raises(FsslibError, match="batch=32 needs"):
        pretrain(torch.zeros(3, 40, 40, 3), torch.zeros(3, 40, 40), 2, 1, seed=0)


def test_a_weight_beyond_float16_is_refused(tmp_path: Path) -> None:
    encoder = Encoder("resnet18")
    encoder.bn1.running_var.fill_(1e6)
    with pytest.raises(FsslibError, match=r"bn1\.running_var does not fit"):
        save_weights(encoder, tmp_path / "x", {})
