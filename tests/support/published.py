"""A tiny trained model, published or not."""

from functools import cache

import torch

from fsslib.encoders.build import build_encoder
from fsslib.encoders.weights import load_weights
from fsslib.experiments.publishing import Wanted, publish_model
from fsslib.files.tensor_files import VERSION, named_tensors, save_tensors
from fsslib.prediction.calibration_files import Calibration, presence_path, write_presence
from fsslib.prediction.learned import encoder_digest
from fsslib.prediction.presence import Presence, Rates
from fsslib.prediction.typical import Typical
from fsslib.training.trained_model import KIND

BACKBONE = "timm:test_efficientnet"
ABOUT = {
    "backbone": BACKBONE,
    "fold": 1,
    "mine": True,
    "sigma": 20.0,
    "trained_on": {
        "dataset": "folder",
        "images": 12,
        "rendered": False,
        "classes": ["cat", "dog|x"],
    },
    "training": {"crop": 48, "iterations": 2},
    "unlabeled": [{"source": "train", "cap": None}],
    "weights": "installed",
}
WANTED = Wanted("cats", "CC-BY-4.0", None, "0.0")


@cache
def random_encoder(seed):
    encoder = build_encoder(BACKBONE)
    load_weights(encoder, "random", seed)
    return encoder


def save_model(path, seed=0, **about):
    """A file as training writes it; returns the encoder."""
    encoder = random_encoder(seed)
    average = named_tensors(encoder, "average.")
    online = {k.replace("average.", "online."): v.clone() for k, v in average.items()}
    tensors = {**average, **online, "background": torch.ones(encoder.channels)}
    head = {"kind": KIND, "version": VERSION, "backbone": BACKBONE, "about": {**ABOUT, **about}}
    save_tensors(path, tensors, head)
    return encoder


def calibrate(model, encoder):
    """A calibration beside a model."""
    typical = Typical(torch.zeros(encoder.channels), torch.eye(encoder.channels))
    calibration = Calibration(Presence(0.3, 0.1), 0.25, typical, "")
    rates = Rates(**dict.fromkeys(Rates.__dataclass_fields__, 0.25))
    settings = {"beta": None, "top_n": None}
    digest = encoder_digest(encoder)
    write_presence(presence_path(model), calibration, rates, digest, settings, {"fold": 1})


def publish(folder, seed=0, wanted=WANTED, calibrated=False, **about):
    """A published folder `shared`; its model lies beside it."""
    model = folder / "trained/model.safetensors"
    encoder = save_model(model, seed, **about)
    if calibrated:
        calibrate(model, encoder)
    publish_model(model, folder / "shared", wanted)
    return folder / "shared"


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}
