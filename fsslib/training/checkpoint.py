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

from fsslib.encoder import Encoder
from fsslib.errors import FsslibError
from fsslib.storage import atomic_path
from fsslib.training.trainer import Row, Trainer

KIND, VERSION = "model", 1


def save_checkpoint(trainer: Trainer, history: list[Row], path: Path) -> None:
    """Write everything that the next step depends on, and the curves so far, atomically."""
    tensors = {**_named(trainer.encoder, "online."), **_named(trainer.average.model, "average.")}
    if trainer.head is not None:
        tensors |= _named(trainer.head, "head.")
    for number, state in enumerate(trainer.optimizer.state.values()):
        tensors[f"momentum.{number}"] = state["momentum_buffer"]
    tensors |= {"memory.sum": trainer.memory.sum, "memory.weight": trainer.memory.weight}
    _save(path, tensors, {"kind": "checkpoint", "step": trainer.step_number, "history": history})


def restore_checkpoint(trainer: Trainer, path: Path) -> list[Row]:
    """Bring a fresh trainer to the state that `save_checkpoint` wrote; returns the curves."""
    tensors, head = _load(path, "checkpoint", "delete it")
    _restore(trainer.encoder, tensors, "online.", path)
    _restore(trainer.average.model, tensors, "average.", path)
    if trainer.head is not None:
        _restore(trainer.head, tensors, "head.", path)
    parameters = [p for group in trainer.optimizer.param_groups for p in group["params"]]
    for number, parameter in enumerate(parameters):
        buffer = tensors[f"momentum.{number}"].to(parameter)
        # Strides decide the order of sums: a contiguous copy would not resume bit for bit.
        kept = torch.empty_like(parameter).copy_(buffer)
        trainer.optimizer.state[parameter]["momentum_buffer"] = kept
    trainer.memory.sum, trainer.memory.weight = tensors["memory.sum"], tensors["memory.weight"]
    trainer.step_number = int(head["step"])
    history: list[Row] = head["history"]
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
    tensors, head = _load(path, KIND, "run the stage 'train' again")
    encoder = Encoder(head["backbone"])
    _restore(encoder, tensors, "average." if ema else "online.", path)
    auxiliary = {k.removeprefix("head."): v for k, v in tensors.items() if k.startswith("head.")}
    return TrainedModel(encoder, tensors.get("background"), auxiliary, head["about"])


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
    if head.get("kind") != kind:
        raise FsslibError(f"{path} holds {head.get('kind')!r}, expected {kind!r}: {remedy}")
    if head.get("version", VERSION) != VERSION:
        found = head["version"]
        raise FsslibError(f"{path} has layout {found}, this code reads {VERSION}: {remedy}")
    return tensors, head


def _restore(module: nn.Module, tensors: Mapping[str, Tensor], prefix: str, path: Path) -> None:
    own = {k: v for k, v in module.state_dict().items() if not k.endswith("num_batches_tracked")}
    for key, value in own.items():
        found = tensors.get(prefix + key)
        if found is None or found.shape != value.shape:
            shape = None if found is None else tuple(found.shape)
            raise FsslibError(
                f"{path} has {prefix}{key} of shape {shape}, expected {tuple(value.shape)}: "
                "run the stage 'train' again"
            )
    module.load_state_dict({k: tensors[prefix + k] for k in own}, strict=False)
