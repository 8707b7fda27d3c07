"""An encoder ready to predict with, from a name or a path: a trained model or plain weights."""

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from fsslib.encoders.backbones import DEFAULT_BACKBONE, NAMED_WEIGHTS, TIMM_PREFIX, is_backbone
from fsslib.encoders.base import Encoder
from fsslib.encoders.build import build_encoder
from fsslib.encoders.weights import load_weights
from fsslib.errors import FsslibError
from fsslib.files.model_names import MODEL, is_hub_address
from fsslib.prediction.calibration_files import presence_path, shipped_presence
from fsslib.prediction.hub_models import fetch_model
from fsslib.prediction.publication import check_publication
from fsslib.training.trained_model import KIND, load_model
from fsslib.training.trained_on import TrainedOn

DEEPEST = {(2, False): "resnet18", (6, False): "resnet34", (6, True): "resnet50"}
"""Blocks of layer3 and whether they are bottlenecks -> backbone; ResNet-101 has 23."""


@dataclass(frozen=True)
class Model:
    """What prediction needs of a model.

    Attributes:
        encoder: in `eval`.
        background: (C,) float32 global background prototype, None where there is none.
        presence: where the calibration of presence lies, if there is one.
        trained_on: what trained it, None for an encoder that this project did not train.
    """

    encoder: Encoder
    background: Tensor | None = None
    presence: Path | None = None
    trained_on: TrainedOn | None = None


def open_model(source: str | Path = "installed", backbone: str | None = None) -> Model:
    """Open a trained model or plain weights; never unpickles code.

    Args:
        source: `installed`, the ImageNet weights that pip installed; `model.safetensors` of
            training or its folder (`data/train/0`); a folder that `fss publish` made, or its
            address on the hub, `hf://USER/NAME[@REVISION]`; a `.pth` or `.safetensors` state dict
            of a backbone; `timm:NAME` for a model of timm with its published weights, or `imagenet`
            for torchvision's, all downloaded once; or `random`.
        backbone: of plain weights. By default the project's own for `installed`, what a file's own
            names tell for a file, else `resnet50`.

    Raises:
        FsslibError: nothing there, damaged, weights of another backbone, no network, or a published
            file that is not the one that its publication describes.
    """
    name = str(source)
    if is_hub_address(name):
        return _of_file(fetch_model(name).folder / MODEL, backbone)  # verified already
    if name == "installed":
        encoder = _plain(name, backbone or DEFAULT_BACKBONE)
        return Model(encoder, presence=shipped_presence(encoder.backbone))
    if name.startswith(TIMM_PREFIX):
        if not is_backbone(name):
            raise FsslibError(f"model {name!r} is no name of timm's: see 'timm.list_models()'")
        return Model(_downloaded(name))
    if name in NAMED_WEIGHTS:
        return Model(_plain(name, backbone or "resnet50"))
    return _of_file(Path(source), backbone)


def _of_file(path: Path, backbone: str | None) -> Model:
    """A trained model, its folder, or a file of plain weights."""
    if path.is_dir():
        if not (path / MODEL).is_file():
            raise FsslibError(
                f"{path} holds no {MODEL}: run 'dvc repro' to train one, or name a file of weights"
            )
        check_publication(path)
        path = path / MODEL
    if _is_trained(path):
        trained = load_model(path, ema=True)
        return Model(
            trained.encoder, trained.background, presence_path(path), TrainedOn.read(trained.about)
        )
    if not path.is_file():
        raise FsslibError(
            f"{path} does not exist: name a trained model, its folder, or a file of weights"
        )
    encoder = _plain(str(path), backbone or guess_backbone(path))
    return Model(encoder, presence=presence_path(path))


def _downloaded(backbone: str) -> Encoder:
    """A model of timm with its published weights."""
    try:
        return _plain("imagenet", backbone)
    except FsslibError as error:
        raise FsslibError(
            f"{error} and name it by --model FILE --backbone {backbone}, or use --model installed"
        ) from None


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
