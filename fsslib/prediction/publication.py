"""A model as a folder that others load: safetensors, a card, and `config.json` with their hashes.

`fss publish` writes it (`fsslib.experiments.publishing`). Nothing in it is unpickled or run.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from fsslib.errors import FsslibError
from fsslib.files.fingerprints import hash_file
from fsslib.files.model_names import MODEL
from fsslib.files.storage import atomic_path, read_json
from fsslib.files.tensor_files import load_tensors

PRESENCE = ("model.presence.json", "model.presence.safetensors")
"""The calibration of presence, where the model has one."""
CARD = "README.md"
CONFIG = "config.json"

KIND = "fsslib-model"
LAYOUT = 1
SHA256 = re.compile(r"[0-9a-f]{64}")

MOST_CONFIG = 1 << 20
"""Bytes of the largest `config.json` that is read."""
MOST_BYTES = 8 << 30
"""Bytes of the largest model: twenty times the largest encoder that the documents name."""

TRAINED = "model"
"""The kind of file that training writes, `fsslib.training.trained_model.KIND`; spelt out, since an
import of training would make it a dependency of the stage `fingerprint`."""

REMEDY = "download it again, or ask whoever published it to run 'fss publish' again"


@dataclass(frozen=True)
class Publication:
    """What `config.json` says.

    Attributes:
        backbone: of the encoder.
        files: name -> SHA-256 in hex and size in bytes, of every file that is loaded.
        card: SHA-256 of the card as it was written; people edit it.
        content: the whole of `config.json`.
    """

    backbone: str
    files: Mapping[str, tuple[str, int]]
    card: str
    content: Mapping[str, Any]

    @property
    def model_sha256(self) -> str:
        """SHA-256 of the model's file."""
        return self.files[MODEL][0]


def read_publication(folder: Path) -> Publication | None:
    """Read `config.json` of a folder; None if there is none of ours.

    Raises:
        FsslibError: it is ours and damaged, of another layout, or names files that no publication
            has.
    """
    path = folder / CONFIG
    if not path.is_file():
        return None
    if path.stat().st_size > MOST_CONFIG:
        raise FsslibError(f"{path} has more than {MOST_CONFIG} bytes: {REMEDY}")
    content = read_json(path, REMEDY)
    if not isinstance(content, dict) or content.get("kind") != KIND:
        return None
    if content.get("layout") != LAYOUT:
        raise FsslibError(
            f"{path} has layout {content.get('layout')!r:.40}, this code reads {LAYOUT}: update "
            "fsslib"
        )
    return Publication(
        _text(content, "backbone", path),
        _files(content.get("files"), path),
        _text(content, "card_sha256", path),
        content,
    )


def _text(content: Mapping[str, Any], key: str, path: Path) -> str:
    value = content.get(key)
    if not isinstance(value, str):
        raise FsslibError(f"{path} says {key} {value!r:.40}, which is no text: {REMEDY}")
    return value


def _files(found: object, path: Path) -> dict[str, tuple[str, int]]:
    """Hashes and sizes; any other name is refused, whatever path it is."""
    if not isinstance(found, dict) or MODEL not in found:
        raise FsslibError(f"{path} lists no {MODEL}: {REMEDY}")
    files = {}
    for name, facts in found.items():
        if name not in (MODEL, *PRESENCE):
            raise FsslibError(f"{path} lists {name!r:.60}, which no published model has: {REMEDY}")
        sha256 = facts.get("sha256") if isinstance(facts, dict) else None
        size = facts.get("bytes") if isinstance(facts, dict) else None
        if not isinstance(sha256, str) or not SHA256.fullmatch(sha256):
            raise FsslibError(f"{path} has no SHA-256 of {name}: {REMEDY}")
        if not isinstance(size, int) or isinstance(size, bool) or not 0 < size <= MOST_BYTES:
            raise FsslibError(
                f"{path} says that {name} has {size!r:.40} bytes, expected 1 to {MOST_BYTES}: "
                f"{REMEDY}"
            )
        files[name] = sha256, size
    return files


def check_publication(folder: Path, name: str | None = None) -> Publication | None:
    """Read `config.json` and compare every file that it lists with its hash.

    Args:
        folder: any folder.
        name: what messages call it, by default its path.

    Returns:
        The publication; None if the folder is not one.

    Raises:
        FsslibError: as `read_publication`, or a file is missing or another than was published.
    """
    found = read_publication(folder)
    if found is None:
        return None
    for file, (sha256, size) in found.files.items():
        path, called = folder / file, f"{name or folder}: {file}"
        if not path.is_file():
            raise FsslibError(f"{called} is missing: {REMEDY}")
        if path.stat().st_size != size:
            raise FsslibError(
                f"{called} has {path.stat().st_size} bytes, {CONFIG} says {size}: {REMEDY}"
            )
        is_now = hash_file(path)
        if is_now != sha256:
            raise FsslibError(
                f"{called} has SHA-256 {is_now[:12]}, {CONFIG} says {sha256[:12]}: {REMEDY}"
            )
    return found


def write_encoder(model: Path, backbone: str, out: Path) -> None:
    """Write the averaged encoder of a trained model as a plain state dict, atomically.

    The same model gives the same bytes.

    Args:
        model: `model.safetensors` of training.
        backbone: that is wanted.
        out: `.safetensors` file that `load_weights` reads.

    Raises:
        FsslibError: the file is no trained model, is damaged, or is of another backbone.
    """
    tensors, head = load_tensors(model, TRAINED, "name a trained model, its folder, or hf://...")
    if head.get("backbone") != backbone:
        raise FsslibError(
            f"weights: {model} is of the backbone {head.get('backbone')!r:.60}, params.yaml says "
            f"{backbone!r}: set backbone to it"
        )
    prefix = "average."
    average = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    with atomic_path(out) as temporary, torch.no_grad():
        save_file(dict(sorted(average.items())), temporary)
