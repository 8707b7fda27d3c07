"""Loads a fold's trained encoder; separate from `encoders`, which stages before training use."""

from pathlib import Path

import torch

from fsslib.encoders.running import (
    PhotographEncoder,
    Precision,
    choose_device,
    make_encode,
    one_thread_each,
)
from fsslib.ranks import read_ranks
from fsslib.training.trained_model import TrainedModel, load_model

from .params import (
    Runtime,
)


def trained_encode(
    path: Path, ema: bool, precision: Precision, long_side: int | None, runtime: Runtime
) -> tuple[PhotographEncoder, TrainedModel, torch.device]:
    """Load a trained model.

    Returns:
        A function that encodes photographs with it, the model, and the device.
    """
    one_thread_each()
    device = choose_device(runtime.device, read_ranks().local)
    trained = load_model(path, ema)
    encode = make_encode(trained.encoder, device, precision, long_side)
    return encode, trained, device
