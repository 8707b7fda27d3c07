"""Predicts a fold's first episodes again, and draws the best and the worst for a report."""

from collections.abc import Mapping

from fsslib.pictures.episodes import episode_panel
from fsslib.pictures.page.ranking import best_and_worst, different_queries, episode_iou

from .common import Bar
from .params import (
    Params,
)
from .scoring import open_scoring


def ranked_episodes(fold: int, everything: Params, most: int) -> tuple[int, Mapping[str, bytes]]:
    """Predict up to `most` episodes with different queries, as `evaluate` does.

    Returns:
        The number of episodes, and the pictures `best` and `worst` as PNG.
    """
    scoring = open_scoring(fold, everything)
    episodes = different_queries(scoring.episodes.episodes, most)
    with Bar(f"Episodes of fold {fold}", len(episodes)) as bar:
        predicted = [scoring.predict(episode) for episode in bar.count(episodes)]
    ious = [
        episode_iou(mask, scoring.masks(episode.query), episode.class_ids[0])
        for episode, mask in zip(episodes, predicted, strict=True)
    ]
    named = zip(("best", "worst"), best_and_worst(ious), strict=True)
    return len(episodes), {
        name: episode_panel(
            scoring.images,
            scoring.masks,
            [episodes[i] for i in order],
            [predicted[i] for i in order],
            scoring.manifest.classes,
        )
        for name, order in named
        if order
    }
