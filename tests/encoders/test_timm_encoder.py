"""Backbones of timm: levels, grids, frozen norms, weights by seed and by file, training."""

import math

import numpy as np
import pytest
import timm
import torch
from torch import nn
from torch.nn.functional import interpolate

from fsslib.encoders.backbones import is_backbone
from fsslib.encoders.base import normalise
from fsslib.encoders.build import build_encoder, feature_shape
from fsslib.encoders.running import make_encode
from fsslib.encoders.timm_models import to_corners
from fsslib.encoders.weights import load_weights
from fsslib.training.checkpoint import restore_checkpoint, save_checkpoint, save_model
from fsslib.training.trained_model import load_model
from fsslib.training.trainer import Trainer
from tests.support.helpers import one_line
from tests.support.toy import CPU, differing, make_batches, settings, state_of

CNN, VIT = "timm:test_resnet", "timm:test_vit"


@pytest.mark.parametrize("name", [CNN, VIT, "timm:test_convnext", "timm:test_efficientnet"])
def test_features_have_the_shape_that_is_told_without_building(name):
    channels, stride = feature_shape(name)
    encoder = build_encoder(name)
    for height, width in ((64, 96), (75, 50)):
        with torch.no_grad():
            found = encoder(torch.randn(1, 3, height, width))
        shape = (math.ceil(height / stride), math.ceil(width / stride))
        assert found.shape == (1, channels, *shape)
    assert (encoder.channels, encoder.stride) == (channels, stride)
    assert stride <= 16


def test_a_stride_can_be_chosen_and_others_are_refused():
    assert feature_shape("timm:test_resnet@4")[1] == 4
    assert feature_shape("timm:test_resnet@32")[1] == 32
    message = one_line(feature_shape, "timm:test_resnet@5")
    assert message.startswith("backbone: timm:test_resnet@5 has no features of stride 5, only of ")


@pytest.mark.parametrize(
    ("name", "said"),
    [("timm:no_such_net", "has no model 'no_such_net'"), ("timm:test_mlp", "test_mlp")],
)
def test_models_that_are_none_are_refused(name, said):
    assert said in one_line(build_encoder, name)


def test_names():
    assert is_backbone("timm:vit_small_patch14_dinov2.lvd142m")
    assert is_backbone("timm:convnext_tiny@8")
    assert not any(is_backbone(n) for n in ("timm:", "timm:a/../b", "timm:a@0", "timm:a@", "vgg16"))


def test_dinov2_takes_any_size():
    encoder = build_encoder("timm:vit_small_patch14_dinov2")
    load_weights(encoder, "random", seed=1)
    encode = make_encode(encoder, CPU, "float32")
    image = np.random.default_rng(0).integers(0, 256, (57, 80, 3), dtype=np.uint8)
    assert encode(image).shape == (384, 5, 6)
    assert torch.isfinite(encode(image)).all()


def test_corners_grid_of_patches_is_that_of_pixels():
    """A ramp that patches average is, on the corners' grid, the ramp that pixels give there."""
    height, width, patch = 40, 64, 8
    ramp = torch.arange(width).float().expand(1, 1, height, width)
    patches = nn.functional.avg_pool2d(ramp, patch)
    found = to_corners(patches, height, width)
    wanted = interpolate(ramp, found.shape[-2:], mode="bilinear", align_corners=True)
    inner = slice(1, -1)  # beyond the outer patch centres the nearest holds
    assert torch.allclose(found[..., inner], wanted[..., inner], atol=1e-4)
    assert not torch.allclose(patches[..., inner], wanted[..., inner], atol=0.1)


def test_images_are_normalised_to_the_models_own_statistics():
    encoder = build_encoder(VIT)
    seen = []
    encoder.body.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    image = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        encoder(normalise(image))
    mean, std = (
        torch.tensor(encoder.body.pretrained_cfg[k]).view(3, 1, 1) for k in ("mean", "std")
    )
    assert torch.allclose(seen[0], (image / 255 - mean) / std, atol=1e-5)


