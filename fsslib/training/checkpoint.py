"""Training state, to go on at any step bit for bit, and the trained model, as safetensors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from fsslib.tensor_files import (
    VERSION,
    header_value,
    load_tensors,
    named_tensors,
    restore_module,
    save_tensors,
    take_tensor,
)
from fsslib.trained_model import KIND
from fsslib.training.trainer import Row, Trainer

REMEDY = "delete it"


def save_checkpoint(trainer: Trainer, history: list[Row], path: Path) -> None:
    """Write everything that the next step depends on, and the curves so far, atomically."""
    tensors = {
        **named_tensors(trainer.encoder, "online."),
        **named_tensors(trainer.average.model, "average."),
    }
    if trainer.head is not None:
        tensors |= named_tensors(trainer.head, "head.")
    for number, parameter in enumerate(trainer.parameters()):
        buffer = trainer.optimizer.state[parameter].get("momentum_buffer")
        if buffer is not None:  # none before the first step, nor at momentum 0
            tensors[f"momentum.{number}"] = buffer
    tensors |= {"memory.sum": trainer.memory.sum, "memory.weight": trainer.memory.weight}
    save_tensors(
        path, tensors, {"kind": "checkpoint", "step": trainer.step_number, "history": history}
    )


def restore_checkpoint(trainer: Trainer, path: Path) -> list[Row]:
    """Bring a fresh trainer to the state that `save_checkpoint` wrote; returns the curves."""
    tensors, head = load_tensors(path, "checkpoint", REMEDY)
    restore_module(trainer.encoder, tensors, "online.", path, REMEDY)
    restore_module(trainer.average.model, tensors, "average.", path, REMEDY)
    if trainer.head is not None:
        restore_module(trainer.head, tensors, "head.", path, REMEDY)
    trainer.step_number = int(header_value(head, "step", path, REMEDY))
    if trainer.settings.momentum > 0 and trainer.step_number > 0:
        for number, parameter in enumerate(trainer.parameters()):
            buffer = take_tensor(tensors, f"momentum.{number}", parameter, path, REMEDY)
            # Strides decide the order of sums: a contiguous copy would not resume bit for bit.
            kept = torch.empty_like(parameter).copy_(buffer)
            trainer.optimizer.state[parameter]["momentum_buffer"] = kept
    memory = trainer.memory
    memory.sum = take_tensor(tensors, "memory.sum", memory.sum, path, REMEDY)
    memory.weight = take_tensor(tensors, "memory.weight", memory.weight, path, REMEDY)
    history: list[Row] = header_value(head, "history", path, REMEDY)
    return history


def save_model(trainer: Trainer, path: Path, about: Mapping[str, Any]) -> None:
    """Write both encoders, the head and the global background prototype with what made them."""
    tensors = {
        **named_tensors(trainer.encoder, "online."),
        **named_tensors(trainer.average.model, "average."),
    }
    if trainer.head is not None:
        tensors |= named_tensors(trainer.head, "head.")
    background = trainer.memory.value()
    if background is not None:
        tensors["background"] = background
    head = {"kind": KIND, "version": VERSION, "backbone": trainer.encoder.backbone}
    save_tensors(path, tensors, {**head, "about": dict(about)})
