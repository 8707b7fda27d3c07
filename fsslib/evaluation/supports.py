"""Support prototypes of a whole protocol: each (image, class) once, shared by all its episodes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fsslib.data.folds import IGNORE
from fsslib.errors import FsslibError
from fsslib.evaluation.episodes import Episode
from fsslib.mining.pooling import image_embedding, masked_sums
from fsslib.mining.pooling_batches import sent
from fsslib.rectification.rectify import Rectification

Classes = tuple[int, ...]
"""The ways of an episode in ascending order. Pixels that belong to none of them are background."""


@dataclass(frozen=True)
class Need:
    """What the episodes need from one support image.

    Attributes:
        image_id: id of the support.
        class_ids: classes that need a foreground prototype, ascending.
        ways: sets of classes that need a prototype of the rest of the image, ascending.
    """

    image_id: str
    class_ids: tuple[int, ...]
    ways: tuple[Classes, ...]


def needs(episodes: Sequence[Episode]) -> list[Need]:
    """Return what the episodes need from their supports, ordered by image id."""
    foreground: dict[str, set[int]] = {}
    background: dict[str, set[Classes]] = {}
    for episode in episodes:
        for class_id, ids in episode.ways:
            for image_id in ids:
                foreground.setdefault(image_id, set()).add(class_id)
                background.setdefault(image_id, set()).add(way_set(episode))
    return [
        Need(i, tuple(sorted(foreground[i])), tuple(sorted(background[i])))
        for i in sorted(foreground)
    ]


def way_set(episode: Episode) -> Classes:
    """Return the classes of an episode in ascending order."""
    return tuple(sorted(episode.class_ids))


@dataclass(frozen=True)
class Support:
    """The prototypes pooled from one support image (eq. 2).

    Attributes:
        need: what the episodes need from the image.
        foreground: (classes, C) float32.
        background: (ways, C) float32; zero if the ways cover the whole image.
        has_background: (ways,) float32, 0 if the ways cover the whole image, else 1.
        embedding: (C,) float32, the average of the image's features.
    """

    need: Need
    foreground: Tensor
    background: Tensor
    has_background: Tensor
    embedding: Tensor


def pool_support(feature: Tensor, mask: Tensor, need: Need) -> Support:
    """Pool the prototypes that are needed from a support (eq. 2).

    Args:
        feature: (C, h, w) float32.
        mask: (H, W) uint8 index mask of any size; it is carried to the features' grid.
        need: classes and sets of classes.

    Raises:
        FsslibError: the mask has no pixel of a needed class.
    """
    wanted = [mask == c for c in need.class_ids] + [background_of(mask, w) for w in need.ways]
    sums, pixels = masked_sums(feature, torch.stack(wanted))
    number = len(need.class_ids)
    for class_id, found in zip(need.class_ids, pixels[:number].tolist(), strict=True):
        if not found:
            raise FsslibError(
                f"support {need.image_id} holds no pixel of class {class_id}: draw the episodes "
                "again on these masks (where resize made it vanish, with more min_pixels)"
            )
    prototypes = sums / pixels.clamp(min=1)[:, None]
    return Support(
        need,
        prototypes[:number],
        prototypes[number:],
        (pixels[number:] > 0).float(),
        image_embedding(feature),
    )


def background_of(mask: Tensor, class_ids: Classes) -> Tensor:
    """Return where an index mask (H, W) is neither one of the classes nor 255, as (H, W) bool."""
    rest = mask != IGNORE
    for class_id in class_ids:
        rest = rest & (mask != class_id)
    return rest


@dataclass(frozen=True)
class SupportBank:
    """Prototypes of all supports (eq. 2), with the foreground already rectified if this is set.

    Attributes:
        foreground: (Nf, C) float32, one for each (image, class).
        background: (Nb, C) float32, one for each (image, ways); zero if there is no background.
        has_background: (Nb,) float32, 0 if the ways cover the whole image, else 1.
        foreground_row: (image id, class id) -> row.
        background_row: (image id, ways) -> row.
        rectification: its eq. 7 is still to be applied per episode.
    """

    foreground: Tensor
    background: Tensor
    has_background: Tensor
    foreground_row: dict[tuple[str, int], int]
    background_row: dict[tuple[str, Classes], int]
    rectification: Rectification

    def of_episodes(self, episodes: Sequence[Episode]) -> tuple[Tensor, Tensor]:
        """Return the prototypes of E episodes that have the same numbers of shots and ways.

        Returns:
            foreground: (E, ways, C), the mean over the shots.
            background: (E, C), the mean over all supports that have background, fused by eq. 7.
        """
        device = self.foreground.device
        rows = [[[self.foreground_row[i, c] for i in ids] for c, ids in e.ways] for e in episodes]
        foreground = self.foreground[sent(torch.tensor(rows), device)].mean(dim=2)
        behind = [
            [self.background_row[i, way_set(e)] for _, ids in e.ways for i in ids] for e in episodes
        ]
        index = sent(torch.tensor(behind), device)
        number = self.has_background[index].sum(1, keepdim=True).clamp(min=1)
        background = self.background[index].sum(1) / number
        return foreground, self.rectification.background(background)


def make_bank(
    supports: Iterable[Support], rectification: Rectification, device: torch.device | None = None
) -> SupportBank:
    """Gather pooled supports (at least one) and rectify their foregrounds (eq. 8, 9).

    Args:
        supports: on one device.
        rectification: on the device of the bank.
        device: device of the bank; None for that of the supports.
    """
    foreground_row: dict[tuple[str, int], int] = {}
    background_row: dict[tuple[str, Classes], int] = {}
    foreground, embeddings, background, has_background = [], [], [], []
    for support in supports:
        for class_id in support.need.class_ids:
            foreground_row[support.need.image_id, class_id] = len(foreground_row)
            embeddings.append(support.embedding)
        for ways in support.need.ways:
            background_row[support.need.image_id, ways] = len(background_row)
        foreground.append(support.foreground)
        background.append(support.background)
        has_background.append(support.has_background)
    return SupportBank(
        rectification.foreground(
            torch.cat(foreground).to(device), torch.stack(embeddings).to(device)
        ),
        torch.cat(background).to(device),
        torch.cat(has_background).to(device),
        foreground_row,
        background_row,
        rectification,
    )
