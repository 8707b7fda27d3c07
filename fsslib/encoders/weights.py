"""Initial weights of the encoder: installed, downloaded, from a file, or random.

A source that does not cover the whole encoder is refused.
"""

import pickle  # nosec B403
import struct
import warnings
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from fsslib.encoders.backbones import WEIGHTS_REMEDY
from fsslib.encoders.base import Encoder
from fsslib.encoders.identity import require_weights
from fsslib.encoders.installed import installed_file
from fsslib.errors import FsslibError, reason

# Only the name of an error is used from pickle (bandit's B403); torch reads with weights_only.
_UNREADABLE = (
    pickle.UnpicklingError, SafetensorError, struct.error, OSError, EOFError, RuntimeError,
    ValueError, KeyError, IndexError, TypeError, AttributeError, AssertionError,
)  # fmt: skip
"""Exceptions of the readers on damaged or foreign bytes.

torch's reader interprets any bytes as a pickle.
"""


def load_weights(encoder: Encoder, source: str | Path, seed: int = 0) -> None:
    """Load weights into `encoder` in place.

    Args:
        encoder: the encoder; the source must cover all its parameters and batch norm statistics.
        source: `installed` (ImageNet weights installed by pip, see `fsslib.encoders.installed`),
            `imagenet` (torchvision's or timm's weights, downloaded once, hash checked), `random`
            (from `seed`), or the path of a `.pth` / `.safetensors` state dict with torchvision's or
            timm's key names. Keys that the encoder does not have (`layer4`, `fc`) are not read.
        seed: seed of `random`.

    Raises:
        FsslibError: the download failed, or the file is missing, damaged, holds code, or does not
            cover the encoder (the message names missing keys).
    """
    if source == "random":
        encoder.randomise(seed)
    elif source == "installed":
        path = installed_file(encoder.backbone)
        _fill(encoder, _in_order(encoder, _read(path), path), str(path))
    elif source == "imagenet":
        _fill(encoder, encoder.download(), f"the published {encoder.backbone}")
    else:
        _fill(encoder, _read(Path(source)), str(source))


def _read(path: Path) -> dict[str, Tensor]:
    require_weights(path)
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the pickle's protocol
            state = torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        raise FsslibError(
            f"weights: {path} is not a state dict ({reason(error)}): {WEIGHTS_REMEDY}"
        ) from None
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise FsslibError(f"weights: {path} holds no state dict of tensors: {WEIGHTS_REMEDY}")
    return state


def _in_order(encoder: Encoder, state: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Rename tensors of a file to the encoder's names by their order, which is the same.

    Raises:
        FsslibError: the last parts of two names differ (`weight`, `running_mean`), or the file has
            too few tensors.
    """
    own, found = _counted(encoder.state_dict()), _counted(state)
    parts = [[key.rpartition(".")[2] for key in keys] for keys in (own, found)]
    if parts[0] != parts[1][: len(own)]:
        raise FsslibError(f"weights: {path} is not in the order of {encoder.backbone}")
    return {key: state[name] for key, name in zip(own, found, strict=False)}


def _counted(state: dict[str, Tensor]) -> list[str]:
    """Names of all tensors except batch norm's batch counters, which nothing reads."""
    return [key for key in state if not key.endswith("num_batches_tracked")]


def _fill(encoder: Encoder, state: dict[str, Tensor], name: str) -> None:
    own = encoder.state_dict()
    published = {key: encoder.published_name(key) for key in own}
    state = {k: state[k if k in state else n] for k, n in published.items() if {k, n} & {*state}}
    needed = _counted(own)
    missing = [key for key in needed if key not in state]
    if missing:
        shown = ", ".join(missing[:4]) + (f" and {len(missing) - 4} more" if missing[4:] else "")
        raise FsslibError(f"weights: {name} lacks {shown} of {encoder.backbone}: {WEIGHTS_REMEDY}")
    for key in needed:
        if state[key].shape != own[key].shape:
            found, expected = tuple(state[key].shape), tuple(own[key].shape)
            raise FsslibError(
                f"weights: {name} has {key} of shape {found}, {encoder.backbone} needs {expected}: "
                f"{WEIGHTS_REMEDY}"
            )
        if not torch.isfinite(state[key]).all():
            raise FsslibError(
                f"weights: {name} has values in {key} that are not finite: {WEIGHTS_REMEDY}"
            )
    encoder.load_state_dict({key: state[key].float() for key in needed}, strict=False)
