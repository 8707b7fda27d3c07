"""A picture of training, which always shows the same episodes and pool images."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from fsslib.data.batches import EXAMPLES, StepBatches
from fsslib.data.images import UInt8
from fsslib.data.transforms import centre_square
from fsslib.encoders.base import normalise
from fsslib.pictures.panels import (
    TILE,
    Rows,
    colour_mask,
    compared_mask,
    episode_tiles,
    grid,
    sheet,
)
from fsslib.training.losses import episode_prototypes, query_scores
from fsslib.training.progress import foreground_iou, predicted_labels
from fsslib.training.trainer import Trainer

Tiles = list[tuple[str, Image.Image]]


@dataclass(frozen=True)
class ShownEpisode:
    """A base-class episode: the class and S supports, then the query.

    Attributes:
        name: name of the class.
        images: (S + 1, 3, c, c) uint8.
        masks: (S + 1, c, c) uint8; values are 1, 0 or 255.
    """

    name: str
    images: Tensor
    masks: Tensor


@dataclass(frozen=True)
class ShownImage:
    """A pool image, (3, c, c) uint8, and its pseudo-mask, (c, c) uint8 in 0 to K."""

    image: Tensor
    mask: Tensor


@dataclass(frozen=True)
class Examples:
    """The episodes and pool images that every picture of a training run shows."""

    episodes: list[ShownEpisode]
    pool: list[ShownImage]


def fixed_examples(batches: StepBatches, episodes: int = 4, pool: int = 4) -> Examples:
    """Draw crops of training images once, by the batches' seed and apart from every step's draws.

    Args:
        batches: batches of the run.
        episodes: number of episodes, each of another class if there are enough classes.
        pool: number of pool images, none for the baseline. Each is a square from the middle of its
            image, not augmented.

    Raises:
        FsslibError: an image or a mask cannot be read, or they differ in size.
    """
    rng = np.random.default_rng([batches.plan.seed, EXAMPLES])
    order = rng.permutation(sorted(batches.names))
    drawn = []
    for number in range(episodes):
        class_id = int(order[number % len(order)])
        images, masks, _ = batches.draw_pair(class_id, rng)
        name = batches.names[class_id]
        drawn.append(ShownEpisode(name, torch.stack(images), torch.stack(masks)))
    chosen = rng.permutation(len(batches.pool))[: pool if batches.mined else 0]
    squares = (
        centre_square(*batches.read_pool(batches.pool[i]), batches.plan.crop) for i in chosen
    )
    return Examples(drawn, [ShownImage(image, mask) for image, mask in squares])


def training_picture(trainer: Trainer, examples: Examples) -> bytes:
    """Draw the current model's predictions for the examples as PNG; the trainer is unchanged.

    Queries are predicted as in training (eq. 5 to 7), with the weights of the last step. The head's
    batch norm uses its running statistics, as for any new image.
    """
    modules = [trainer.encoder] if trainer.head is None else [trainer.encoder, trainer.head]
    with _still(*modules):
        shown = [_episode(trainer, episode) for episode in examples.episodes]
        mined = [] if trainer.head is None else [_mined(trainer, i) for i in examples.pool]
    done = f"step {trainer.step_number} of {trainer.settings.iterations}"
    title = f"Episodes of base classes, {done}: mean IoU {_mean([iou for _, iou in shown])}"
    blocks = [(title, _two_a_row([tiles for tiles, _ in shown]))]
    if mined:
        mean = _mean([share for _, share in mined])
        title = f"Pseudo-masks and the auxiliary head, pale where it differs: {mean} % agree"
        blocks.append((title, _two_a_row([tiles for tiles, _ in mined])))
    return sheet(blocks)


def no_picture(reason: str) -> bytes:
    """Draw a sheet that only says why there is no picture, as PNG."""
    return grid([[(reason, Image.new("RGB", (3 * TILE, TILE), "white"))]])


@contextmanager
def _still(*modules: nn.Module) -> Iterator[None]:
    """Set modules to `eval` without gradients, and restore their modes afterwards."""
    modes = [module.training for module in modules]
    for module in modules:
        module.eval()
    try:
        # `inference_mode` would not work: pooling keeps the interpolation matrices made here,
        # and training could not differentiate through them.
        with torch.no_grad():
            yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.train(mode)


def _encode(trainer: Trainer, images: Tensor) -> Tensor:
    """Encode (B, 3, c, c) uint8 to (B, C, h, w) float32, whatever the precision of training."""
    batch = normalise(images.to(trainer.device))
    features: Tensor = trainer.encoder(batch.contiguous(memory_format=torch.channels_last))
    return features


def _episode(trainer: Trainer, shown: ShownEpisode) -> tuple[Tiles, float]:
    """Return the tiles of an episode and the IoU of its query in percent."""
    features, masks = _encode(trainer, shown.images), shown.masks.to(trainer.device)
    foreground, background = episode_prototypes(features[None, :-1], masks[None, :-1])
    settings, known = trainer.settings, trainer.memory.value()
    share, sigma = settings.background_share, settings.sigma
    scores = query_scores(features[-1:], foreground, background, known, share, sigma)
    photographs, arrays = _arrays(shown.images), shown.masks.numpy()
    tiles = episode_tiles(
        photographs[0], arrays[0], photographs[-1], arrays[-1], _labels(scores, masks), shown.name
    )
    return tiles, 100 * foreground_iou(scores, masks[-1:]).item()


def _mined(trainer: Trainer, shown: ShownImage) -> tuple[Tiles, float]:
    """Return the tiles of a pool image and the percentage of pixels that the head has right."""
    assert trainer.head is not None
    mask, pseudo = shown.mask[None].to(trainer.device), shown.mask.numpy()
    scores = trainer.head(_encode(trainer, shown.image[None]))
    labels = _labels(scores, mask)
    share = 100 * float(np.mean(labels == pseudo))
    return [
        ("photograph", Image.fromarray(_arrays(shown.image))),
        ("pseudo-mask", colour_mask(pseudo)),
        (f"auxiliary head, {share:.0f} % agree", compared_mask(labels, pseudo)),
    ], share


def _labels(scores: Tensor, masks: Tensor) -> UInt8:
    """Return the labels of one image, (c, c) uint8, from (1, n, h, w) logits."""
    labels = predicted_labels(scores, (masks.shape[-2], masks.shape[-1]))[0]
    return labels.to(torch.uint8).cpu().numpy()


def _arrays(images: Tensor) -> UInt8:
    """Convert (..., 3, c, c) to (..., c, c, 3)."""
    return images.movedim(-3, -1).contiguous().numpy()


def _mean(values: list[float]) -> str:
    return f"{sum(values) / len(values):.0f}"


def _two_a_row(tiles: list[Tiles]) -> Rows:
    space = ("", Image.new("RGB", (TILE // 12, TILE), "white"))
    pairs = [tiles[i : i + 2] for i in range(0, len(tiles), 2)]
    return [[*pair[0], *([space, *pair[1]] if pair[1:] else [])] for pair in pairs]
