"""Published values of the paper: the setting of its ablations and its tables 3 to 8."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Published:
    """One row of a table of the paper, in percent.

    Attributes:
        folds: mIoU of the paper's fold1 to fold4, our folds 0 to 3; empty if it gives none.
        mean: mean mIoU.
        extras: other numbers by the name of our column (table 7).
    """

    folds: tuple[float, ...]
    mean: float
    extras: Mapping[str, float] | None = None


def _row(*values: float) -> Published:
    return Published(values[:-1], values[-1])


TABLE3 = {
    "baseline": _row(56.4, 66.4, 60.6, 47.7, 57.8),
    "fg": _row(58.2, 68.6, 60.7, 48.2, 58.9),
    "bg": _row(55.7, 68.3, 63.1, 49.9, 59.3),
    "mine": _row(58.1, 68.9, 63.8, 48.3, 59.8),
    "fg-bg": _row(57.6, 70.3, 63.2, 50.6, 60.4),
    "fg-bg-mine": _row(59.2, 71.2, 65.6, 52.5, 62.1),
}
TABLE4 = {  # unlabelled source: the training set
    "cct": _row(57.5, 68.0, 59.6, 49.1, 58.6),
    "simclr": _row(56.5, 63.4, 59.8, 47.9, 56.9),
    "clusters": _row(58.1, 68.9, 63.8, 48.3, 59.8),
}
TABLE5 = {
    "none": _row(55.7, 68.3, 63.1, 49.9, 59.3),
    "images": _row(59.4, 70.6, 64.8, 52.7, 61.9),
    "train": _row(59.2, 71.2, 65.6, 52.5, 62.1),
    "train-images": _row(59.8, 71.8, 66.1, 53.3, 62.8),
    "train-remaining": _row(60.4, 72.3, 67.9, 53.6, 63.6),
}
TABLE6 = {
    "baseline": _row(56.4, 66.4, 60.6, 47.7, 57.8),
    "baseline-ema": _row(56.0, 66.2, 61.9, 47.6, 57.9),
    "fg-bg": _row(57.6, 70.3, 63.2, 50.6, 60.4),
    "fg-bg-ema": _row(57.5, 70.1, 63.9, 50.4, 60.5),
    "full": _row(58.5, 70.8, 64.2, 52.1, 61.4),
    "full-ema": _row(59.2, 71.2, 65.6, 52.5, 62.1),
}
FPS, PARAMETERS = "episodes/s, nothing cached", "parameters (M)"
TABLE7 = {
    "1-shot": Published((), 62.1, {FPS: 27.8, PARAMETERS: 8.7}),
    "5-shot": Published((), 66.1, {FPS: 12.8, PARAMETERS: 8.7}),
}
TABLE8 = {
    1: _row(57.6, 69.3, 64.3, 50.2, 60.4),
    3: _row(58.7, 70.2, 65.1, 51.1, 61.3),
    5: _row(59.2, 71.2, 65.6, 52.5, 62.1),
    7: _row(58.9, 70.4, 64.7, 51.5, 61.4),
    9: _row(58.1, 69.6, 64.1, 50.6, 60.6),
}

SETTING: Mapping[str, tuple[Any, ...]] = {
    "dataset": ("pascal",),
    "folds": ([0, 1, 2, 3],),
    "unlabeled": ([{"source": "train", "cap": None}],),
    "backbone": ("resnet50", "resnet50s"),
    "k": (5,),
    "beta": (0.2,),
    "w": (0.9,),
    "m": (0.999,),
    "top_n": (4,),
    "sigma": (20,),
    "miner": ("clusters",),
    "training.iterations": (6000,),
    "training.pairs": (4,),
    "training.pool_images": (32,),
    "training.crop": (473,),
    "training.lr": (0.001,),
    "training.momentum": (0.9,),
    "training.scale_min": (1,),
    "training.scale_max": (1,),
    "protocol": ("paper",),
    "ways": (1,),
    "episodes": (1000,),
    "seeds": ([0, 1, 2, 3, 4],),
    "resize": (None,),
    "search": ("exact",),
    "refine": ("none",),
}
"""Section 4.1 in the names of `params.yaml`: for each key, the values with which our numbers may be
compared with the paper's. What the paper leaves open (weight decay, EMA decay, ...) is not here."""

OTHER_WEIGHTS = ("random",)
"""Values of `weights` that are certainly not ImageNet weights. A file is assumed to hold them."""


def departures(params: Mapping[str, Any], swept: frozenset[str]) -> list[str]:
    """List how params differ from the paper's setting, apart from the keys that a sweep changes.

    Args:
        params: the validated content of `params.yaml`.
        swept: top-level keys that are left out.

    Returns:
        Short texts such as `dataset procedural (paper: pascal)`, in the setting's order; empty if
        our numbers may be compared with the paper's.
    """
    found = []
    for key, accepted in SETTING.items():
        value = lookup(params, key)
        if key not in swept and value not in accepted:
            found.append(f"{key} {_text(value)} (paper: {_text(accepted[0])})")
    if params["weights"] in OTHER_WEIGHTS:
        found.append(f"weights {params['weights']} (paper: ImageNet)")
    return found


def lookup(params: Mapping[str, Any], key: str) -> Any:  # noqa: ANN401 - any value of params.yaml
    """Return the value of a dotted key such as `a.b`."""
    value: Any = params
    for part in key.split("."):
        value = value[part]
    return value


def _text(value: object) -> str:
    """Format a value for a sentence; sources of images appear by name."""
    if not isinstance(value, list):
        return "none" if value is None else str(value)
    return "+".join(str(v["source"] if isinstance(v, dict) else v) for v in value)
