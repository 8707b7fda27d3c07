"""What training leaves for evaluation, read back."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from fsslib.encoder import BACKBONES, Encoder
from fsslib.errors import FsslibError
from fsslib.tensor_files import header_value, load_tensors, restore_module

KIND = "model"
REMEDY = "run the stage 'train' again"


@dataclass(frozen=True)
class TrainedModel:
    """What training leaves for evaluation.

    Attributes:
        encoder: the weight average (`ema`) or the last weights.
        background: (C,) float32 global background prototype (eq. 6), or None (m = 1).
        head: the auxiliary head's state, empty for a baseline.
        about: backbone, K + 1 and the settings that made it.
    """

    encoder: Encoder
    background: Tensor | None
    head: Mapping[str, Tensor]
    about: Mapping[str, Any]


def load_model(path: Path, ema: bool) -> TrainedModel:
    """Read a model; never unpickles.

    Args:
        path: file that `save_model` wrote.
        ema: take the averaged encoder instead of the last one.

    Raises:
        FsslibError: missing, damaged, foreign or older file, or weights of another shape.
    """
    tensors, head = load_tensors(path, KIND, REMEDY)
    backbone = header_value(head, "backbone", path, REMEDY)
    if backbone not in BACKBONES:
        raise FsslibError(f"{path} is of the unknown backbone {backbone!r}: {REMEDY}")
    encoder = Encoder(backbone)
    restore_module(encoder, tensors, "average." if ema else "online.", path, REMEDY)
    auxiliary = {k.removeprefix("head."): v for k, v in tensors.items() if k.startswith("head.")}
    about = header_value(head, "about", path, REMEDY)
    return TrainedModel(encoder, tensors.get("background"), auxiliary, about)
