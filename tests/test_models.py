"""What a path may name: a trained model, its folder, plain weights, or weights without a file."""

import pytest
import torch
from safetensors.torch import save_file

from fsslib.backbones import BACKBONES
from fsslib.encoder import Encoder
from fsslib.models import guess_backbone, open_model
from fsslib.weights import load_weights
from tests.helpers import one_line, save_trained


@pytest.fixture(scope="module")
def weights():
    encoder = Encoder("resnet18")
    load_weights(encoder, "random", 3)
    return encoder


@pytest.mark.parametrize("background", [None, torch.ones(256)])
def test_a_trained_model_or_its_folder(weights, tmp_path, background):
    save_trained(weights, tmp_path / "model.safetensors", background)
    for given in (tmp_path, tmp_path / "model.safetensors", str(tmp_path)):
        model = open_model(given)
        assert model.path == tmp_path / "model.safetensors"
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
        state = Encoder(backbone).state_dict()
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
