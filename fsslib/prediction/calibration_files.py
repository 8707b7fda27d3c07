"""The calibration of presence beside its model: curve and error rates (JSON), what is typical.

`model.safetensors` has `model.presence.json`, for people too, and `model.presence.safetensors`.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fsslib.errors import FsslibError
from fsslib.files.storage import read_json, write_json
from fsslib.files.tensor_files import VERSION, load_tensors, save_tensors
from fsslib.prediction.presence import Presence, Rates
from fsslib.prediction.typical import Typical
from fsslib.rectification.rectify import Rectification

SHIPPED = Path(__file__).parent / "calibrations"
"""Calibrations of the installed encoders, made on PASCAL VOC (docs/prediction.md)."""

KIND = "presence"
REMEDY = "run 'fss calibrate' again"

DEFAULT = Presence(middle=0.35, width=0.3)
"""Without a calibration, where the background prototype stands for what is typical. Too weak to
call anything absent by it (docs/prediction.md)."""


@dataclass(frozen=True)
class Calibration:
    """What turns a feature into a probability and an answer.

    Attributes:
        presence: the curve.
        threshold: least probability of a class that is called present.
        typical: of the encoder's features, None where nothing was calibrated.
        source: a file, or why it is the default.
    """

    presence: Presence
    threshold: float
    typical: Typical | None
    source: str


def _default(why: str) -> Calibration:
    return Calibration(DEFAULT, 0.0, None, f"default, {why}")


def presence_path(model: Path) -> Path:
    """Where the calibration of a model lies: `model.safetensors` -> `model.presence.json`."""
    return model.with_suffix(".presence.json")


def shipped_presence(backbone: str) -> Path | None:
    """The calibration that comes with the project for an installed encoder, if there is one."""
    path = SHIPPED / f"{backbone.partition(':')[2]}.presence.json"
    return path if path.is_file() else None


def presence_settings(rectification: Rectification) -> dict[str, Any]:
    """What moves foreground prototypes, and so the scores, beside the encoder."""
    regions = rectification.index is not None
    return {
        "beta": rectification.beta if regions else None,
        "top_n": rectification.top_n if regions else None,
    }


def write_presence(
    path: Path,
    calibration: Calibration,
    rates: Rates,
    encoder: str,
    settings: Mapping[str, Any],
    about: Mapping[str, Any],
) -> None:
    """Write a calibration atomically, the JSON last.

    Args:
        path: of `presence_path`.
        calibration: with what is typical.
        rates: its errors on the trials that fitted it.
        encoder: `encoder_digest`.
        settings: of `presence_settings`.
        about: which trials: dataset, fold, classes and so on.
    """
    typical = calibration.typical
    assert typical is not None
    assert typical.whiten is not None
    head = {"kind": KIND, "version": VERSION, "encoder": encoder}
    tensors = {"mean": typical.mean, "whiten": typical.whiten}
    save_tensors(path.with_suffix(".safetensors"), tensors, head)
    content = {
        "kind": KIND,
        "encoder": encoder,
        "settings": dict(settings),
        "middle": round(calibration.presence.middle, 6),
        "width": round(calibration.presence.width, 6),
        "threshold": round(calibration.threshold, 6),
        "base_classes": {
            k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(rates).items()
        },
        "about": dict(about),
    }
    write_json(path, content)


def find_presence(path: Path | None, encoder: str, settings: Mapping[str, Any]) -> Calibration:
    """The calibration of a model, or the default where there is none that fits.

    Raises:
        FsslibError: the file is there and damaged.
    """
    if path is None or not path.exists():
        return _default("the model is not calibrated")
    content = read_json(path, REMEDY)
    try:
        made_with, found = content["encoder"], content["settings"]
        presence = Presence(float(content["middle"]), float(content["width"]))
        threshold = float(content["threshold"])
    except (KeyError, TypeError, ValueError) as error:
        raise FsslibError(f"{path} is no calibration ({error!r}): {REMEDY}") from None
    if not all(map(math.isfinite, (presence.middle, presence.width, threshold))):
        raise FsslibError(f"{path} has numbers that are not finite: {REMEDY}")
    if presence.width <= 0:
        raise FsslibError(f"{path} has width {presence.width}, expected above 0: {REMEDY}")
    if made_with != encoder:
        return _default(f"{path} is of another encoder")
    if found != dict(settings):
        return _default(f"{path} is of another rectification")
    return Calibration(presence, threshold, _typical(path, encoder), str(path))


def _typical(path: Path, encoder: str) -> Typical:
    tensors, head = load_tensors(path.with_suffix(".safetensors"), KIND, REMEDY)
    mean, whiten = tensors.get("mean"), tensors.get("whiten")
    if mean is None or whiten is None or whiten.shape != (*mean.shape, *mean.shape):
        raise FsslibError(f"{path.with_suffix('.safetensors')} has no whitening: {REMEDY}")
    if head.get("encoder") != encoder:
        raise FsslibError(f"{path.with_suffix('.safetensors')} is of another encoder: {REMEDY}")
    return Typical(mean, whiten)
