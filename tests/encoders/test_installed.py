"""ImageNet weights that pip installed: found, checked, and right to the last tensor."""

import hashlib
import re
from pathlib import Path

import pytest
import timm
import torch
from torch.nn.functional import interpolate

import fsslib.encoders.installed
from fsslib.data.images import read_image
from fsslib.encoders.backbones import DEFAULT_BACKBONE
from fsslib.encoders.base import normalise, parameter_count
from fsslib.encoders.build import build_encoder
from fsslib.encoders.installed import INSTALLED, installed_file
from fsslib.encoders.weights import load_weights
from tests.support.fakes import REAL, needs_voc
from tests.support.helpers import one_line

CATS = range(281, 286)
"""ImageNet's five classes of domestic cats."""


def by_name(backbone):
    """timm's whole model, filled by translating the file's names instead of by their order."""
    model = timm.create_model(backbone.removeprefix("timm:"))
    places = [
        f"blocks.{s}.{b}" for s, blocks in enumerate(model.blocks) for b in range(len(blocks))
    ]
    state = {}
    for name, value in torch.load(installed_file(backbone), weights_only=True).items():
        if name.endswith("num_batches_tracked"):
            continue
        found = re.fullmatch(r"_blocks\.(\d+)\._(.+)", name)
        if not found:
            whole = {"conv_stem": "conv_stem", "bn0": "bn1", "conv_head": "conv_head",
                     "bn1": "bn2", "fc": "classifier"}  # fmt: skip
            part, rest = name[1:].split(".", 1)
            state[f"{whole[part]}.{rest}"] = value
            continue
        number, (part, rest) = int(found[1]), found[2].split(".", 1)
        names = {"expand_conv": "conv_pw", "bn0": "bn1", "depthwise_conv": "conv_dw",
                 "bn1": "bn2", "project_conv": "conv_pwl", "bn2": "bn3"}  # fmt: skip
        if number == 0:  # it does not expand
            names |= {"bn1": "bn1", "project_conv": "conv_pw", "bn2": "bn2"}
        state[f"{places[number]}.{names[part]}.{rest}"] = value
    missing = model.load_state_dict(state, strict=False).missing_keys
    assert all(key.endswith("num_batches_tracked") for key in missing)
    return model.eval()


@pytest.mark.parametrize("backbone", INSTALLED)
def test_features_are_those_of_timms_whole_model_filled_by_name(backbone):
    encoder, whole = build_encoder(backbone), by_name(backbone)
    load_weights(encoder, "installed")
    images = torch.randint(0, 256, (2, 3, 96, 128), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        x = whole.bn1(whole.conv_stem(images.float() / 127.5 - 1))
        for stage in whole.blocks[:5]:
            x = stage(x)
        found = encoder(normalise(images))
    assert found.shape == x.shape == (2, encoder.channels, 6, 8)
    assert torch.allclose(found, x, atol=1e-3 * float(x.abs().max()))


@needs_voc
@pytest.mark.parametrize("backbone", INSTALLED)
def test_real_cats_are_cats(backbone):
    """By ImageNet's thousand classes: weights, names, mean and deviation are right together."""
    model, found = by_name(backbone), []
    for name in ("2011_002685", "2010_002900", "2010_002348", "2011_000789", "2007_004856"):
        image = torch.tensor(read_image(REAL / f"voc/JPEGImages/{name}.jpg"))
        pixels = interpolate(image.permute(2, 0, 1)[None].float(), scale_factor=0.7)
        with torch.no_grad():
            found.append(int(model(pixels / 127.5 - 1).argmax()))
    assert sum(number in CATS for number in found) >= 4, found


def test_blocks_after_the_chosen_level_are_not_built():
    counts = {s: parameter_count(build_encoder(f"{DEFAULT_BACKBONE}@{s}")) for s in (8, 16, 32)}
    assert counts[8] < counts[16] < 1_200_000 < counts[32]
    assert parameter_count(build_encoder(DEFAULT_BACKBONE)) == counts[16]
    for stride in counts:
        load_weights(build_encoder(f"{DEFAULT_BACKBONE}@{stride}"), "installed")


def test_every_parameter_that_is_built_is_trained_or_a_frozen_norm():
    encoder = build_encoder(DEFAULT_BACKBONE)
    trained = sum(p.numel() for p in encoder.trained_parameters())
    assert trained == sum(p.numel() for p in encoder.parameters() if p.requires_grad)


def test_a_backbone_without_installed_weights_is_refused():
    message = one_line(load_weights, build_encoder("resnet18"), "installed")
    assert message.startswith("weights: installed holds nothing for resnet18, only for timm:")
    assert "'imagenet'" in message


@pytest.mark.parametrize("spec", [None, ImportError()])
def test_a_missing_package_is_one_line_with_the_command(monkeypatch, spec):
    def find(name):
        if isinstance(spec, Exception):
            raise spec
        return spec

    monkeypatch.setattr(fsslib.encoders.installed, "find_spec", find)
    message = one_line(installed_file, DEFAULT_BACKBONE)
    package = INSTALLED[DEFAULT_BACKBONE].package
    assert f"needs the package {package}: pip install" in message
    assert message.endswith(f"{package}==0.1.0")


def test_a_changed_file_is_one_line_with_the_command(monkeypatch, tmp_path):
    weights = INSTALLED[DEFAULT_BACKBONE]
    path = tmp_path / weights.file
    path.parent.mkdir(parents=True)
    path.write_bytes(b"other weights")
    monkeypatch.setattr(fsslib.encoders.installed, "_inside", lambda weights: path)
    message = one_line(installed_file, DEFAULT_BACKBONE)
    assert hashlib.sha256(b"other weights").hexdigest()[:12] in message
    assert "pip install --force-reinstall" in message
    path.unlink()
    assert "needs the package" in one_line(installed_file, DEFAULT_BACKBONE)


def test_the_packages_are_those_that_the_project_asks_for():
    asked = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    for weights in INSTALLED.values():
        assert f'"{weights.package}==0.1.0"' in asked
