"""A toy training run: small crops of discs and a ResNet-18 with random weights."""

import numpy as np
import torch

from fsslib.data.batches import BatchPlan, StepBatches
from fsslib.data.images import read_image
from fsslib.data.pool import PoolImage
from fsslib.encoders.resnet import ResNet
from fsslib.encoders.weights import load_weights
from fsslib.ranks import ALONE
from fsslib.training.trainer import Trainer, TrainSettings

CPU = torch.device("cpu")
CLASSES = 4


def settings(**changes):
    plain = {
        "iterations": 6, "lr": 0.01, "head_lr": 0.02, "momentum": 0.9, "weight_decay": 5e-4,
        "ema_decay": 0.9, "m": 0.9, "background_share": 0.0, "sigma": 20.0, "pseudo_weight": 1.0,
        "precision": "float32", "seed": 3,
    }  # fmt: skip
    return TrainSettings(**(plain | changes))


def make_trainer(
    classes=CLASSES, ranks=ALONE, backbone="resnet18", short=False, device=CPU, **changes
):
    """`short` leaves one block a layer."""
    encoder = ResNet(backbone)
    load_weights(encoder, "random", seed=0)
    if short:
        for layer in (encoder.layer1, encoder.layer2, encoder.layer3):
            del layer[1:]
    return Trainer(encoder, classes, settings(**changes), device, ranks)


def make_batches(manifest, steps=6, mined=True, shot=1, ranks=ALONE, miner="clusters", later=False):
    """Fold 1: classes 1 to 3 are base; pseudo-masks are the brightness in four steps."""
    pool = [PoolImage(r.id, manifest.image_path(r)) for r in manifest.train]
    photos = {i.id: i.path for i in pool}

    def pseudo(image_id):
        return (read_image(photos[image_id]).mean(axis=2) // 64).astype(np.uint8)

    plan = BatchPlan(2, shot, 2, 32, 30, (1.0, 1.0), seed=0)
    masks = pseudo if mined and miner == "clusters" else None
    return StepBatches(manifest, 1, plan, steps, pool, masks, ranks, miner, later)


def state_of(trainer):
    """Everything that the next step depends on, by name."""
    state = {f"online.{k}": v for k, v in trainer.encoder.state_dict().items()}
    state |= {f"average.{k}": v for k, v in trainer.average.model.state_dict().items()}
    if trainer.head is not None:
        head = trainer.head.state_dict()
        # A counter that only batch norms without a momentum read.
        state |= {f"head.{k}": v for k, v in head.items() if "tracked" not in k}
    for group, parameters in enumerate(trainer.optimizer.param_groups):
        for number, parameter in enumerate(parameters["params"]):
            buffer = trainer.optimizer.state[parameter].get("momentum_buffer")
            if buffer is not None:
                state[f"momentum.{group}.{number}"] = buffer
    state |= {"memory.sum": trainer.memory.sum, "memory.weight": trainer.memory.weight}
    return {k: v.clone() for k, v in state.items()} | {"step": torch.tensor(trainer.step_number)}


def differing(a, b):
    """Names of the parts of two states that are not equal bit for bit."""
    assert set(a) == set(b)
    return [k for k in a if not torch.equal(a[k], b[k])]
