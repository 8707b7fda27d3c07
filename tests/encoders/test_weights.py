"""Initial weights: whole or refused, never run as code, never loaded in part."""

import os
import pickle
import urllib.error

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from fsslib.encoders.resnet import ResNet
from fsslib.encoders.weights import load_weights
from tests.support.helpers import one_line

KEY = "layer3.1.conv2.weight"


def state_of(backbone="resnet18"):
    """A state dict as torchvision publishes them; of layer4 and fc only a stand-in."""
    generator = torch.Generator().manual_seed(3)
    state = ResNet(backbone).state_dict() | {"layer4.0.w": torch.zeros(2), "fc": torch.zeros(2)}
    return {
        k: torch.rand(v.shape, generator=generator) if v.is_floating_point() else v
        for k, v in state.items()
    }


@pytest.fixture(scope="module")
def state():
    return state_of()


@pytest.fixture
def encoder():
    return ResNet("resnet18")


def snapshot(encoder):
    return {k: v.clone() for k, v in encoder.state_dict().items()}


def refused(encoder, source):
    """The message; also checks that it names the param, the remedy, and that nothing changed."""
    before = snapshot(encoder)
    message = one_line(load_weights, encoder, source)
    assert message.startswith("weights: ")
    assert message.endswith("set 'weights' to a .pth or .safetensors file of this backbone")
    after = encoder.state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before)
    return message


def assert_filled(encoder, state):
    for key, value in encoder.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            assert torch.equal(value, state[key].float()), key


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"epoch": 9, "state_dict": s}])
def test_pth_loads_whole_and_ignores_layer4_and_fc(encoder, state, tmp_path, wrap):
    torch.save(wrap(state), tmp_path / "a.pth")
    load_weights(encoder, tmp_path / "a.pth")
    assert_filled(encoder, state)


def test_safetensors_of_half_precision_loads_as_float32(encoder, state, tmp_path):
    half = {k: v.half() for k, v in state.items() if not k.startswith(("layer4", "fc"))}
    save_file(half, tmp_path / "a.safetensors")
    load_weights(encoder, str(tmp_path / "a.safetensors"))
    assert_filled(encoder, half)
    assert encoder.conv1.weight.dtype == torch.float32


def test_counters_of_batch_norm_are_not_needed(encoder, state, tmp_path):
    torch.save({k: v for k, v in state.items() if "tracked" not in k}, tmp_path / "a.pth")
    load_weights(encoder, tmp_path / "a.pth")
    assert_filled(encoder, state)


def test_random_follows_the_seed_alone():
    first, second, other = (ResNet("resnet18") for _ in range(3))
    load_weights(first, "random", seed=1)
    torch.manual_seed(99)
    load_weights(second, "random", seed=1)
    load_weights(other, "random", seed=2)
    assert torch.equal(first.layer2[0].conv1.weight, second.layer2[0].conv1.weight)
    assert not torch.equal(first.layer2[0].conv1.weight, other.layer2[0].conv1.weight)


class PublishedWeights:
    """Stands in for torchvision's enum member."""

    def __init__(self, result):
        self.result, self.asked = result, None

    def get_state_dict(self, **options):
        self.asked = options
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def publish(monkeypatch, result):
    published = PublishedWeights(result)
    monkeypatch.setattr(
        torchvision.models, "get_model_weights", lambda name: {"IMAGENET1K_V1": published}
    )
    return published


def test_imagenet_loads_torchvisions_weights_with_their_hash_checked(encoder, state, monkeypatch):
    published = publish(monkeypatch, state)
    load_weights(encoder, "imagenet")
    assert_filled(encoder, state)
    assert published.asked["check_hash"] is True


@pytest.mark.parametrize("backbone", ["resnet18", "resnet34", "resnet50", "resnet101"])
def test_torchvision_publishes_the_weights_that_imagenet_names(backbone):
    assert "IMAGENET1K_V1" in torchvision.models.get_model_weights(backbone).__members__


def test_offline_imagenet_is_one_line_and_leaves_no_file(encoder, monkeypatch, tmp_path):
    def offline(*args, **kwargs):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "urlopen", offline)
    message = refused(encoder, "imagenet")
    assert "imagenet could not be downloaded (<urlopen error no route to host>)" in message
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError('invalid hash value (expected "f37072fd", got "00000000")'),
        ConnectionResetError(104, "reset"),
        pickle.UnpicklingError("a damaged file in the cache"),
        RuntimeError("first line\nsecond line"),
    ],
)
def test_bad_download_is_one_line(encoder, monkeypatch, error):
    publish(monkeypatch, error)
    assert "could not be downloaded" in refused(encoder, "imagenet")


