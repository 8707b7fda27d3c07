"""The encoder as ONNX, checked against PyTorch, so that prediction can run elsewhere."""

import contextlib
import importlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from fsslib.encoders.base import MEAN, STD, Encoder
from fsslib.errors import FsslibError
from fsslib.files.storage import atomic_path
from fsslib.prediction.export_padding import with_open_padding
from fsslib.prediction.learned import encoder_digest

NEEDED = ("onnx", "onnxruntime", "onnxscript")
INSTALL = "pip install 'fsslib[onnx]'"
OPSET = 18
TOLERANCE = 5e-4
"""Of the largest feature value: what ONNX Runtime may differ from PyTorch by."""

TRACED = (2, 65, 97)
"""Batch, height and width that the graph is traced with: no stride divides these sizes, so that the
scaling to a multiple of the stride, which a timm encoder does, is part of the graph."""

SIZES = ((1, 96, 128), (2, 65, 51), (1, 375, 500))
"""Batch, height and width that the check encodes: other ones than the graph was traced with."""


class PhotographEncoder(nn.Module):
    """The encoder with ImageNet's normalisation in front, so that it takes plain photographs."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        # Not `normalise`: what that keeps between calls would be kept from the exporter's trace.
        for name, values in (("mean", MEAN), ("deviation", STD)):
            self.register_buffer(name, 255 * torch.tensor(values).view(3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) float32, RGB of 0 to 255 -> (B, C, ceil(H/stride), ceil(W/stride))."""
        feature: Tensor = self.encoder((images - self.mean) / self.deviation)
        return feature


def check_packages() -> None:
    """Raise an `FsslibError` that says what to install when a package is missing."""
    for name in NEEDED:
        try:
            importlib.import_module(name)
        except ImportError:
            raise FsslibError(f"export needs the package {name}: {INSTALL}") from None


def export_encoder(
    encoder: Encoder,
    path: Path,
    background: Tensor | None = None,
    sizes: Sequence[tuple[int, int, int]] = SIZES,
) -> float:
    """Write the encoder with dynamic batch, height and width, after checking it.

    The metadata hold backbone, stride, channels, the hash of the weights, and the global background
    prototype where there is one.

    Args:
        encoder: to write.
        path: of the ONNX file; kept as it was when the check fails.
        background: (C,) float32 global background prototype.
        sizes: batch, height and width of what is encoded for the check.

    Returns:
        Largest difference to PyTorch, relative to the largest feature value.

    Raises:
        FsslibError: a package is missing, or the difference is above `TOLERANCE`.
    """
    check_packages()
    module = PhotographEncoder(encoder).eval()
    with atomic_path(path) as temporary:
        _write(with_open_padding(module), temporary, _metadata(encoder, background))
        worst = largest_difference(module, temporary, sizes)
        if not worst <= TOLERANCE:
            raise FsslibError(
                f"{path}: ONNX differs from PyTorch by {worst:.1e}, more than {TOLERANCE:.0e}: "
                "it was not written; report it with the versions of torch and onnx"
            )
    return worst


def _write(module: nn.Module, path: Path, metadata: dict[str, str]) -> None:
    batch_size, *size = TRACED
    batch, height, width = (torch.export.Dim(n, min=1) for n in ("batch", "height", "width"))
    with _silent():
        program = torch.onnx.export(
            module,
            (torch.zeros(batch_size, 3, *size),),
            dynamo=True,
            opset_version=OPSET,
            input_names=["images"],
            output_names=["features"],
            dynamic_shapes=({0: batch, 2: height, 3: width},),
            verbose=False,
        )
    model = program.model_proto  # type: ignore[union-attr]
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())


def _metadata(encoder: Encoder, background: Tensor | None) -> dict[str, str]:
    facts = {
        "backbone": encoder.backbone,
        "stride": str(encoder.stride),
        "channels": str(encoder.channels),
        "encoder": encoder_digest(encoder),
        "input": f"RGB 0 to 255; mean {MEAN} and deviation {STD} are applied inside",
    }
    if background is not None:
        facts["background"] = " ".join(f"{v:.9g}" for v in background.tolist())
    return facts


def largest_difference(
    module: nn.Module, path: Path, sizes: Sequence[tuple[int, int, int]]
) -> float:
    """Encode noise with both; the largest difference relative to the largest feature value."""
    session = importlib.import_module("onnxruntime").InferenceSession(
        path.read_bytes(), providers=["CPUExecutionProvider"]
    )
    rng = np.random.default_rng(0)
    worst = 0.0
    for batch, height, width in sizes:
        images = rng.integers(0, 256, (batch, 3, height, width)).astype(np.float32)
        (found,) = session.run(["features"], {"images": images})
        with torch.inference_mode():
            expected = module(torch.from_numpy(images)).numpy()
        if found.shape != expected.shape:
            raise FsslibError(f"ONNX gives {found.shape} where PyTorch gives {expected.shape}")
        worst = max(worst, float(np.abs(found - expected).max() / np.abs(expected).max()))
    return worst


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """The exporter talks to standard output, warnings and logs about its own inside."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
