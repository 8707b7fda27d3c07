"""A batch encoded in chunks gives the gradients of the whole batch; compiled encoders are exact."""

import functools
import shutil

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from fsslib.training.checkpoint import save_model
from fsslib.training.gradient_cache import GradientCache
from tests.support.helpers import one_line
from tests.support.toy import make_batches, make_trainer, state_of


def joint_loss(features):
    """A loss that no sum over chunks gives: every feature is normalised by the batch's own."""
    normal = (features - features.mean(0)) / features.std(0)
    return (normal.square() * torch.linspace(1, 2, normal[0].numel()).view(normal[0].shape)).mean()


def gradients(size, images):
    """Loss, gradients, and the lengths of the batches that were encoded with a graph."""
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Conv2d(4, 2, 3)).double()
    lengths = []

    def encode(chunk):
        if torch.is_grad_enabled():
            lengths.append(len(chunk))
        return encoder(chunk)

    cache = GradientCache(encode, size)
    features = cache.encode(images)
    loss = joint_loss(features)
    cache.backward(loss, images, features)
    return loss.item(), [p.grad for p in encoder.parameters()], lengths


@pytest.mark.parametrize(
    ("size", "expected"),
    [(1, [1] * 7), (2, [2, 2, 2, 1]), (3, [3, 3, 1]), (6, [6, 1]), (7, [7]), (100, [7])],
)
def test_chunks_give_the_gradient_of_the_batch_in_float64(size, expected):
    images = torch.randn(7, 3, 8, 9, generator=torch.Generator().manual_seed(1)).double()
    loss, whole, _ = gradients(None, images)
    found, parts, lengths = gradients(size, images)
    assert found == pytest.approx(loss, rel=1e-13)
    assert lengths == expected
    for a, b in zip(parts, whole, strict=True):
        assert torch.allclose(a, b, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(("micro_images", "shot", "mined"), [(3, 2, True), (1, 1, False)])
def test_a_step_in_chunks_is_the_step_of_the_whole_batch(discs, micro_images, shot, mined):
    """8 images in chunks of 3; gradients are read from the momentum after one step."""
    batch = make_batches(discs, shot=shot, mined=mined)[0]
    classes = 4 if mined else None
    plain = {"background_share": 0.8, "weight_decay": 0.0}
    whole, parts = (make_trainer(classes, micro_images=m, **plain) for m in (None, micro_images))
    assert parts.step(batch) == pytest.approx(whole.step(batch), rel=1e-5)
    expected, found = state_of(whole), state_of(parts)
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert (found[name] - value).abs().max() <= 2e-5 * value.abs().max(), name


def compare_with_plain(discs, tmp_path, **changes):
    """Same losses and weights, and the same names in the file, as without torch.compile."""
    plain, trainer = make_trainer(short=True), make_trainer(short=True, compile=True, **changes)
    batch = make_batches(discs)[0]
    assert trainer.step(batch) == pytest.approx(plain.step(batch), rel=1e-4)
    expected, found = state_of(plain), state_of(trainer)
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert (found[name] - value).abs().max() <= 1e-3 * value.abs().max(), name
    for name, made in (("compiled", trainer), ("plain", plain)):
        save_model(made, tmp_path / name, {})
    assert set(load_file(tmp_path / "compiled")) == set(load_file(tmp_path / "plain"))


def test_a_compiled_encoder_trains_the_same_weights_under_the_same_names(
    discs, tmp_path, monkeypatch
):
    """Traced by torch.compile and run without a compiler."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    compare_with_plain(discs, tmp_path, micro_images=4)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
def test_a_small_encoder_compiles(discs, tmp_path):
    compare_with_plain(discs, tmp_path)


def test_without_a_compiler_there_is_one_line_with_the_remedy(discs, monkeypatch):
    def refuse(graph, examples):
        raise RuntimeError("No working C++ compiler found in a, b\nand more\nlines")

    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=refuse))
    message = one_line(make_trainer(compile=True).step, make_batches(discs)[0])
    assert message == (
        "training.compile: true needs a compiler that works (No working C++ compiler found in a, "
        "b): set training.compile to false, or install one (g++; on a GPU also triton)"
    )
