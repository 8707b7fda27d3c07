"""The evaluation protocol at about one encoding an image (eq. 5, 7-9; section 4.1).

A prototype depends on (image, class) alone and a score map on (query, prototypes) alone. So the
supports are encoded once each, all prototypes are made and rectified, and then the episodes of a
query are scored together against its features. The numbers are those of encoding every support
and query again for every episode, to rounding.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

from fsslib.data import images
from fsslib.data.folds import IGNORE
from fsslib.data.images import UInt8
from fsslib.data.manifest import Manifest
from fsslib.episodes import Episode
from fsslib.errors import FsslibError
from fsslib.feature_cache import FeatureCache
from fsslib.inference import CHUNK_BYTES, label_chunks
from fsslib.metrics import Counts
from fsslib.regions import RegionIndex
from fsslib.supports import Classes, SupportBank, collect_supports, needs

Encode = Callable[[UInt8], Tensor]
"""(H, W, 3) uint8 sRGB -> (C, h, w) float32 on the device to compute on. It may resize the image:
masks are carried to the features' grid and scores to the query mask's size, whatever it is."""

Reader = Callable[[str], UInt8]
"""Image id -> its photograph (H, W, 3) or its index mask (H, W)."""

Progress = Callable[[str, int, int], None]
"""Called with the phase (`supports` or `queries`), images done and images in all."""

WORKING_BYTES = 4 * CHUNK_BYTES
"""Part of the memory budget that score maps and masks need; the rest holds features."""


@dataclass(frozen=True)
class Evaluation:
    """What a run measured.

    Attributes:
        counts: number of shots -> pixel counts of all seeds.
        episodes: scored in all.
        images: distinct images among queries and supports.
        encodings: forward passes; equal to `images` when the budget held all features.
        encode_seconds: reading and encoding images.
        score_seconds: everything else.
    """

    counts: dict[int, Counts]
    episodes: int
    images: int
    encodings: int
    encode_seconds: float
    score_seconds: float


def manifest_readers(manifest: Manifest) -> tuple[Reader, Reader]:
    """Readers of photographs and masks of the val split, by image id."""
    records = {record.id: record for record in manifest.val}
    return (
        lambda image_id: images.read_image(manifest.image_path(records[image_id])),
        lambda image_id: images.read_mask(manifest.mask_path(records[image_id])),
    )


@torch.no_grad()
def evaluate(
    encode: Encode,
    read_image: Reader,
    read_mask: Reader,
    episodes: Sequence[Episode],
    novel: Sequence[int],
    *,
    global_background: Tensor | None = None,
    index: RegionIndex | None = None,
    w: float = 0.9,
    beta: float = 0.2,
    top_n: int = 4,
    sigma: float = 20.0,
    memory_bytes: int | None = None,
    on_progress: Progress = lambda phase, done, total: None,
) -> Evaluation:
    """Score episodes of any seeds and numbers of shots in one run.

    Args:
        encode: see `Encode`.
        read_image: see `Reader`.
        read_mask: see `Reader`; 255 is ignored.
        episodes: in any order; the result does not depend on it.
        novel: class ids to count, in the order of the report.
        global_background: (C,) for eq. 7, None for the current background alone.
        index: for eq. 8 and 9, None for the plain support prototype.
        w: of eq. 7.
        beta: of eq. 8.
        top_n: images of eq. 8.
        sigma: of eq. 5.
        memory_bytes: budget for features and working memory, None for no limit. It decides only
            whether features of an image that is both support and query are kept or made again.
        on_progress: see `Progress`.

    Raises:
        FsslibError: no episodes, a class outside `novel`, or a support without its class.
    """
    if not episodes:
        raise FsslibError("episodes: none to score, draw at least one")
    unknown = {c for e in episodes for c in e.class_ids} - set(novel)
    if unknown:
        raise FsslibError(f"episodes: classes {sorted(unknown)} are not novel in this fold")
    started = time.perf_counter()
    watch = _Watch()

    def forward(image_id: str) -> Tensor:
        with watch:
            return encode(read_image(image_id))

    ordered = sorted(episodes, key=_order)
    support_ids = needs(ordered)
    query_ids = sorted({e.query for e in ordered})
    spare = None if memory_bytes is None else max(0, memory_bytes - WORKING_BYTES)
    cache = FeatureCache(forward, query_ids, spare)
    done = _Ticks(on_progress, "supports", len(support_ids))
    bank = collect_supports(ordered, cache.look, read_mask, index, top_n, beta, done.tick)
    seeds = tuple(sorted({e.seed for e in ordered}))
    counts = {n: Counts(seeds, tuple(novel)) for n in sorted({e.shots for e in ordered})}
    done = _Ticks(on_progress, "queries", len(query_ids))
    for query, group in groupby(ordered, key=lambda e: e.query):
        feature = cache.take(query).to(bank.foreground.device)
        _score_query(
            feature, read_mask(query), list(group), bank, counts, global_background, w, sigma
        )
        done.tick()
    total = time.perf_counter() - started
    return Evaluation(
        counts=counts,
        episodes=len(ordered),
        images=len(set(support_ids) | set(query_ids)),
        encodings=cache.encodings,
        encode_seconds=watch.seconds,
        score_seconds=total - watch.seconds,
    )


@torch.no_grad()
def predict_episode(
    encode: Encode,
    read_image: Reader,
    read_mask: Reader,
    episode: Episode,
    *,
    global_background: Tensor | None = None,
    index: RegionIndex | None = None,
    w: float = 0.9,
    beta: float = 0.2,
    top_n: int = 4,
    sigma: float = 20.0,
) -> UInt8:
    """Predict one episode's query with nothing cached; arguments as in `evaluate`.

    Returns:
        (H, W) uint8 of the query's size: 0 background, else the class id.
    """

    def features(image_id: str) -> Tensor:
        return encode(read_image(image_id)).float()

    bank = collect_supports([episode], features, read_mask, index, top_n, beta)
    image = read_image(episode.query)
    feature = encode(image).float()
    foreground, background = bank.of_episodes([episode], global_background, w)
    (won,) = label_chunks(feature, foreground, background, image.shape[:2], sigma)
    values = torch.tensor(episode.class_ids, device=won.device).view(-1, 1, 1)
    return (won[0] * values).sum(0).to(torch.uint8).cpu().numpy()


def _order(episode: Episode) -> tuple[str, int, int, int]:
    return episode.query, episode.shots, episode.seed, episode.index


def _score_query(
    feature: Tensor,
    mask: UInt8,
    episodes: list[Episode],
    bank: SupportBank,
    counts: dict[int, Counts],
    global_background: Tensor | None,
    w: float,
    sigma: float,
) -> None:
    """Score all episodes of one query, ordered by shots, and add them to `counts`."""
    groups = [list(group) for _, group in groupby(episodes, key=lambda e: e.shots)]
    parts = [bank.of_episodes(group, global_background, w) for group in groups]
    foreground = torch.cat([part[0] for part in parts])
    background = torch.cat([part[1] for part in parts])
    truth = torch.tensor(mask, device=feature.device)
    columns = sorted({_set(e) for e in episodes} | {(c,) for e in episodes for c in e.class_ids})
    targets = _targets(truth, columns)
    sizes = targets.sum(0).long().tolist()
    place = {classes: i for i, classes in enumerate(columns)}
    size = (mask.shape[0], mask.shape[1])
    rest = iter(episodes)
    for won in label_chunks(feature, foreground, background, size, sigma):
        flat = won.flatten(2).to(targets.dtype)
        hits = (flat.flatten(0, 1) @ targets).view(*flat.shape[:2], -1).long().tolist()
        any_hits = (
            hits if flat.shape[1] == 1 else (flat.sum(1, keepdim=True) @ targets).long().tolist()
        )
        for of_ways, of_any in zip(hits, any_hits, strict=True):
            episode = next(rest)
            table = counts[episode.shots]
            for class_id, row in zip(episode.class_ids, of_ways, strict=True):
                column = place[class_id,]
                table.add(episode.seed, class_id, row[column], row[-1], sizes[column])
            column = place[_set(episode)]
            table.add_binary(
                episode.seed, of_any[0][column], of_any[0][-1], sizes[column], sizes[-1]
            )


class _Watch:
    """Sums the seconds spent inside `with`."""

    def __init__(self) -> None:
        self.seconds = self._since = 0.0

    def __enter__(self) -> None:
        self._since = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self._since


class _Ticks:
    """Counts images for `on_progress`."""

    def __init__(self, on_progress: Progress, phase: str, total: int) -> None:
        self._report = on_progress
        self._phase, self._done, self._total = phase, 0, total

    def tick(self) -> None:
        self._done += 1
        self._report(self._phase, self._done, self._total)


def _set(episode: Episode) -> Classes:
    return tuple(sorted(episode.class_ids))


def _targets(truth: Tensor, columns: Sequence[Classes]) -> Tensor:
    """Where the mask is one of each column's classes, and last where it is not ignored.

    Returns:
        (H*W, columns + 1); float32 counts exactly up to 2^24 px, larger images take float64.
    """
    masks = [torch.isin(truth, torch.tensor(c, device=truth.device)) for c in columns]
    masks.append(truth != IGNORE)
    dtype = torch.float32 if truth.numel() < 1 << 24 else torch.float64
    return torch.stack(masks).flatten(1).T.to(dtype)
