"""The evaluation protocol with about one encoding per image (eq. 5, 7-9; section 4.1).

A prototype depends only on (image, class), and a score map only on (query, prototypes). So each
support is encoded once, all prototypes are computed and rectified, and then all episodes of a query
are scored together on its features. Up to rounding, the numbers are the same as when every support
and query is encoded again for every episode.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

from fsslib.data import images
from fsslib.data.images import UInt8
from fsslib.data.manifest import Manifest
from fsslib.encoders.running import Encode, map_ordered
from fsslib.errors import FsslibError
from fsslib.evaluation.episodes import Episode
from fsslib.evaluation.matching import CHUNK_BYTES, label_chunks
from fsslib.evaluation.metrics import Counts
from fsslib.evaluation.passes import Passes, Reader
from fsslib.evaluation.query_features import FeatureCache
from fsslib.evaluation.refining import GuidedFilter, Refining
from fsslib.evaluation.supports import (
    Need,
    Support,
    SupportBank,
    make_bank,
    needs,
    pool_support,
)
from fsslib.evaluation.tallies import Tally, score_query
from fsslib.rectification.rectify import Rectification

Progress = Callable[[str, int, int], None]
"""Called with the phase (`supports` or `queries`), the images done and the number of all images."""

WORKING_BYTES = 4 * CHUNK_BYTES
"""Part of the memory budget for one thread's score maps and masks; the rest is for features."""

UNCHANGED = Rectification()


@dataclass(frozen=True)
class Evaluation:
    """Results of an evaluation run.

    Attributes:
        counts: number of shots -> pixel counts of all seeds.
        episodes: number of scored episodes.
        images: number of distinct images among queries and supports.
        encodings: number of forward passes; equal to `images` if the budget held all features.
        seconds: duration of the whole run.
        encode_seconds: seconds of reading and encoding images, summed over the threads.
    """

    counts: dict[int, Counts]
    episodes: int
    images: int
    encodings: int
    seconds: float
    encode_seconds: float


def manifest_readers(manifest: Manifest) -> tuple[Reader, Reader]:
    """Return readers of the photographs and of the masks of the val split, by image id."""
    records = {record.id: record for record in manifest.val}

    def read_image(image_id: str) -> UInt8:
        record = records[image_id]
        return images.read_image(manifest.image_path(record), record.size)

    def read_mask(image_id: str) -> UInt8:
        record = records[image_id]
        return images.read_mask(manifest.mask_path(record), record.size)

    return read_image, read_mask


def evaluate(
    encode: Encode,
    read_image: Reader,
    read_mask: Reader,
    episodes: Sequence[Episode],
    novel: Sequence[int],
    rectification: Rectification = UNCHANGED,
    *,
    refining: Refining | None = None,
    boundary: bool = False,
    memory_bytes: int | None = None,
    workers: int = 0,
    on_progress: Progress = lambda phase, done, total: None,
) -> Evaluation:
    """Score episodes of any seeds and numbers of shots in one run.

    Args:
        encode: see `Encode`. It may resize the image; masks and scores follow.
        read_image: see `Reader`.
        read_mask: see `Reader`; 255 is ignored.
        episodes: in any order, which does not matter.
        novel: class ids to count, in the order of the report.
        rectification: rectification of the prototypes, on the device of the features.
        refining: of the margins by the query's photograph; None is the paper's protocol.
        boundary: whether boundary IoU is counted too, which takes longer.
        memory_bytes: budget for features and working memory, None for no limit. It only decides
            if features of an image that is both support and query are kept or computed again.
        workers: threads that take one image each, 0 for the calling thread. Sums do not depend on
            it if torch uses one thread per image (`one_thread_each`).
        on_progress: see `Progress`.

    Raises:
        FsslibError: there are no episodes, a class is not in `novel`, or a support lacks its class.
    """
    require_novel(episodes, novel)
    started, ordered = time.perf_counter(), sorted(episodes, key=by_query)
    support_needs, query_ids = needs(ordered), sorted({e.query for e in ordered})
    cache = FeatureCache(query_ids, _for_features(memory_bytes, workers))
    forward = Passes(encode, read_image)

    def pool(need: Need) -> tuple[Tensor, Support]:
        feature = forward(need.image_id)
        return feature, _pooled(feature, read_mask, need)

    pooled = map_ordered(pool, support_needs, workers)
    bank = make_bank(_kept(pooled, cache, len(support_needs), on_progress), rectification)

    def score(query: str, group: list[Episode], kept: Tensor | None) -> list[Tally]:
        feature = forward(query) if kept is None else kept.to(bank.foreground.device)
        guide = _guide(refining, read_image, query, feature)
        return score_query(feature, read_mask(query), group, bank, guide, boundary)

    counts = empty_counts(ordered, novel)
    work = ((q, list(group), cache.take(q)) for q, group in groupby(ordered, lambda e: e.query))
    for done, tallies in enumerate(map_ordered(lambda item: score(*item), work, workers), 1):
        _add(tallies, counts)
        on_progress("queries", done, len(query_ids))
    images = len({need.image_id for need in support_needs} | set(query_ids))
    passed = forward.number, time.perf_counter() - started, forward.seconds
    return Evaluation(counts, len(ordered), images, *passed)


