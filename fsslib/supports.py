"""Support prototypes of a whole protocol: each (image, class) once, shared by all its episodes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fsslib.data.folds import IGNORE
from fsslib.data.images import UInt8
from fsslib.episodes import Episode
from fsslib.errors import FsslibError
from fsslib.pooling import image_embedding, masked_sums
from fsslib.rectification import fuse_background, rectify_foreground
from fsslib.regions import RegionIndex

Classes = tuple[int, ...]
"""The ways of an episode in ascending order; background is what belongs to none of them."""


def needs(episodes: Sequence[Episode]) -> dict[str, tuple[list[int], list[Classes]]]:
    """For each support image, in sorted order: classes to pool, and sets to pool the rest of."""
    foreground: dict[str, set[int]] = {}
    background: dict[str, set[Classes]] = {}
    for episode in episodes:
        ways = tuple(sorted(episode.class_ids))
        for class_id, ids in zip(episode.class_ids, episode.supports, strict=True):
            for image_id in ids:
                foreground.setdefault(image_id, set()).add(class_id)
                background.setdefault(image_id, set()).add(ways)
    return {i: (sorted(foreground[i]), sorted(background[i])) for i in sorted(foreground)}


@dataclass(frozen=True)
class SupportBank:
    """Prototypes of all supports, eq. 2, the foreground rectified already where it is asked for.

    Attributes:
        foreground: (Nf, C) float32, one for each (image, class).
        background: (Nb, C) float32, one for each (image, ways); zero where there is none.
        has_background: (Nb,) float32, 0 where the ways cover the whole image, else 1.
        foreground_row: (image id, class id) -> row.
        background_row: (image id, ways) -> row.
    """

    foreground: Tensor
    background: Tensor
    has_background: Tensor
    foreground_row: dict[tuple[str, int], int]
    background_row: dict[tuple[str, Classes], int]

    def of_episodes(
        self, episodes: Sequence[Episode], global_background: Tensor | None, w: float
    ) -> tuple[Tensor, Tensor]:
        """Prototypes of episodes that have the same numbers of shots and ways.

        Args:
            episodes: E of them.
            global_background: (C,) for eq. 7, or None to use the supports' background alone.
            w: of eq. 7.

        Returns:
            foreground: (E, ways, C), mean over the shots.
            background: (E, C), mean over all supports that have background, fused by eq. 7.
        """
        device = self.foreground.device
        rows = [
            [[self.foreground_row[i, c] for i in ids] for c, ids in _ways(episode)]
            for episode in episodes
        ]
        foreground = self.foreground[torch.tensor(rows, device=device)].mean(dim=2)
        behind = [
            [
                self.background_row[i, tuple(sorted(episode.class_ids))]
                for _, ids in _ways(episode)
                for i in ids
            ]
            for episode in episodes
        ]
        index = torch.tensor(behind, device=device)
        number = self.has_background[index].sum(1, keepdim=True).clamp(min=1)
        background = self.background[index].sum(1) / number
        if global_background is not None:
            background = fuse_background(global_background.to(device), background, w)
        return foreground, background


def _ways(episode: Episode) -> list[tuple[int, tuple[str, ...]]]:
    return list(zip(episode.class_ids, episode.supports, strict=True))


def collect_supports(
    episodes: Sequence[Episode],
    features: Callable[[str], Tensor],
    read_mask: Callable[[str], UInt8],
    index: RegionIndex | None,
    top_n: int,
    beta: float,
    on_image: Callable[[], None] = lambda: None,
) -> SupportBank:
    """Pool the prototypes of every support (eq. 2) and rectify the foregrounds (eq. 8, 9).

    Args:
        episodes: whose supports are wanted, at least one.
        features: image id -> (C, h, w) float32.
        read_mask: image id -> (H, W) uint8, H and W of any size: the mask is carried to the
            features' grid.
        index: regions for eq. 8 and 9, or None to leave the foreground as it is.
        top_n: images of eq. 8.
        beta: of eq. 8.
        on_image: called after each image.

    Raises:
        FsslibError: a support without a pixel of its class.
    """
    foreground, embeddings, background, counts = [], [], [], []
    foreground_row: dict[tuple[str, int], int] = {}
    background_row: dict[tuple[str, Classes], int] = {}
    for image_id, (class_ids, ways) in needs(episodes).items():
        feature = features(image_id)
        mask = torch.tensor(read_mask(image_id), device=feature.device)
        wanted = [mask == c for c in class_ids] + [background_of(mask, w) for w in ways]
        sums, pixels = masked_sums(feature, torch.stack(wanted))
        prototypes = sums / pixels.clamp(min=1)[:, None]
        for place, class_id in enumerate(class_ids):
            if pixels[place] == 0:
                raise FsslibError(
                    f"support {image_id} holds no pixel of class {class_id}: draw the episodes "
                    "again on these masks (where resize made it vanish, with more min_pixels)"
                )
            foreground_row[image_id, class_id] = len(foreground_row)
            embeddings.append(image_embedding(feature))
        background_row.update({(image_id, w): len(background_row) + i for i, w in enumerate(ways)})
        foreground.append(prototypes[: len(class_ids)])
        background.append(prototypes[len(class_ids) :])
        counts.append(pixels[len(class_ids) :])
        on_image()
    rectified = torch.cat(foreground)
    if index is not None:
        rectified = rectify_foreground(rectified, torch.stack(embeddings), index, top_n, beta)
    has_background = (torch.cat(counts) > 0).float()
    return SupportBank(
        rectified, torch.cat(background), has_background, foreground_row, background_row
    )


def background_of(mask: Tensor, class_ids: Classes) -> Tensor:
    """Where an index mask (H, W) is neither one of the classes nor 255; (H, W) bool."""
    rest = mask != IGNORE
    for class_id in class_ids:
        rest = rest & (mask != class_id)
    return rest
