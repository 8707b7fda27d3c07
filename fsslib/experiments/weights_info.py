"""Describes a .safetensors file: whose weights it holds, and which params made them."""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from fsslib.errors import FsslibError

HEAD_BIAS = "head.6.bias"
"""Name of the head's last bias, which has K + 1 values. It is spelt out because an import of the
head's own name takes seconds: it loads torch."""

PARTS = {
    "average": "{} parameters, the encoder's moving average",
    "background": "{} values, the global background prototype",
    "head": "{} parameters, the auxiliary head",
    "memory": "{} values, the global background prototype so far",
    "momentum": "{} values, of SGD",
    "online": "{} parameters, the encoder's last weights",
}
"""Description of each part of a model or checkpoint; `{}` is the number of its values."""


def describe_weights(path: Path, remedy: str) -> list[str]:
    """Describe a model, a checkpoint or plain weights; running averages do not count as parameters.

    Raises:
        FsslibError: the file is damaged; the message ends with `remedy`.
    """
    shapes, metadata = _open(path, remedy)
    head = _header(metadata.pop("fsslib", "{}"), path, remedy)
    parts: Counter[str] = Counter()
    for key, shape in shapes.items():
        if not key.endswith(("running_mean", "running_var", "num_batches_tracked")):
            parts[key.split(".")[0] if head else "weights"] += math.prod(shape)
    lines = [f"{head.pop('kind', 'weights')}: {len(shapes)} tensors"]
    history, params = head.pop("history", None), dict(flat(head.pop("about", {})))
    lines += _made_by(head, params, shapes)
    if isinstance(history, list) and history:
        values = (f"{k} {v:.3g}" for k, v in flat(history[-1]) if isinstance(v, int | float))
        lines.append(f"last step: {', '.join(values)}")
    for part, number in sorted(parts.items()):
        lines.append(f"{part}: {PARTS.get(part, '{} parameters').format(number)}")
    facts = {**head, **metadata, **params}
    return lines + [f"{key}: {short(value)}" for key, value in sorted(facts.items())]


def model_facts(path: Path, remedy: str) -> dict[str, Any]:
    """Return the header of one of our .safetensors files; empty for a file of another program.

    Raises:
        FsslibError: the file is damaged; the message ends with `remedy`.
    """
    return _header(_open(path, remedy)[1].get("fsslib", "{}"), path, remedy)


def _open(path: Path, remedy: str) -> tuple[dict[str, list[int]], dict[str, str]]:
    """Return the shapes of the tensors and the metadata; no tensor is read."""
    try:
        with safe_open(path, "numpy") as file:
            shapes = {key: file.get_slice(key).get_shape() for key in file.keys()}  # noqa: SIM118
            return shapes, dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise FsslibError(f"{path} is damaged ({reason}): {remedy}") from None


def _header(text: str, path: Path, remedy: str) -> dict[str, Any]:
    try:
        head = json.loads(text)
    except ValueError as error:
        raise FsslibError(f"{path} is damaged ({error}): {remedy}") from None
    if not isinstance(head, dict):
        raise FsslibError(f"{path} is damaged (its header is no mapping): {remedy}")
    return head


def _made_by(
    head: dict[str, Any], params: dict[str, Any], shapes: Mapping[str, list[int]]
) -> list[str]:
    """Return the lines that most readers need, and remove their facts from `head` and `params`."""
    known = {
        "fold": params.pop("fold", None),
        "backbone": head.pop("backbone", params.get("backbone")),
        "step": head.pop("step", params.get("training.iterations")),
        "precision": params.get("training.precision"),
    }
    params.pop("backbone", None)
    if known["step"] is not None and "training.iterations" in params:
        known["step"] = f"{known['step']} of {params['training.iterations']}"
    if any(key.startswith("online.") for key in shapes):
        bias = shapes.get(HEAD_BIAS)
        miner = params.get("miner") if params.get("mine") else None
        without = f"by {miner}, not on clusters" if miner else "without mining"
        known["k"] = f"none, trained {without}" if bias is None else math.prod(bias) - 1
    return [f"{key}: {short(value)}" for key, value in known.items() if value is not None]


def flat(section: object, above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the entries of nested mappings and lists of mappings, named as in params messages."""
    if not isinstance(section, dict):
        return
    for key, value in section.items():
        if isinstance(value, list) and any(isinstance(v, dict) for v in value):
            value = dict(enumerate(value))
        if isinstance(value, dict):
            yield from flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def short(value: object) -> str:
    """Format a value as one line of JSON; a text stays as it is."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
