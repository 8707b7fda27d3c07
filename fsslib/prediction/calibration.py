"""Trials that calibrate presence: a support, and a query that holds the class or does not."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from fsslib.data.manifest import ImageRecord
from fsslib.encoders.running import map_ordered
from fsslib.errors import FsslibError
from fsslib.evaluation.episodes import Episode, class_images
from fsslib.evaluation.passes import Reader
from fsslib.evaluation.protocol import UNCHANGED
from fsslib.evaluation.supports import Need, Support, SupportBank, make_bank, needs, pool_support
from fsslib.prediction.presence import presence_scores
from fsslib.prediction.typical import Moments, Typical
from fsslib.rectification.rectify import Rectification

MIN_PIXELS = 2048
"""Least size of the class in a support, and in a query that holds it: the protocol's own."""

T = TypeVar("T")
Score = Callable[[Tensor, Tensor, Tensor, Typical], T]
"""Feature (C, h, w), foreground (1, C), background (C,) and what is typical -> a score."""


@dataclass(frozen=True)
class Trial:
    """One question: is the class of the supports in the query?

    Attributes:
        episode: of one way.
        present: the answer.
    """

    episode: Episode
    present: bool


def draw_trials(
    records: Sequence[ImageRecord],
    class_ids: Sequence[int],
    count: int,
    seed: int,
    shots: int = 1,
    min_pixels: int = MIN_PIXELS,
) -> tuple[Trial, ...]:
    """Draw `count` trials with and `count` without the class, for each class in turn.

    A query without the class has not one pixel of it; labels of other classes are never looked at.

    Args:
        records: images to draw supports and queries from, in any order.
        class_ids: whose presence is asked for; a class with too few images is passed over.
        count: trials of each kind and class.
        seed: non-negative.
        shots: supports.
        min_pixels: least size of the class in supports, and in queries that hold it.

    Raises:
        FsslibError: no class has enough images.
    """
    images = class_images(records, class_ids, min_pixels)
    trials = []
    for class_id in sorted(set(class_ids)):
        rng = np.random.default_rng((seed, class_id))
        without = sorted(r.id for r in records if not r.pixels.get(class_id, 0))
        if len(images[class_id]) <= shots or not without:
            continue
        for index in range(count):
            held = rng.choice(images[class_id], shots + 1, replace=False).tolist()
            supports = (tuple(held[:-1]),)
            for query, present in ((held[-1], True), (str(rng.choice(without)), False)):
                episode = Episode(seed, index, query, (class_id,), supports)
                trials.append(Trial(episode, present))
    if not trials:
        raise FsslibError(
            f"calibration: none of the {len(set(class_ids))} classes has {shots + 1} images with "
            f"{min_pixels} px of it: add images or lower min_pixels"
        )
    return tuple(trials)


def prediction_score(
    feature: Tensor, foreground: Tensor, background: Tensor, typical: Typical
) -> float:
    """What prediction uses, see `presence_scores`."""
    del background
    return float(presence_scores(feature, foreground, typical)[0])


@torch.no_grad()
def score_trials(
    encode: Callable[[str], Tensor],
    read_mask: Reader,
    trials: Sequence[Trial],
    rectification: Rectification = UNCHANGED,
    *,
    workers: int = 0,
    score: Score[T],
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[T], Typical]:
    """Score every trial; an image is encoded once as a support and once as a query.

    Args:
        encode: image id -> feature (C, h, w) float32.
        read_mask: image id -> index mask; only masks of supports are read.
        trials: in any order.
        rectification: of the prototypes, on the device of the features.
        workers: threads that take an image each, 0 for the calling one.
        score: what is measured, usually `prediction_score`.
        on_progress: called with images done and images in all.

    Returns:
        One score a trial, in the order given, and what is typical of the supports' photographs,
        on the device of the features.
    """
    episodes = [t.episode for t in trials]
    wanted = needs(episodes)
    queries = sorted({e.query for e in episodes})
    total = len(wanted) + len(queries)
    moments = Moments()

    @torch.no_grad()
    def pool(need: Need) -> tuple[Tensor, Support]:
        feature = encode(need.image_id)
        mask = torch.tensor(read_mask(need.image_id), device=feature.device)
        return feature, pool_support(feature, mask, need)

    def pooled() -> Iterator[Support]:
        for done, (feature, support) in enumerate(map_ordered(pool, wanted, workers), 1):
            moments.add(feature)
            on_progress(done, total)
            yield support

    bank = make_bank(pooled(), rectification)
    typical = moments.typical().to(bank.foreground.device)
    groups = trials_by_query(trials)

    @torch.no_grad()
    def ask(query: str) -> dict[int, T]:
        feature = encode(query)
        return {
            i: score(feature, *_prototypes(bank, trials[i].episode), typical) for i in groups[query]
        }

    found: dict[int, T] = {}
    for done, part in enumerate(map_ordered(ask, queries, workers), len(wanted) + 1):
        found |= part
        on_progress(done, total)
    return [found[i] for i in range(len(trials))], typical


def trials_by_query(trials: Sequence[Trial]) -> Mapping[str, list[int]]:
    """Query -> numbers of its trials."""
    order = sorted(range(len(trials)), key=lambda i: trials[i].episode.query)
    return {q: list(group) for q, group in groupby(order, key=lambda i: trials[i].episode.query)}


def _prototypes(bank: SupportBank, episode: Episode) -> tuple[Tensor, Tensor]:
    foreground, background = bank.of_episodes([episode])
    return foreground[0], background[0]
