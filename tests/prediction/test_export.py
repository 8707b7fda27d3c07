"""ONNX: what PyTorch gives, at any size; without the packages one line says what to install."""

import importlib
import importlib.util

import numpy as np
import pytest
import torch
from timm.layers.conv2d_same import Conv2dSame

from fsslib.encoders.base import normalise
from fsslib.encoders.build import build_encoder
from fsslib.encoders.resnet import ResNet
from fsslib.encoders.weights import load_weights
from fsslib.prediction import export
from fsslib.prediction.export import NEEDED, TOLERANCE, check_packages, export_encoder
from fsslib.prediction.export_padding import with_open_padding
from tests.support.helpers import one_line

MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]
needs_onnx = pytest.mark.skipif(
    bool(MISSING), reason=f"no {', '.join(MISSING)}: pip install 'fsslib[onnx]'"
)


def random_encoder():
    encoder = ResNet("resnet18")
    load_weights(encoder, "random")
    return encoder


def test_a_missing_package_is_told_with_what_to_install(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    assert "needs the package onnx: pip install 'fsslib[onnx]'" in one_line(check_packages)


@pytest.mark.slow
@needs_onnx
def test_the_file_gives_what_pytorch_gives_at_any_batch_and_size(tmp_path, monkeypatch):
    import onnxruntime

    encoder, path = random_encoder(), tmp_path / "encoder.onnx"
    background = torch.arange(256.0) / 7
    worst = export_encoder(encoder, path, background)
    assert worst <= 1e-4
    assert [p.name for p in tmp_path.iterdir()] == ["encoder.onnx"]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    facts = session.get_modelmeta().custom_metadata_map
    assert (facts["backbone"], facts["stride"], facts["channels"]) == ("resnet18", "8", "256")
    kept = torch.tensor([float(v) for v in facts["background"].split()])
    assert torch.equal(kept, background)
    images = np.random.default_rng(1).integers(0, 256, (3, 3, 37, 90)).astype(np.float32)
    (found,) = session.run(["features"], {"images": images})
    with torch.inference_mode():
        expected = encoder(normalise(torch.from_numpy(images))).numpy()
    assert found.shape == (3, 256, 5, 12)
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
    former = path.read_bytes()
    monkeypatch.setattr(export, "TOLERANCE", 0.0)
    assert "differs from PyTorch" in one_line(export_encoder, encoder, path)
    assert path.read_bytes() == former


def test_padding_by_size_gives_what_timm_gives():
    convolutions = torch.nn.Sequential(
        Conv2dSame(3, 4, 3, stride=2), Conv2dSame(4, 6, 5, stride=2, groups=2, dilation=2)
    )
    opened = with_open_padding(convolutions)
    assert not any(isinstance(m, Conv2dSame) for m in opened)
    for height, width in ((16, 16), (17, 30), (31, 8)):
        images = torch.rand(2, 3, height, width)
        assert torch.equal(opened(images), convolutions(images))
    assert isinstance(convolutions[0], Conv2dSame)


@pytest.mark.slow
@needs_onnx
def test_the_installed_encoder_gives_what_pytorch_gives(tmp_path):
    encoder = build_encoder("timm:tf_efficientnet_lite0")
    load_weights(encoder, "installed")
    assert export_encoder(encoder, tmp_path / "encoder.onnx") <= TOLERANCE
