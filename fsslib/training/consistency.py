"""Cross-consistency training, which the paper's table 4 compares with mining on the same pool.

Ouali, Hudelot and Tami, "Semi-Supervised Semantic Segmentation with Cross-Consistency Training",
CVPR 2020 (CCT). A main decoder learns the base classes from labelled images. Auxiliary decoders see
perturbed features of unlabelled images and have to agree with the main decoder, which sees the
features as they are. As in CCT's code, the perturbed features are those after the last 3x3
convolutions, which all decoders share: here those of a `MiningHead`. A decoder is one 1x1
convolution after them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from fsslib.ranks import ALONE, Ranks
from fsslib.training.losses import HEAD_WIDTH, LAST_BIAS, MiningHead
from fsslib.training.progress import label_agreement

NOISE = 0.3
THRESHOLDS = (0.6, 0.9)
DROP_RATE = 0.5
"""Strengths of F-Noise, F-Drop and DropOut, as in CCT's code."""

KINDS = ("F-Noise", "F-Drop", "DropOut", "Con-Msk", "Obj-Msk")
"""CCT's names of the perturbations, in the order of their decoders."""

UNSUPERVISED_WEIGHT = 30.0
RAMP_SHARE = 0.1
"""CCT's weight of the disagreement, and the share of the training in which it is reached."""

MAIN_BIAS = f"main.{LAST_BIAS}"
"""Name of the main decoder's bias in the head's state. No other head has such a tensor."""


@dataclass(frozen=True)
class Perturbations:
    """Random numbers of one step.

    Attributes:
        noise: (C, h, w) float32 in -0.3 to 0.3; as in CCT's code one for all images of the step.
        threshold: share of an image's largest activation from which locations are dropped.
        channels: (B, C, 1, 1) float32, 0 for a channel that is dropped and 2 for the others, so
            that the mean stays.
    """

    noise: Tensor
    threshold: float
    channels: Tensor

    def apply(self, features: Tensor, foreground: Tensor) -> list[Tensor]:
        """Perturb features in each way of `KINDS`.

        Args:
            features: (B, C, h, w), not negative.
            foreground: (B, h, w) bool, where the main decoder predicts a base class.

        Returns:
            As many tensors of the features' shape. F-Noise multiplies by 1 + noise. F-Drop drops
            the most active locations. DropOut drops channels. Con-Msk drops the predicted
            background, Obj-Msk the predicted objects.
        """
        activity = features.mean(dim=1, keepdim=True)
        limit = self.threshold * activity.amax(dim=(-2, -1), keepdim=True)
        objects = foreground[:, None]
        return [
            features * (1 + self.noise),
            features * (activity < limit),
            features * self.channels,
            features * objects,
            features * ~objects,
        ]


def draw_perturbations(
    rng: np.random.Generator, images: int, size: tuple[int, int], ranks: Ranks = ALONE
) -> Perturbations:
    """Draw the numbers of one step.

    Args:
        rng: the step's generator, the same on all ranks.
        images: number of unlabelled images B of each rank.
        size: feature size (h, w).
        ranks: this rank takes its part of what is drawn for the images of all ranks.
    """
    noise = NOISE * (2 * rng.random((HEAD_WIDTH, *size), np.float32) - 1)
    threshold = float(rng.uniform(*THRESHOLDS))
    kept = rng.random((ranks.size, images, HEAD_WIDTH, 1, 1), np.float32) >= DROP_RATE
    channels = kept[ranks.number].astype(np.float32) / np.float32(1 - DROP_RATE)
    return Perturbations(torch.from_numpy(noise), threshold, torch.from_numpy(channels))


@dataclass(frozen=True)
class Predictions:
    """Logits of all decoders at feature size; n is 1 + the number of base classes.

    Attributes:
        labelled: (P, n, h, w) of the main decoder for labelled images.
        target: (B, n, h, w) of the main decoder for unlabelled images, without gradient.
        auxiliary: each (B, n, h, w), of an auxiliary decoder for the perturbed features.
    """

    labelled: Tensor
    target: Tensor
    auxiliary: Sequence[Tensor]


class ConsistencyHead(nn.Module):
    """A main decoder, a `MiningHead` for base classes, and an auxiliary one for each of `KINDS`.

    Args:
        channels: channels C of the encoder.
        classes: 1 + the number of base classes.
        generator: of the initial weights.
        ranks: ranks whose images batch norm sees together.
    """

    def __init__(
        self, channels: int, classes: int, generator: torch.Generator, ranks: Ranks = ALONE
    ) -> None:
        super().__init__()
        self.main = MiningHead(channels, classes, generator, ranks)
        self.auxiliary = nn.ModuleList()
        for _ in KINDS:
            decoder = nn.Conv2d(HEAD_WIDTH, classes, 1)
            nn.init.normal_(decoder.weight, std=0.01, generator=generator)
            nn.init.zeros_(decoder.bias)  # type: ignore[arg-type]
            self.auxiliary.append(decoder)

    def forward(self, features: Tensor, labelled: int, drawn: Perturbations) -> Predictions:
        """Predict the base classes.

        Args:
            features: (P + B, C, h, w), labelled images first.
            labelled: P.
            drawn: perturbations of the other images.
        """
        *shared, decoder = self.main
        for layer in shared:
            features = layer(features)
        pool = features[labelled:]
        with torch.no_grad():
            target = decoder(pool)
        perturbed = drawn.apply(pool, target.argmax(dim=1) > 0)
        pairs = zip(self.auxiliary, perturbed, strict=True)
        return Predictions(decoder(features[:labelled]), target, [each(x) for each, x in pairs])


def disagreement(found: Predictions) -> Tensor:
    """Compute the mean squared error between the softmax of auxiliary and main decoders.

    The mean is over images, classes, locations and auxiliary decoders; no gradient reaches the main
    decoder's prediction.
    """
    target = found.target.detach().float().softmax(dim=1)
    errors = [mse_loss(scores.float().softmax(dim=1), target) for scores in found.auxiliary]
    return torch.stack(errors).mean()


def base_accuracy(found: Predictions, labels: Tensor) -> Tensor:
    """Return the share of a query's valid pixels that the main decoder has right, on a grid.

    The mean is over the queries, so that ranks with different numbers of ignored pixels weigh the
    same.

    Args:
        found: predictions.
        labels: (P, H, W) uint8 in 0 to n - 1; 255 is ignored.
    """
    pairs = zip(found.labelled.split(1), labels.split(1), strict=True)
    return torch.stack([label_agreement(scores, truth) for scores, truth in pairs]).mean()


def agreement(found: Predictions) -> Tensor:
    """Return the share of locations where auxiliary decoders predict the main decoder's class."""
    main = found.target.argmax(dim=1)
    equal = [(scores.detach().argmax(dim=1) == main).float().mean() for scores in found.auxiliary]
    return torch.stack(equal).mean()


def disagreement_weight(step: int, iterations: int) -> float:
    """Return the weight of the disagreement at a step, counted from 0.

    It is 30 exp(-5 (1 - t)^2), where t goes from 0 to 1 in the first tenth of the training.
    """
    missing = max(0.0, 1 - step / (RAMP_SHARE * iterations))
    return UNSUPERVISED_WEIGHT * math.exp(-5 * missing**2)
