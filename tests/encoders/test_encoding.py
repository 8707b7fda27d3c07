"""Encoding single photographs, and decoding ahead of the encoder."""

import threading
from contextlib import nullcontext

import numpy as np
import pytest
import torch

from fsslib.data.scaling import scale_photograph
from fsslib.encoders import running as encoding
from fsslib.encoders.base import normalise
from fsslib.encoders.resnet import ResNet
from fsslib.encoders.running import choose_device, choose_precision, make_encode, map_ordered
from tests.support.helpers import one_line

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return ResNet("resnet18")


def photograph(size=(45, 62)):
    return np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)


def test_encode_equals_the_encoder_on_the_normalised_photograph(encoder):
    image = photograph()
    pixels = torch.zeros(1, 3, 45, 62)
    for channel in range(3):
        pixels[0, channel] = torch.from_numpy(image[:, :, channel].astype(np.float32))
    with torch.no_grad():
        expected = encoder(normalise(pixels))[0]
    feature = make_encode(encoder, CPU, "float32")(image)
    assert feature.shape == (256, 6, 8)
    assert feature.dtype == torch.float32
    assert feature.is_contiguous()
    assert torch.allclose(feature, expected, atol=1e-4 * float(expected.abs().max()))


def test_long_side_encodes_the_scaled_photograph_whatever_its_own_size(encoder):
    image = photograph((45, 90))
    for long_side in (40, 120):
        scaled = scale_photograph(image, long_side)
        assert scaled.shape == (long_side // 2, long_side, 3)
        feature = make_encode(encoder, CPU, "float32", long_side)(image)
        assert torch.equal(feature, make_encode(encoder, CPU, "float32")(scaled))


def test_bfloat16_gives_float32_features_close_to_exact_ones(encoder):
    image = photograph()
    exact = make_encode(encoder, CPU, "float32")(image)
    rough = make_encode(encoder, CPU, "bfloat16")(image)
    assert rough.dtype == torch.float32
    assert not torch.equal(rough, exact)
    cosine = torch.cosine_similarity(exact.flatten(1), rough.flatten(1), dim=0)
    assert cosine.min() > 0.99


def test_read_only_photographs_encode_without_a_warning(encoder):
    image = photograph((16, 16))
    image.flags.writeable = False
    assert make_encode(encoder, CPU, "float32")(image).shape == (256, 2, 2)


def test_cuda_without_a_gpu_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    message = one_line(choose_device, "cuda")
    assert message.startswith("runtime.device: cuda")
    assert choose_device("auto") == choose_device("cpu") == CPU


def test_auto_takes_the_gpu_and_cpu_does_not(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("auto").type == choose_device("cuda").type == "cuda"
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto", local=1) == torch.device("cuda", 1)
    assert choose_device("cpu", local=5) == CPU
    message = one_line(choose_device, "auto", 2)
    assert message.startswith("process 3 on this machine has no GPU of its own, found 2: start at")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("flags : fpu avx512_bf16 amx_tile amx_bf16", "bfloat16"),
        ("flags : fpu avx512_bf16", "bfloat16"),
        ("flags : fpu avx2", "float32"),
        ("flags : fpu avx512f avx512bw avx512dq avx512vl", "float32"),  # emulated
        (None, "float32"),
    ],
)
def test_auto_is_bfloat16_on_cpus_that_multiply_it(monkeypatch, tmp_path, text, expected):
    if text is not None:
        (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(encoding, "CPU_FLAGS", tmp_path / "cpuinfo")
    assert choose_precision("auto", CPU) == expected
    assert [choose_precision(p, CPU) for p in ("float32", "bfloat16")] == ["float32", "bfloat16"]


@pytest.mark.parametrize(("has_it", "expected"), [(True, "bfloat16"), (False, "float32")])
def test_auto_asks_the_gpu_for_what_it_does_not_emulate(monkeypatch, has_it, expected):
    def supported(including_emulation):
        return has_it or including_emulation

    monkeypatch.setattr(torch.cuda, "device", nullcontext)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert choose_precision("auto", torch.device("cuda", 1)) == expected


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_map_ordered_keeps_the_order(workers):
    assert list(map_ordered(lambda n: n * n, range(20), workers)) == [n * n for n in range(20)]
    assert list(map_ordered(str, [], workers)) == []


def test_map_ordered_runs_at_most_twice_the_workers_ahead():
    started = []
    results = map_ordered(lambda n: started.append(n) or n, iter(range(100)), 2)
    for taken in range(1, 11):
        next(results)
        assert len(started) <= taken + 4
    results.close()
    assert len(started) < 20


def test_map_ordered_works_in_threads():
    barrier = threading.Barrier(2, timeout=20)

    def meet(number):
        barrier.wait()  # passes only when two items run at the same time
        return number

    assert list(map_ordered(meet, range(4), 2)) == [0, 1, 2, 3]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_surfaces_at_its_item(workers):
    def divide(number):
        return 6 // number

    results = map_ordered(divide, [3, 2, 0, 1], workers)
    assert [next(results), next(results)] == [2, 3]
    with pytest.raises(ZeroDivisionError):
        next(results)