def test_imagenet_has_no_deep_stem():
    with torch.device("meta"):
        encoder = ResNet("resnet50s")
    message = one_line(load_weights, encoder, "imagenet")
    assert message.startswith("weights: imagenet has no resnet50s")


def test_missing_keys_are_named_and_counted(encoder, state, tmp_path):
    part = {k: v for k, v in state.items() if not k.startswith("layer3")}
    torch.save(part, tmp_path / "a.pth")
    lacking = [k for k in encoder.state_dict() if k.startswith("layer3") and "tracked" not in k]
    message = refused(encoder, tmp_path / "a.pth")
    assert f"lacks {', '.join(lacking[:4])} and {len(lacking) - 4} more of resnet18" in message


def test_one_missing_statistic_is_refused(encoder, state, tmp_path):
    torch.save({k: v for k, v in state.items() if k != "bn1.running_var"}, tmp_path / "a.pth")
    assert "lacks bn1.running_var of resnet18" in refused(encoder, tmp_path / "a.pth")


def test_prefixed_keys_of_another_library_are_refused(encoder, state, tmp_path):
    torch.save({f"module.{k}": v for k, v in state.items()}, tmp_path / "a.pth")
    assert "lacks conv1.weight" in refused(encoder, tmp_path / "a.pth")


def test_wrong_shape_names_key_and_both_shapes(encoder, state, tmp_path):
    torch.save({**state, KEY: torch.zeros(256, 256, 1, 1)}, tmp_path / "a.pth")
    message = refused(encoder, tmp_path / "a.pth")
    assert f"{KEY} of shape (256, 256, 1, 1), resnet18 needs (256, 256, 3, 3)" in message


def test_weights_of_another_backbone_are_refused(encoder, tmp_path):
    torch.save(state_of("resnet50"), tmp_path / "a.pth")
    assert "resnet18" in refused(encoder, tmp_path / "a.pth")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(encoder, state, tmp_path, value):
    bad = state[KEY].clone()
    bad[3, 5, 1, 1] = value
    torch.save({**state, KEY: bad}, tmp_path / "a.pth")
    assert f"values in {KEY} that are not finite" in refused(encoder, tmp_path / "a.pth")


class Code:
    """Pickles to a call that makes a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("write", [torch.save, lambda o, p: p.write_bytes(pickle.dumps(o))])
def test_a_pickle_with_code_is_refused_and_not_run(encoder, state, tmp_path, write):
    path, made = tmp_path / "a.pth", tmp_path / "made"
    write({**state, "extra": Code(made)}, path)
    assert "is not a state dict" in refused(encoder, path)
    assert not made.exists()


BYTES = {
    "empty.pth": b"",
    "text.pth": b"<!DOCTYPE html><title>404</title>",
    "pop.pth": b"0.",
    "memo.pth": b"\x80\x02h\x05.",
    "list.pth": pickle.dumps([1, 2]),
    "zip.pth": b"PK\x03\x04" + bytes(200),
    "garbage.safetensors": b"\x93garbage" * 40,
    "empty.safetensors": b"",
    "huge header.safetensors": (1 << 60).to_bytes(8, "little") + b"{}",
}


@pytest.mark.parametrize("name", BYTES)
def test_foreign_bytes_are_one_line_that_names_the_file(encoder, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(BYTES[name])
    assert str(path) in refused(encoder, path)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("share", [0.001, 0.5, 0.99999])
def test_a_truncated_file_is_one_line_that_names_it(encoder, state, tmp_path, suffix, share):
    path = tmp_path / f"a{suffix}"
    (torch.save if suffix == ".pth" else save_file)(state, path)
    os.truncate(path, int(path.stat().st_size * share))
    assert f"{path} is not a state dict" in refused(encoder, path)


@pytest.mark.parametrize("content", [{"model": {"a": torch.zeros(1)}}, [torch.zeros(1)], 3])
def test_what_is_no_dict_of_tensors_is_refused(encoder, tmp_path, content):
    torch.save(content, tmp_path / "a.pth")
    assert "holds no state dict of tensors" in refused(encoder, tmp_path / "a.pth")


def test_absent_file_and_folder_are_refused(encoder, tmp_path):
    for path in (tmp_path / "absent.pth", tmp_path):
        assert f"{path} does not exist" in refused(encoder, path)