def test_batch_norm_stays_frozen_and_layer_norm_is_trained():
    cnn = build_encoder(CNN).train()
    norms = [m for m in cnn.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms
    assert not any(m.training or m.weight.requires_grad for m in norms)
    vit = build_encoder(VIT)
    trained = {id(parameter) for parameter in vit.trained_parameters()}
    norms = [m for m in vit.modules() if isinstance(m, nn.LayerNorm)]
    assert any(id(m.weight) in trained for m in norms if m.weight is not None)


def test_what_no_feature_depends_on_is_not_trained():
    vit = build_encoder(VIT)
    names = {id(parameter): name for name, parameter in vit.named_parameters()}
    trained = {names[id(parameter)] for parameter in vit.trained_parameters()}
    assert trained
    vit(torch.rand(2, 3, 48, 64)).square().sum().backward()
    for name, parameter in vit.named_parameters():
        assert (parameter.grad is not None) == (name in trained), name


@pytest.mark.parametrize("name", [CNN, VIT])
def test_random_weights_are_a_function_of_the_seed_alone(name):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    states = []
    encoder = build_encoder(name)
    torch.manual_seed(3)
    for seed in (0, 0, 1):
        load_weights(encoder, "random", seed)
        states.append({k: v.clone() for k, v in encoder.state_dict().items()})
    assert torch.equal(torch.rand(2), expected)
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[0])
    assert any(not torch.equal(states[0][k], states[2][k]) for k in states[0])


@pytest.mark.parametrize("name", [CNN, VIT, "timm:test_convnext"])
def test_files_with_timms_own_names_load(name, tmp_path):
    torch.manual_seed(0)
    whole = timm.create_model(name.removeprefix("timm:"), num_classes=7)
    torch.save(whole.state_dict(), tmp_path / "w.pth")
    encoder = build_encoder(name)
    load_weights(encoder, tmp_path / "w.pth")
    again = build_encoder(name)
    torch.save(encoder.state_dict(), tmp_path / "own.pth")
    load_weights(again, tmp_path / "own.pth")
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(encoder(image), again(image))
    published = whole.state_dict()
    for key, value in encoder.state_dict().items():
        assert torch.equal(value, published[encoder.published_name(key)]), key


def test_a_file_of_another_model_is_refused(tmp_path):
    torch.save(timm.create_model("test_resnet").state_dict(), tmp_path / "w.pth")
    message = one_line(load_weights, build_encoder(VIT), tmp_path / "w.pth")
    assert "lacks body." in message
    assert message.endswith("set 'weights' to a .pth or .safetensors file of this backbone")


def test_a_download_that_fails_is_one_line_with_the_way_out(monkeypatch):
    encoder = build_encoder(CNN)

    def broken(name, **options):
        raise OSError("no route to host\nand more")

    monkeypatch.setattr(timm, "create_model", broken)
    message = one_line(load_weights, encoder, "imagenet")
    assert message == (
        "weights: imagenet: timm's weights of test_resnet could not be downloaded (no route to "
        "host): set 'weights' to a .pth or .safetensors file of this backbone"
    )


@pytest.mark.parametrize("name", [CNN, VIT])
def test_training_resumes_bit_for_bit_and_its_model_loads(name, discs, tmp_path):
    batches = make_batches(discs, steps=4)

    def fresh():
        encoder = build_encoder(name)
        load_weights(encoder, "random", seed=0)
        return Trainer(encoder, 4, settings(lr=0.001, head_lr=0.002, iterations=4), CPU)

    whole, first, second = fresh(), fresh(), fresh()
    before = state_of(whole)
    rows = [whole.step(batches[i]) for i in range(3)]
    history = [first.step(batches[i]) for i in range(2)]
    save_checkpoint(first, history, tmp_path / "c")
    assert restore_checkpoint(second, tmp_path / "c") == rows[:2]
    assert second.step(batches[2]) == rows[2]
    assert differing(state_of(whole), state_of(second)) == []
    after = state_of(whole)
    assert any(k.startswith("online.") and not torch.equal(before[k], after[k]) for k in before)
    save_model(whole, tmp_path / "model.safetensors", {})
    loaded = load_model(tmp_path / "model.safetensors", ema=False).encoder
    image = torch.randn(1, 3, 48, 48)
    with torch.no_grad():
        expected = whole.encoder.eval()(image)  # of another memory layout
        assert torch.allclose(loaded(image), expected, atol=1e-4)
