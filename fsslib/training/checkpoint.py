"""Saves and restores the training state, and saves the trained model, as safetensors.

Training resumes from a checkpoint at any step bit for bit.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fsslib.files.tensor_files import (
    VERSION,
    check_tensors,
    header_value,
    load_tensors,
    named_tensors,
    restore_module,
    save_tensors,
)
from fsslib.training.trained_model import KIND
from fsslib.training.trainer import Row, Trainer

REMEDY = "delete it"


def save_checkpoint(
    trainer: Trainer, history: list[Row], path: Path, about: Mapping[str, Any] | None = None
) -> None:
    """Write everything that the next step depends on, and the curves so far, atomically.

    Args:
        trainer: trainer whose state is saved.
        history: one row per step.
        path: path of the file.
        about: fold and params of the run, for `fss info`.
    """
    tensors = _weights(trainer)
    for number, parameter in enumerate(trainer.parameters()):
        buffer = trainer.optimizer.state[parameter].get("momentum_buffer")
        if buffer is not None:  # there is none before the first step or at momentum 0
            tensors[f"momentum.{number}"] = buffer
    tensors |= {"memory.sum": trainer.memory.sum, "memory.weight": trainer.memory.weight}
    head = {"kind": "checkpoint", "step": trainer.step_number, "history": history}
    made_by = {"backbone": trainer.encoder.backbone, "about": dict(about or {})}
    save_tensors(path, tensors, head | made_by)


def restore_checkpoint(trainer: Trainer, path: Path) -> list[Row]:
    """Bring a fresh trainer to the state that `save_checkpoint` wrote, and return the curves.

    Raises:
        FsslibError: as in `load_model`; the trainer is then unchanged.
    """
    tensors, head = load_tensors(path, "checkpoint", REMEDY)
    step = header_value(head, "step", int, path, REMEDY)
    history: list[Row] = header_value(head, "history", list, path, REMEDY)
    memory, like = trainer.memory, _weights(trainer)
    if trainer.settings.momentum > 0 and step > 0:
        like |= {f"momentum.{n}": p for n, p in enumerate(trainer.parameters())}
    like |= {"memory.sum": memory.sum, "memory.weight": memory.weight}
    check_tensors(tensors, like, path, REMEDY)
    restore_module(trainer.encoder, tensors, "online.")
    restore_module(trainer.average.model, tensors, "average.")
    if trainer.head is not None:
        restore_module(trainer.head, tensors, "head.")
    for number, parameter in enumerate(trainer.parameters()):
        if f"momentum.{number}" in like:
            # Strides decide the order of sums, so a contiguous copy would not resume bit for bit.
            kept = torch.empty_like(parameter).copy_(tensors[f"momentum.{number}"])
            trainer.optimizer.state[parameter]["momentum_buffer"] = kept
    memory.sum, memory.weight = tensors["memory.sum"], tensors["memory.weight"]
    trainer.step_number = step
    return history


def save_model(trainer: Trainer, path: Path, about: Mapping[str, Any]) -> None:
    """Write both encoders, the head, the global background prototype and the facts in `about`."""
    tensors = _weights(trainer)
    background = trainer.memory.value()
    if background is not None:
        tensors["background"] = background
    head = {"kind": KIND, "version": VERSION, "backbone": trainer.encoder.backbone}
    save_tensors(path, tensors, {**head, "about": dict(about)})


def _weights(trainer: Trainer) -> dict[str, Tensor]:
    """Return the tensors of both encoders and of the head, by their names in a file."""
    tensors = {
        **named_tensors(trainer.encoder, "online."),
        **named_tensors(trainer.average.model, "average."),
    }
    return tensors if trainer.head is None else tensors | named_tensors(trainer.head, "head.")
