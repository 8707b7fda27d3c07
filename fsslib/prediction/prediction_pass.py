"""The pass of prediction: photographs to predictions, one by one or in batches."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from fsslib.data.images import UInt8, read_image
from fsslib.encoders.lanes import Arrays
from fsslib.encoders.work import Loaded, Work
from fsslib.errors import FsslibError
from fsslib.mining.pooling import upsample
from fsslib.prediction.calibration_files import Calibration
from fsslib.prediction.found import Prediction, refined_label
from fsslib.prediction.inputs import fitted
from fsslib.prediction.learned import Prototypes
from fsslib.prediction.presence import TOP_SHARE
from fsslib.prediction.segmenter import Segmenter
from fsslib.prediction.typical import Typical

R = TypeVar("R")

UNREAD = np.zeros((32, 32, 3), np.uint8)
"""Stands for a photograph that cannot be read."""

SCORE_BYTES = 1 << 28
"""Bytes of score maps at image size that are compared at once."""


@dataclass(frozen=True)
class _Note:
    """Size of the photograph in px, or why it could not be read."""

    size: tuple[int, ...]
    error: str | None = None


def prediction_work(
    segmenter: Segmenter,
    threshold: float | None,
    made: Callable[[Path, UInt8, Prediction], R],
    failed: Callable[[Path, str], R],
) -> Work[Path, R]:
    """Predict photographs as `Segmenter.predict` does.

    Args:
        segmenter: it has learned at least one class.
        threshold: see `Segmenter.predict`.
        made: makes the result of a photograph, (H, W, 3) uint8, and its prediction; in a worker.
        failed: makes that of a photograph that cannot be read, of the error's message.
    """
    prototypes = segmenter.prototypes()
    least = segmenter.calibration.threshold if threshold is None else threshold

    def single(path: Path) -> R:
        try:
            image = read_image(path)
        except FsslibError as error:
            return failed(path, str(error))
        return made(path, image, segmenter.predict(image, threshold))

    def load(path: Path) -> Loaded:
        try:
            image = read_image(path)
        except FsslibError as error:  # the others go on
            note = _Note(UNREAD.shape[:2], str(error))
            return Loaded(UNREAD, note=note, apart="unread")
        photograph = fitted(image, segmenter.max_side)
        kept = () if photograph is image else (image,)
        size = (image.shape[0], image.shape[1])
        return Loaded(photograph, kept=kept, note=_Note(size), apart=size)

    def reduce(features: Tensor, planes: Sequence[Tensor], notes: Sequence[Any]) -> list[Tensor]:
        likely = presence_probabilities(features, prototypes, segmenter.calibration)
        maps = margin_maps(features, prototypes)
        if segmenter.refining:
            return [likely, maps]
        return [likely, label_batch(maps, likely >= least, notes[0].size)]

    def finish(path: Path, loaded: Loaded, found: Arrays) -> R:
        note: _Note = loaded.note
        if note.error is not None:
            return failed(path, note.error)
        scores, image = tuple(found[0].tolist()), (loaded.kept or (loaded.photograph,))[0]
        if segmenter.refining:  # here, since the filter's grid is made by Pillow
            likely = [i for i, score in enumerate(scores) if score >= least]
            margins = torch.from_numpy(found[1][likely])
            mask = refined_label(margins, likely, image, segmenter.refining)
        else:
            mask = np.array(found[1])
        pixels = np.bincount(mask.ravel(), minlength=len(scores) + 1)[1:]
        there = tuple((pixels > 0).tolist())
        return made(path, image, Prediction(mask, segmenter.names, scores, there))

    return Work(single, load, reduce, finish, in_worker=True)


def presence_probabilities(
    features: Tensor, prototypes: Prototypes, calibration: Calibration
) -> Tensor:
    """Probability of each class in each of B photographs, (B, ways) float64.

    It is that of `presence_scores` and `Presence.probability`.
    """
    typical = calibration.typical or Typical(prototypes.background)
    rows = typical.unit(features.flatten(2).transpose(1, 2).flatten(0, 1))
    likeness = (typical.unit(prototypes.foreground) @ rows.T).unflatten(1, (len(features), -1))
    number = max(1, round(TOP_SHARE * likeness.shape[2]))
    scores = likeness.topk(number, dim=2).values.mean(2).T.double()
    presence = calibration.presence
    return 0.5 * (1 + torch.tanh((scores - presence.middle) / (2 * presence.width)))


def margin_maps(features: Tensor, prototypes: Prototypes) -> Tensor:
    """Margins over the background as those of `score_margins`: (B, C, h, w) to (B, ways, h, w)."""
    foreground, background = prototypes.foreground, prototypes.background
    direction = normalize(foreground, dim=1) - normalize(background, dim=0)
    margins = direction @ normalize(features.flatten(2), dim=1)
    maps: Tensor = margins.unflatten(2, features.shape[2:])
    return maps


def label_batch(maps: Tensor, likely: Tensor, size: tuple[int, int]) -> Tensor:
    """Arg max over background and the likely classes of each photograph, as `label` (eq. 5).

    Args:
        maps: (B, ways, h, w) float32 of `margin_maps`.
        likely: (B, ways) bool.
        size: (H, W) of the photographs in px.

    Returns:
        (B, H, W) uint8: 0 background, 1 the first class.
    """
    step = max(1, SCORE_BYTES // (4 * maps.shape[1] * size[0] * size[1]))
    labels = []
    for part, allowed in zip(maps.split(step), likely.split(step), strict=True):
        full = upsample(part, size).masked_fill_(~allowed[:, :, None, None], -1.0)
        best = full.max(dim=1)
        labels.append(torch.where(best.values > 0, best.indices + 1, 0).to(torch.uint8))
    return torch.cat(labels)
