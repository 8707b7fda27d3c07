"""Named tensors with a JSON header as safetensors: no pickle, shapes and names checked."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from fsslib.errors import FsslibError
from fsslib.storage import atomic_path

VERSION = 1


def named_tensors(module: nn.Module, prefix: str) -> dict[str, Tensor]:
    """A module's state with a prefix before every name, batch norm's counters left out."""
    state = module.state_dict()
    return {prefix + k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}


def save_tensors(path: Path, tensors: Mapping[str, Tensor], head: Mapping[str, Any]) -> None:
    """Write tensors and a JSON header atomically, the same bytes for the same values."""
    plain = {k: v.detach().cpu().contiguous() for k, v in sorted(tensors.items())}
    with atomic_path(path) as temporary:
        save_file(plain, temporary, metadata={"fsslib": json.dumps(head, sort_keys=True)})


def load_tensors(path: Path, kind: str, remedy: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read tensors and header of a file of one kind; never unpickles.

    Raises:
        FsslibError: missing, damaged, foreign or older file; the message ends with `remedy`.
    """
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


def restore_module(
    module: nn.Module, tensors: Mapping[str, Tensor], prefix: str, path: Path, remedy: str
) -> None:
    """Load the tensors under `prefix` into a module whose names and shapes they must have."""
    own = {k: v for k, v in module.state_dict().items() if not k.endswith("num_batches_tracked")}
    found = {k: take_tensor(tensors, prefix + k, v, path, remedy) for k, v in own.items()}
    module.load_state_dict(found, strict=False)


def take_tensor(
    tensors: Mapping[str, Tensor], key: str, like: Tensor, path: Path, remedy: str
) -> Tensor:
    """The tensor of that name; another shape than that of `like` is an `FsslibError`."""
    found = tensors.get(key)
    if found is None or found.shape != like.shape:
        shape = None if found is None else tuple(found.shape)
        raise FsslibError(
            f"{path} has {key} of shape {shape}, expected {tuple(like.shape)}: {remedy}"
        )
    return found


def header_value(head: Mapping[str, Any], key: str, path: Path, remedy: str) -> Any:  # noqa: ANN401
    """What the header says under `key`; nothing is an `FsslibError`."""
    if key not in head:
        raise FsslibError(f"{path} does not say its {key}: {remedy}")
    return head[key]
