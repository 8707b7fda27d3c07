"""Reads the trained model that training leaves for evaluation."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fsslib.encoders.backbones import is_backbone
from fsslib.encoders.base import Encoder
from fsslib.encoders.build import build_encoder
from fsslib.errors import FsslibError
from fsslib.files.tensor_files import (
    check_tensors,
    header_value,
    load_tensors,
    named_tensors,
    restore_module,
)
from fsslib.training.consistency import MAIN_BIAS, ConsistencyHead
from fsslib.training.contrastive import FIRST_WEIGHT, ProjectionHead
from fsslib.training.losses import LAST_BIAS, MiningHead

KIND = "model"
REMEDY = "run the stage 'train' again"


@dataclass(frozen=True)
class TrainedModel:
    """The result of training that evaluation uses.

    Attributes:
        encoder: encoder with averaged weights (`ema`) or with the last weights.
        background: (C,) float32 global background prototype (eq. 6), or None (m = 1).
        head: state of the auxiliary head; empty for a baseline.
        about: backbone, K + 1 and the settings that made the model.
    """

    encoder: Encoder
    background: Tensor | None
    head: Mapping[str, Tensor]
    about: Mapping[str, Any]


def load_model(path: Path, ema: bool) -> TrainedModel:
    """Read a model; nothing is unpickled.

    Args:
        path: file that `save_model` wrote.
        ema: whether to take the averaged encoder instead of the last one.

    Raises:
        FsslibError: the file is missing, damaged, of another kind or of an older version, or a
            tensor is missing, superfluous, of another shape or type, or not finite.
    """
    tensors, head = load_tensors(path, KIND, REMEDY)
    backbone = header_value(head, "backbone", str, path, REMEDY)
    if not is_backbone(backbone):
        raise FsslibError(f"{path} is of the unknown backbone {backbone!r}: {REMEDY}")
    encoder = build_encoder(backbone)
    check_tensors(tensors, _expected(tensors, encoder), path, REMEDY)
    restore_module(encoder, tensors, "average." if ema else "online.")
    auxiliary = {k.removeprefix("head."): v for k, v in tensors.items() if k.startswith("head.")}
    about = header_value(head, "about", dict, path, REMEDY)
    return TrainedModel(encoder, tensors.get("background"), auxiliary, about)


def _expected(tensors: Mapping[str, Tensor], encoder: Encoder) -> dict[str, Tensor]:
    """Return tensors of the shapes a model has; head and background only if the file has them."""
    like = {**named_tensors(encoder, "online."), **named_tensors(encoder, "average.")}
    if any(name.startswith("head.") for name in tensors):
        like |= named_tensors(_head(tensors, encoder.channels), "head.")
    if "background" in tensors:
        like["background"] = torch.zeros(encoder.channels)
    return like


def _head(tensors: Mapping[str, Tensor], channels: int) -> nn.Module:
    """Build the head that a model's tensors belong to, with weights of its own."""
    if f"head.{FIRST_WEIGHT}" in tensors:
        return ProjectionHead(channels, torch.Generator())
    # The file itself gives the number of classes. A head without this tensor is rejected.
    if f"head.{MAIN_BIAS}" in tensors:
        classes = tensors[f"head.{MAIN_BIAS}"].numel()
        return ConsistencyHead(channels, classes, torch.Generator())
    classes = tensors.get(f"head.{LAST_BIAS}", torch.zeros(1)).numel()
    return MiningHead(channels, classes, torch.Generator())
