"""What a model may be: trained, its folder, plain weights, installed ones, or timm's by name."""

import pytest
import timm
import torch
from safetensors.torch import save_file

from fsslib.encoders.backbones import BACKBONES, DEFAULT_BACKBONE
from fsslib.encoders.resnet import ResNet
from fsslib.encoders.weights import load_weights
from fsslib.prediction.models import guess_backbone, open_model
from tests.support.helpers import one_line, save_trained


@pytest.fixture(scope="module")
def weights():
    encoder = ResNet("resnet18")
    load_weights(encoder, "random", 3)
    return encoder


@pytest.mark.parametrize("background", [None, torch.ones(256)])
def test_a_trained_model_or_its_folder(weights, tmp_path, background):
    save_trained(weights, tmp_path / "model.safetensors", background)
    for given in (tmp_path, tmp_path / "model.safetensors", str(tmp_path)):
        model = open_model(given)
        assert model.presence == tmp_path / "model.presence.json"
        assert model.trained_on is None
        assert torch.equal(model.encoder.conv1.weight, weights.conv1.weight)
        assert (model.background is None) == (background is None)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_plain_weights_have_no_background(weights, tmp_path, suffix):
    path = tmp_path / f"w{suffix}"
    state = {k: v.contiguous() for k, v in weights.state_dict().items()}
    torch.save(state, path) if suffix == ".pth" else save_file(state, path)
    model = open_model(path)
    assert model.encoder.backbone == "resnet18"
    assert model.background is None
    assert torch.equal(model.encoder.conv1.weight, weights.conv1.weight)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_backbone_is_told_by_the_names(tmp_path, backbone):
    with torch.device("meta"):
        state = ResNet(backbone).state_dict()
    empty = {k: torch.zeros(1) for k in state}
    save_file(empty, tmp_path / "w.safetensors")
    torch.save({"state_dict": empty}, tmp_path / "w.pth")
    assert guess_backbone(tmp_path / "w.safetensors") == backbone
    assert guess_backbone(tmp_path / "w.pth") == backbone


def test_what_is_no_model_is_told_in_one_line(tmp_path):
    assert "run 'dvc repro'" in one_line(open_model, tmp_path)
    assert "does not exist" in one_line(open_model, tmp_path / "none.pth")
    for name in ("a.pth", "a.safetensors"):
        (tmp_path / name).write_bytes(b"no weights")
        assert "is not a state dict" in one_line(open_model, tmp_path / name)


def test_without_a_name_it_is_the_installed_encoder_with_its_calibration():
    model = open_model()
    assert model.encoder.backbone == DEFAULT_BACKBONE
    assert (model.background, model.trained_on) == (None, None)
    assert model.presence is not None
    assert model.presence.is_file()
    other = open_model("installed", "timm:tf_efficientnet_lite0").encoder
    assert other.backbone == "timm:tf_efficientnet_lite0"


def test_a_model_of_timm_comes_with_its_published_weights(monkeypatch):
    """A fake of the hub: `create_model(pretrained=True)` gives weights of its own."""
    make, asked = timm.create_model, []

    def published(name, pretrained=False, **options):
        asked.append((name, pretrained))
        made = make(name, **options)
        if pretrained:
            torch.nn.init.constant_(next(made.parameters()), 0.5)
        return made

    monkeypatch.setattr(timm, "create_model", published)
    model = open_model("timm:test_vit")
    assert ("test_vit", True) in asked
    assert (next(model.encoder.body.parameters()) == 0.5).all()
    assert model.presence is None


def test_without_network_a_name_of_timm_is_one_line_with_the_ways_out(monkeypatch):
    make = timm.create_model

    def broken(name, pretrained=False, **options):
        if pretrained:
            raise OSError("no route to host")
        return make(name, **options)

    monkeypatch.setattr(timm, "create_model", broken)
    message = one_line(open_model, "timm:test_vit")
    assert "timm's weights of test_vit could not be downloaded (no route to host)" in message
    assert "--model installed" in message
    assert "is no name of timm's" in one_line(open_model, "timm:../vit")
