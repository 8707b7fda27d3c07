"""Training state and trained models as safetensors: no pickle, shapes and names checked."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from fsslib.encoder import BACKBONES, Encoder
from fsslib.errors import FsslibError
from fsslib.storage import atomic_path
from fsslib.training.trainer import Row, Trainer

KIND, VERSION = "model", 1
REMEDY, CHECKPOINT_REMEDY = "run the stage 'train' again", "delete it"


def save_checkpoint(trainer: Trainer, history: list[Row], path: Path) -> None:
    """Write everything that the next step depends on, and the curves so far, atomically."""
    tensors = {**_named(trainer.encoder, "online."), **_named(trainer.average.model, "average.")}
    if trainer.head is not None:
        tensors |= _named(trainer.head, "head.")
    for number, parameter in enumerate(_parameters(trainer)):
        buffer = trainer.optimizer.state[parameter].get("momentum_buffer")
        if buffer is not None:  # none before the first step, nor at momentum 0
            tensors[f"momentum.{number}"] = buffer
    tensors |= {"memory.sum": trainer.memory.sum, "memory.weight": trainer.memory.weight}
    _save(path, tensors, {"kind": "checkpoint", "step": trainer.step_number, "history": history})


def restore_checkpoint(trainer: Trainer, path: Path) -> list[Row]:
    """Bring a fresh trainer to the state that `save_checkpoint` wrote; returns the curves."""
    tensors, head = _load(path, "checkpoint", CHECKPOINT_REMEDY)
    _restore(trainer.encoder, tensors, "online.", path, CHECKPOINT_REMEDY)
    _restore(trainer.average.model, tensors, "average.", path, CHECKPOINT_REMEDY)
    if trainer.head is not None:
        _restore(trainer.head, tensors, "head.", path, CHECKPOINT_REMEDY)
    trainer.step_number = int(_about(head, "step", path, CHECKPOINT_REMEDY))
    if trainer.settings.momentum > 0 and trainer.step_number > 0:
        for number, parameter in enumerate(_parameters(trainer)):
            buffer = _take(tensors, f"momentum.{number}", parameter, path, CHECKPOINT_REMEDY)
            # Strides decide the order of sums: a contiguous copy would not resume bit for bit.
            kept = torch.empty_like(parameter).copy_(buffer)
            trainer.optimizer.state[parameter]["momentum_buffer"] = kept
    memory = trainer.memory
    memory.sum = _take(tensors, "memory.sum", memory.sum, path, CHECKPOINT_REMEDY)
    memory.weight = _take(tensors, "memory.weight", memory.weight, path, CHECKPOINT_REMEDY)
    history: list[Row] = _about(head, "history", path, CHECKPOINT_REMEDY)
    return history


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


def save_model(trainer: Trainer, path: Path, about: Mapping[str, Any]) -> None:
    """Write both encoders, the head and the global background prototype with what made them."""
    tensors = {**_named(trainer.encoder, "online."), **_named(trainer.average.model, "average.")}
    if trainer.head is not None:
        tensors |= _named(trainer.head, "head.")
    background = trainer.memory.value()
    if background is not None:
        tensors["background"] = background
    head = {"kind": KIND, "version": VERSION, "backbone": trainer.encoder.backbone}
    _save(path, tensors, {**head, "about": dict(about)})


def load_model(path: Path, ema: bool) -> TrainedModel:
    """Read a model; never unpickles.

    Args:
        path: file that `save_model` wrote.
        ema: take the averaged encoder instead of the last one.

    Raises:
        FsslibError: missing, damaged, foreign or older file, or weights of another shape.
    """
    tensors, head = _load(path, KIND, REMEDY)
    backbone = _about(head, "backbone", path, REMEDY)
    if backbone not in BACKBONES:
        raise FsslibError(f"{path} is of the unknown backbone {backbone!r}: {REMEDY}")
    encoder = Encoder(backbone)
    _restore(encoder, tensors, "average." if ema else "online.", path, REMEDY)
    auxiliary = {k.removeprefix("head."): v for k, v in tensors.items() if k.startswith("head.")}
    about = _about(head, "about", path, REMEDY)
    return TrainedModel(encoder, tensors.get("background"), auxiliary, about)


def _parameters(trainer: Trainer) -> list[Tensor]:
    """Everything that is optimised, in the optimiser's order."""
    return [p for group in trainer.optimizer.param_groups for p in group["params"]]


def _named(module: nn.Module, prefix: str) -> dict[str, Tensor]:
    state = module.state_dict()
    return {prefix + k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}


def _save(path: Path, tensors: Mapping[str, Tensor], head: Mapping[str, Any]) -> None:
    plain = {k: v.detach().cpu().contiguous() for k, v in sorted(tensors.items())}
    with atomic_path(path) as temporary:
        save_file(plain, temporary, metadata={"fsslib": json.dumps(head, sort_keys=True)})


def _load(path: Path, kind: str, remedy: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    if not path.is_file():
        raise FsslibError(f"{path} does not exist: {remedy}")
    try:
        with safe_open(path, "pt") as file:
            head = json.loads((file.metadata() or {}).get("fsslib", "{}"))
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise FsslibError(f"{path} is damaged ({error}): {remedy}") from None
    if not isinstance(head, dict):
        raise FsslibError(f"{path} is damaged (its header is no mapping): {remedy}")
    if head.get("kind") != kind:
        raise FsslibError(f"{path} holds {head.get('kind')!r}, expected {kind!r}: {remedy}")
    if head.get("version", VERSION) != VERSION:
        found = head["version"]
        raise FsslibError(f"{path} has layout {found}, this code reads {VERSION}: {remedy}")
    return tensors, head


def _restore(
    module: nn.Module, tensors: Mapping[str, Tensor], prefix: str, path: Path, remedy: str
) -> None:
    own = {k: v for k, v in module.state_dict().items() if not k.endswith("num_batches_tracked")}
    found = {k: _take(tensors, prefix + k, v, path, remedy) for k, v in own.items()}
    module.load_state_dict(found, strict=False)


def _take(tensors: Mapping[str, Tensor], key: str, like: Tensor, path: Path, remedy: str) -> Tensor:
    found = tensors.get(key)
    if found is None or found.shape != like.shape:
        shape = None if found is None else tuple(found.shape)
        raise FsslibError(
            f"{path} has {key} of shape {shape}, expected {tuple(like.shape)}: {remedy}"
        )
    return found


def _about(head: Mapping[str, Any], key: str, path: Path, remedy: str) -> Any:  # noqa: ANN401
    if key not in head:
        raise FsslibError(f"{path} does not say its {key}: {remedy}")
    return head[key]
