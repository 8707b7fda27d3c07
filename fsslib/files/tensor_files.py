"""Named tensors with a JSON header, stored as safetensors; names and shapes are checked.

No pickle is used.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from fsslib.errors import FsslibError
from fsslib.files.storage import atomic_path, json_digest

T = TypeVar("T")

VERSION = 2
WITHOUT_DIGEST = 1
"""Layout version of older files, which are read without a checksum."""


def named_tensors(module: nn.Module, prefix: str) -> dict[str, Tensor]:
    """A module's state dict with a prefix before every name, without batch norm's counters."""
    state = module.state_dict()
    return {prefix + k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}


def save_tensors(path: Path, tensors: Mapping[str, Tensor], head: Mapping[str, Any]) -> None:
    """Write tensors and a JSON header atomically; the same values give the same bytes.

    The header also gets the layout's `version` and `sha256`, a hash of all content. Safetensors has
    no checksum of its own, so a flipped bit of a weight would go unnoticed.
    """
    plain = {k: v.detach().cpu().contiguous() for k, v in sorted(tensors.items())}
    full = json.loads(json.dumps({**head, "version": VERSION}))
    full["sha256"] = _digest(plain, full)
    with atomic_path(path) as temporary:
        save_file(plain, temporary, metadata={"fsslib": json.dumps(full, sort_keys=True)})


def _digest(tensors: Mapping[str, Tensor], head: Mapping[str, Any]) -> str:
    """SHA-256 of a header and of the tensors' names, types, shapes and bytes."""
    digest = hashlib.sha256(json_digest({**head, "sha256": None}).encode())
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)} ".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def load_tensors(path: Path, kind: str, remedy: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read the tensors and the header of a file of a given kind; nothing is unpickled.

    Raises:
        FsslibError: the file is missing, damaged, foreign or of an unknown layout; the message ends
            with `remedy`.
    """
    if not path.is_file():
        raise FsslibError(f"{path} does not exist: {remedy}")
    try:
        with safe_open(path, "pt") as file:
            head = json.loads((file.metadata() or {}).get("fsslib", "{}"))
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise FsslibError(f"{path} is damaged ({reason}): {remedy}") from None
    if not isinstance(head, dict):
        raise FsslibError(f"{path} is damaged (its header is no mapping): {remedy}")
    if head.get("kind") != kind:
        raise FsslibError(f"{path} holds {head.get('kind')!r}, expected {kind!r}: {remedy}")
    found = head.get("version", WITHOUT_DIGEST)
    if found not in (WITHOUT_DIGEST, VERSION):
        raise FsslibError(f"{path} has layout {found}, this code reads {VERSION}: {remedy}")
    if found == VERSION or "sha256" in head:
        digest = head.pop("sha256", None)
        if digest != _digest(tensors, head):
            raise FsslibError(f"{path} is damaged (its sha256 does not fit): {remedy}")
    return tensors, head


def check_tensors(
    tensors: Mapping[str, Tensor], like: Mapping[str, Tensor], path: Path, remedy: str
) -> None:
    """Compare the tensors of a file with the expected ones, before any is used.

    Raises:
        FsslibError: a tensor is missing or unknown, its shape or type differs from `like`, or a
            value is not finite.
    """
    missing, unknown = sorted(like.keys() - tensors.keys()), sorted(tensors.keys() - like.keys())
    if missing:
        raise FsslibError(f"{path} lacks {_some(missing)}: {remedy}")
    if unknown:
        raise FsslibError(f"{path} has {_some(unknown)}, which nothing reads: {remedy}")
    for key, wanted in like.items():
        found = tensors[key]
        if (found.shape, found.dtype) != (wanted.shape, wanted.dtype):
            raise FsslibError(
                f"{path} has {key} as {_form(found)}, expected {_form(wanted)}: {remedy}"
            )
        if not torch.isfinite(found).all():
            raise FsslibError(f"{path} has values in {key} that are not finite: {remedy}")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if names[4:] else "")


def _form(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def restore_module(module: nn.Module, tensors: Mapping[str, Tensor], prefix: str) -> None:
    """Load the tensors under `prefix` into a module; `check_tensors` must have passed before."""
    own = (k.removeprefix(prefix) for k in named_tensors(module, prefix))
    module.load_state_dict({k: tensors[prefix + k] for k in own}, strict=False)


def header_value(head: Mapping[str, Any], key: str, kind: type[T], path: Path, remedy: str) -> T:
    """Value of `key` in the header.

    Raises:
        FsslibError: the key is missing, or its value has another type.
    """
    if key not in head:
        raise FsslibError(f"{path} does not say its {key}: {remedy}")
    value = head[key]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise FsslibError(f"{path} says {key} {value!r:.40}, no {kind.__name__}: {remedy}")
    return value
