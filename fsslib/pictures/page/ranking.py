"""Ranks episodes by IoU to show the best and the worst."""

from collections.abc import Sequence

import numpy as np

from fsslib.data.folds import IGNORE
from fsslib.data.images import UInt8
from fsslib.evaluation.episodes import Episode

EACH = 4
"""Number of episodes shown as the best, and as the worst."""


def different_queries(episodes: Sequence[Episode], most: int) -> list[Episode]:
    """Return the first episodes with the fewest shots, each with another query.

    The same query ten times would show nothing new.
    """
    fewest = min(episode.shots for episode in episodes)
    first: dict[str, Episode] = {}
    for episode in episodes:
        if episode.shots == fewest and len(first) < most:
            first.setdefault(episode.query, episode)
    return list(first.values())


def episode_iou(predicted: UInt8, truth: UInt8, class_id: int) -> float:
    """Return the IoU of an episode's query, 0 to 1.

    Args:
        predicted: (H, W) class ids.
        truth: (H, W) class ids; 255 is ignored.
        class_id: class of the episode's first way.
    """
    won, true, counted = predicted == class_id, truth == class_id, truth != IGNORE
    return float((won & true & counted).sum() / max(1, ((won | true) & counted).sum()))


def best_and_worst(ious: Sequence[float], each: int = EACH) -> tuple[list[int], list[int]]:
    """Return the indices of the best episodes, best first, and of the worst, worst first.

    No episode is in both lists.
    """
    order = np.argsort(np.asarray(ious), kind="stable").tolist()
    each = min(each, len(order) // 2)
    return order[::-1][:each], order[:each]
