"""Pictures of scored episodes (figure 4)."""

from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np
from PIL import Image

from fsslib.data.folds import IGNORE
from fsslib.data.images import UInt8
from fsslib.evaluation.episodes import Episode, EpisodeSet
from fsslib.evaluation.passes import Reader
from fsslib.pictures.panels import episode_tiles, grid


def sample_episodes(episodes: EpisodeSet, each: int = 2) -> list[Episode]:
    """Return a fixed sample: the first `each` episodes of every class, with the fewest shots.

    The sample has ten episodes at most. With several ways, each list of classes counts as a class.
    """
    fewest = min(episodes.shots)
    chosen: dict[tuple[int, ...], list[Episode]] = {}
    for episode in episodes.episodes:
        if episode.shots == fewest:
            group = chosen.setdefault(episode.class_ids, [])
            if len(group) < each:
                group.append(episode)
    return [episode for _, group in sorted(chosen.items()) for episode in group][:10]


def episode_panel(
    read_image: Reader,
    read_mask: Reader,
    episodes: Sequence[Episode],
    predictions: Sequence[UInt8],
    names: Mapping[int, str],
) -> bytes:
    """Draw support, truth and prediction of each episode as PNG, two episodes per row (figure 4).

    Args:
        read_image: reads photographs of the val split.
        read_mask: reads masks of the val split.
        episodes: episodes to show; only the first way and its first support are shown.
        predictions: result of `predict_episode` for each episode.
        names: class id -> name.
    """
    shown = [
        _show(read_image, read_mask, episode, predicted, names)
        for episode, predicted in zip(episodes, predictions, strict=True)
    ]
    # Two episodes side by side keep the sheet near a page's shape.
    return grid([[*chain(*shown[i : i + 2])] for i in range(0, len(shown), 2)])


def _show(
    read_image: Reader,
    read_mask: Reader,
    episode: Episode,
    predicted: UInt8,
    names: Mapping[int, str],
) -> list[tuple[str, Image.Image]]:
    class_id, support = episode.class_ids[0], episode.supports[0][0]
    return episode_tiles(
        read_image(support),
        _binary(read_mask(support), class_id),
        read_image(episode.query),
        _binary(read_mask(episode.query), class_id),
        (predicted == class_id).astype(np.uint8),
        names[class_id],
    )


def _binary(mask: UInt8, class_id: int) -> UInt8:
    return np.where(mask == IGNORE, IGNORE, mask == class_id).astype(np.uint8)
