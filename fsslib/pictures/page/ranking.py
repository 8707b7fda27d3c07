"""Which episodes went well and which did not."""

from collections.abc import Sequence

import numpy as np

from fsslib.data.folds import IGNORE
from fsslib.data.images import UInt8
from fsslib.evaluation.episodes import Episode

EACH = 4
"""Episodes shown as the best, and as the worst."""


def different_queries(episodes: Sequence[Episode], most: int) -> list[Episode]:
    """The first episodes of the fewest shots, no query twice: ten times the same says nothing."""
    fewest = min(episode.shots for episode in episodes)
    first: dict[str, Episode] = {}
    for episode in episodes:
        if episode.shots == fewest and len(first) < most:
            first.setdefault(episode.query, episode)
    return list(first.values())


def episode_iou(predicted: UInt8, truth: UInt8, class_id: int) -> float:
    """IoU of an episode's query, 0 to 1.

    Args:
        predicted: (H, W) class ids.
        truth: (H, W) class ids, 255 ignored.
        class_id: of the episode's first way.
    """
    won, true, counted = predicted == class_id, truth == class_id, truth != IGNORE
    return float((won & true & counted).sum() / max(1, ((won | true) & counted).sum()))


def best_and_worst(ious: Sequence[float], each: int = EACH) -> tuple[list[int], list[int]]:
    """Numbers of the best, best first, and of the worst, worst first; none is both."""
    order = np.argsort(np.asarray(ious), kind="stable").tolist()
    each = min(each, len(order) // 2)
    return order[::-1][:each], order[:each]
