"""An encoder ready to predict with, from what a path names: a trained model or plain weights."""

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from fsslib.backbones import NAMED_WEIGHTS
from fsslib.encoder import Encoder, build_encoder
from fsslib.errors import FsslibError
from fsslib.trained_model import KIND, load_model
from fsslib.weights import load_weights

MODEL = "model.safetensors"
DEEPEST = {(2, False): "resnet18", (6, False): "resnet34", (6, True): "resnet50"}
"""Blocks of layer3 and whether they are bottlenecks -> backbone; ResNet-101 has 23."""


@dataclass(frozen=True)
class Model:
    """What prediction needs of a model.

    Attributes:
        encoder: in `eval`.
        background: (C,) float32 global background prototype, None where there is none.
        path: the file, None for weights without one.
    """

    encoder: Encoder
    background: Tensor | None
    path: Path | None


def open_model(source: str | Path, backbone: str | None = None) -> Model:
    """Open a trained model or plain weights; never unpickles code.

    Args:
        source: `model.safetensors` of training or its folder (`data/train/0`); or a `.pth` or
            `.safetensors` state dict of a backbone; or `imagenet` or `random`.
        backbone: of plain weights; by default what a file's own names tell, else `resnet50`.

    Raises:
        FsslibError: nothing there, damaged, or weights of another backbone.
    """
    if str(source) in NAMED_WEIGHTS:
        return Model(_plain(str(source), backbone or "resnet50"), None, None)
    path = Path(source)
    if path.is_dir():
        if not (path / MODEL).is_file():
            raise FsslibError(
                f"{path} holds no {MODEL}: run 'dvc repro' to train one, or name a file of weights"
            )
        path = path / MODEL
    if _is_trained(path):
        trained = load_model(path, ema=True)
        return Model(trained.encoder, trained.background, path)
    if not path.is_file():
        raise FsslibError(
            f"{path} does not exist: name a trained model, its folder, or a file of weights"
        )
    return Model(_plain(str(path), backbone or guess_backbone(path)), None, path)


def _plain(source: str, backbone: str) -> Encoder:
    encoder = build_encoder(backbone)
    load_weights(encoder, source)
    return encoder


def _is_trained(path: Path) -> bool:
    """Whether the header says that training wrote the file; a damaged one is told when it loads."""
    if path.suffix != ".safetensors" or not path.is_file():
        return False
    try:
        with safe_open(path, "pt") as file:
            head = (file.metadata() or {}).get("fsslib", "")
    except Exception:
        return False
    return f'"kind": "{KIND}"' in head


def guess_backbone(path: Path) -> str:
    """The backbone that a state dict's names tell, else `resnet50`; a bad file is told later."""
    try:
        names = _names(path)
    except Exception:
        return "resnet50"
    blocks = len({n.split(".")[1] for n in names if n.startswith("layer3.")})
    bottleneck = any(n.startswith("layer3.0.conv3.") for n in names)
    backbone = "resnet101" if blocks == 23 else DEEPEST.get((blocks, bottleneck), "resnet50")
    return f"{backbone}s" if any(n.startswith("conv1.0.") for n in names) else backbone


def _names(path: Path) -> set[str]:
    if path.suffix == ".safetensors":
        with safe_open(path, "pt") as file:
            return set(file.keys())
    state = torch.load(path, map_location="meta", weights_only=True)
    return set(state.get("state_dict", state))
