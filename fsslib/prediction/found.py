"""What was found in a photograph, and the labels of its pixels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fsslib.data.images import UInt8
from fsslib.evaluation.matching import label_chunks, label_strips, score_margins
from fsslib.evaluation.refining import GuidedFilter, Refining
from fsslib.prediction.learned import Prototypes


@dataclass(frozen=True, eq=False)
class Prediction:
    """What was found in one photograph.

    Attributes:
        mask: (H, W) uint8 of the photograph's own size: 0 background, i + 1 where `names[i]` is.
        names: the learned classes.
        scores: for each class the probability that the photograph holds it, 0 to 1; where a
            photograph holds it as often as not. See `fsslib.prediction.presence`.
        present: for each class whether it is there; an absent one has no pixel in `mask`.
    """

    mask: UInt8
    names: tuple[str, ...]
    scores: tuple[float, ...]
    present: tuple[bool, ...]

    def of(self, name: str) -> npt.NDArray[np.bool_]:
        """Where one class is, (H, W) bool."""
        found: npt.NDArray[np.bool_] = self.mask == self.names.index(name) + 1
        return found

    @property
    def pixels(self) -> tuple[int, ...]:
        """Number of pixels of each class."""
        return tuple(np.bincount(self.mask.ravel(), minlength=len(self.names) + 1)[1:].tolist())


def label(
    feature: Tensor,
    prototypes: Prototypes,
    likely: Sequence[int],
    photograph: UInt8,
    refining: Refining | None,
) -> UInt8:
    """Arg max over background and the likely classes (eq. 5).

    Args:
        feature: (C, h, w) float32 of the photograph, encoded at any size.
        prototypes: of all learned classes.
        likely: numbers of the classes that may be there.
        photograph: (H, W, 3) uint8.
        refining: lets the edges follow the photograph; None upsamples only.

    Returns:
        (H, W) uint8.
    """
    size = photograph.shape[0], photograph.shape[1]
    if not likely:
        return np.zeros(size, np.uint8)
    chosen = torch.tensor(likely, device=feature.device)
    foreground, background = prototypes.foreground[None, chosen], prototypes.background[None]
    if refining is None:
        (won,) = label_chunks(feature, foreground, background, size)
        return (won[0] * (chosen + 1).view(-1, 1, 1)).sum(0).to(torch.uint8).cpu().numpy()
    (margins,) = score_margins(feature, foreground, background)
    return refined_label(margins, likely, photograph, refining)


def refined_label(
    margins: Tensor, likely: Sequence[int], photograph: UInt8, refining: Refining
) -> UInt8:
    """Refined arg max over background and the likely classes.

    Args:
        margins: (likely classes, h, w) float32 over the background's score, at feature size.
        likely: numbers of these classes.
        photograph: (H, W, 3) uint8.
        refining: of the margins.

    Returns:
        (H, W) uint8.
    """
    if not likely:
        return np.zeros(photograph.shape[:2], np.uint8)
    values = (torch.tensor(likely, device=margins.device) + 1).view(-1, 1, 1)
    strips = label_strips(margins, GuidedFilter(photograph, refining, margins.device))
    return np.concatenate([(won * values).sum(0).to(torch.uint8).cpu().numpy() for won in strips])