def _for_features(memory_bytes: int | None, workers: int) -> int | None:
    """Return the part of the budget that is left for features; None for no limit."""
    return None if memory_bytes is None else max(0, memory_bytes - WORKING_BYTES * max(1, workers))


def _kept(
    pooled: Iterable[tuple[Tensor, Support]], cache: FeatureCache, total: int, told: Progress
) -> Iterator[Support]:
    """Yield the supports in order; features of supports that are also queries go to the cache."""
    for done, (feature, support) in enumerate(pooled, 1):
        cache.offer(support.need.image_id, feature)
        told("supports", done, total)
        yield support


def require_novel(episodes: Sequence[Episode], novel: Sequence[int]) -> None:
    """Raise `FsslibError` if there is no episode, or one of a class that is not novel."""
    if not episodes:
        raise FsslibError("episodes: none to score, draw at least one")
    unknown = {c for e in episodes for c in e.class_ids} - set(novel)
    if unknown:
        raise FsslibError(f"episodes: classes {sorted(unknown)} are not novel in this fold")


def _guide(
    refining: Refining | None, read_image: Reader, query: str, feature: Tensor
) -> GuidedFilter | None:
    return GuidedFilter(read_image(query), refining, feature.device) if refining else None


def _add(tallies: Iterable[Tally], counts: dict[int, Counts]) -> None:
    for tally in tallies:
        tally.add_to(counts[tally.episode.shots])


def empty_counts(episodes: Sequence[Episode], novel: Sequence[int]) -> dict[int, Counts]:
    """Return number of shots -> empty counts of all seeds."""
    seeds = tuple(sorted({e.seed for e in episodes}))
    return {n: Counts(seeds, tuple(novel)) for n in sorted({e.shots for e in episodes})}


def predict_episode(
    encode: Encode,
    read_image: Reader,
    read_mask: Reader,
    episode: Episode,
    rectification: Rectification = UNCHANGED,
    *,
    refining: Refining | None = None,
    workers: int = 0,
) -> UInt8:
    """Predict one episode's query without a cache; the arguments are those of `evaluate`.

    Returns:
        (H, W) uint8 of the query's size: 0 for background, otherwise the class id.
    """
    wanted: list[Need | None] = [*needs([episode]), None]

    def work(need: Need | None) -> tuple[Tensor, Support | None]:
        image_id = episode.query if need is None else need.image_id
        feature = encode(read_image(image_id)).float()
        return feature, None if need is None else _pooled(feature, read_mask, need)

    parts = list(map_ordered(work, wanted, workers))
    bank = make_bank((support for _, support in parts if support), rectification)
    return _predict(parts[-1][0], read_image(episode.query), episode, bank, refining)


@torch.no_grad()
def _predict(
    feature: Tensor,
    photograph: UInt8,
    episode: Episode,
    bank: SupportBank,
    refining: Refining | None,
) -> UInt8:
    guide = GuidedFilter(photograph, refining, feature.device) if refining else None
    size = photograph.shape[0], photograph.shape[1]
    (won,) = label_chunks(feature, *bank.of_episodes([episode]), size, guide)
    values = torch.tensor(episode.class_ids, device=won.device).view(-1, 1, 1)
    return (won[0] * values).sum(0).to(torch.uint8).cpu().numpy()


def by_query(episode: Episode) -> tuple[str, int, int, int]:
    """Key that orders episodes by query, then by shots, seed and index."""
    return episode.query, episode.shots, episode.seed, episode.index


@torch.no_grad()
def _pooled(feature: Tensor, read_mask: Reader, need: Need) -> Support:
    mask = torch.tensor(read_mask(need.image_id), device=feature.device)
    return pool_support(feature, mask, need)
