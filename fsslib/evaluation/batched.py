"""The evaluation protocol in batches, for a GPU: the numbers of `protocol.evaluate`, to rounding.

Supports are pooled as `extract` pools: sums under each value of the mask, which make up every
foreground and background prototype. All episodes of a batch of queries are scored at once. Features
are not kept, since on a GPU encoding a query again takes less time than moving 10 MB of features.
"""

import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fsslib.data.folds import IGNORE
from fsslib.data.scaling import scale_photograph
from fsslib.encoders.feeding import feed
from fsslib.encoders.lanes import Arrays
from fsslib.encoders.running import PhotographEncoder
from fsslib.encoders.work import Feeding, Loaded, Work
from fsslib.errors import FsslibError
from fsslib.evaluation.episodes import Episode
from fsslib.evaluation.passes import Reader
from fsslib.evaluation.protocol import (
    UNCHANGED,
    Evaluation,
    Progress,
    by_query,
    empty_counts,
    require_novel,
)
from fsslib.evaluation.supports import (
    Need,
    Support,
    SupportBank,
    make_bank,
    needs,
    pool_support,
)
from fsslib.mining.extraction_pass import mask_values
from fsslib.mining.pooling import upsample
from fsslib.mining.pooling_batches import embeddings, padded, sent, value_sums
from fsslib.rectification.rectify import Rectification

Group = tuple[str, list[Episode]]
"""A query and its episodes, ordered by shots."""

SCORE_BYTES = 1 << 28
"""Bytes of one map at image size of all episodes that are scored at once; there are about six."""


def evaluate_in_batches(
    encode: PhotographEncoder,
    read_image: Reader,
    read_mask: Reader,
    episodes: Sequence[Episode],
    novel: Sequence[int],
    rectification: Rectification = UNCHANGED,
    *,
    feeding: Feeding,
    on_progress: Progress = lambda phase, done, total: None,
) -> Evaluation:
    """Score episodes as `evaluate` does.

    Args:
        encode: the encoder.
        read_image: see `evaluate`.
        read_mask: see `evaluate`.
        episodes: see `evaluate`.
        novel: see `evaluate`.
        rectification: see `evaluate`.
        feeding: how photographs get to the encoder.
        on_progress: see `evaluate`.

    Returns:
        See `Evaluation`; `encodings` counts an image that is both support and query twice, and
        `encode_seconds` is the time of both passes.

    Raises:
        FsslibError: see `evaluate`.
    """
    require_novel(episodes, novel)
    started = time.perf_counter()
    ordered = sorted(episodes, key=by_query)
    wanted = needs(ordered)
    groups = [(query, list(group)) for query, group in groupby(ordered, lambda e: e.query)]

    def told(results: Iterator[Any], phase: str, total: int) -> Iterator[Any]:
        for done, result in enumerate(results, 1):
            on_progress(phase, done, total)
            yield result

    supports = feed(support_work(encode, read_image, read_mask), wanted, feeding)
    bank = make_bank(told(supports, "supports", len(wanted)), rectification, encode.device)
    counts = empty_counts(ordered, novel)
    scores = feed(query_work(encode, read_image, read_mask, bank), groups, feeding)
    for (_, group), (ways, binary) in zip(
        groups, told(scores, "queries", len(groups)), strict=True
    ):
        for number, episode in enumerate(group):
            for way, class_id in enumerate(episode.class_ids):
                counts[episode.shots].add(episode.seed, class_id, *map(int, ways[number, way]))
            counts[episode.shots].add_binary(episode.seed, *map(int, binary[number]))
    images = len({need.image_id for need in wanted} | {query for query, _ in groups})
    encodings, seconds = len(wanted) + len(groups), time.perf_counter() - started
    return Evaluation(counts, len(ordered), images, encodings, seconds, seconds)


def support_work(
    encode: PhotographEncoder, read_image: Reader, read_mask: Reader
) -> Work[Need, Support]:
    """Pool supports; the results lie on the CPU."""

    def single(need: Need) -> Support:
        feature = encode(read_image(need.image_id))
        mask = torch.tensor(read_mask(need.image_id), device=feature.device)
        return pool_support(feature, mask, need)

    def load(need: Need) -> Loaded:
        mask = read_mask(need.image_id)
        photograph = scale_photograph(read_image(need.image_id), encode.long_side)
        return Loaded(photograph, (mask,), note=mask_values(mask))

    def reduce(features: Tensor, planes: Sequence[Tensor], notes: Sequence[Any]) -> list[Tensor]:
        values = padded(notes, features.device)
        return [embeddings(features), *value_sums(features, planes[0], values)]

    def finish(need: Need, loaded: Loaded, found: Arrays) -> Support:
        return assemble(need, loaded.note.tolist(), *(torch.tensor(part) for part in found))

    return Work(single, load, reduce, finish)


def assemble(
    need: Need, values: Sequence[int], embedding: Tensor, sums: Tensor, counts: Tensor
) -> Support:
    """Make a support from sums under each value of its mask, as `pool_support` from the mask.

    Args:
        need: classes and sets of classes.
        values: n values of the mask, without 255.
        embedding: (C,) float32.
        sums: (n or more, C) float32.
        counts: (n or more,) float32.

    Raises:
        FsslibError: the mask has no pixel of a needed class.
    """
    row = {value: number for number, value in enumerate(values)}
    absent = [class_id for class_id in need.class_ids if class_id not in row]
    if absent:
        raise FsslibError(
            f"support {need.image_id} holds no pixel of class {absent[0]}: draw the episodes "
            "again on these masks (where resize made it vanish, with more min_pixels)"
        )
    rows = [[row[class_id]] for class_id in need.class_ids]
    rows += [[row[v] for v in values if v not in ways] for ways in need.ways]
    pixels = torch.stack([counts[chosen].sum() for chosen in rows])
    means = torch.stack([sums[chosen].sum(0) for chosen in rows]) / pixels.clamp(min=1)[:, None]
    number = len(need.class_ids)
    return Support(need, means[:number], means[number:], (pixels[number:] > 0).float(), embedding)


def query_work(
    encode: PhotographEncoder, read_image: Reader, read_mask: Reader, bank: SupportBank
) -> Work[Group, tuple[Any, Any]]:
    """Score all episodes of each query; results are the two arrays of `score_batch`."""

    def load(group: Group) -> Loaded:
        photograph = scale_photograph(read_image(group[0]), encode.long_side)
        return Loaded(photograph, (read_mask(group[0]),), note=group[1])

    def reduce(features: Tensor, planes: Sequence[Tensor], notes: Sequence[Any]) -> list[Tensor]:
        return list(score_batch(features, planes[0], notes, bank))

    def finish(group: Group, loaded: Loaded, found: Arrays) -> tuple[Any, Any]:
        ways, binary = (np.array(part[: len(group[1])]) for part in found)
        return ways, binary

    def single(group: Group) -> tuple[Any, Any]:
        loaded = load(group)
        pixels, mask = (
            torch.tensor(a[None], device=encode.device) for a in (loaded[0], *loaded[1])
        )
        found = reduce(encode.encode(pixels), [mask], [group[1]])
        return finish(group, loaded, tuple(part[0].cpu().numpy() for part in found))

    return Work(single, load, reduce, finish)


@torch.no_grad()
def score_batch(
    features: Tensor, truths: Tensor, groups: Sequence[Sequence[Episode]], bank: SupportBank
) -> tuple[Tensor, Tensor]:
    """Count the pixels of all episodes of a batch of queries, without waiting for the device.

    Args:
        features: (B, C, h, w) float32 of the queries.
        truths: (B, H, W) uint8 masks, 255 is ignored.
        groups: the episodes of each query, E at most, all of as many ways.
        bank: prototypes, on the device of the features.

    Returns:
        ways: (B, E, ways, 3) int64, intersection, predicted and true pixels of each way.
        binary: (B, E, 4) int64, the same of any way against the background, and the valid pixels.
    """
    most, ways = max(map(len, groups)), len(groups[0][0].class_ids)
    direction = _directions(features, groups, most, bank)
    unit = F.normalize(features.flatten(2), dim=1)
    margins = (direction.flatten(1, 2) @ unit).view(len(groups), most, ways, *features.shape[2:])
    size = (truths.shape[1], truths.shape[2])
    step = max(1, SCORE_BYTES // (4 * len(groups) * ways * size[0] * size[1]))
    valid = (truths != IGNORE)[:, None]
    classes = _class_ids(groups, most, features.device)
    counted = [
        _count(upsample(part, size), truths, valid, known)
        for part, known in zip(margins.split(step, 1), classes.split(step, 1), strict=True)
    ]
    of_ways, of_any = (torch.cat(parts, dim=1) for parts in zip(*counted, strict=True))
    return of_ways, torch.cat([of_any, valid.sum((2, 3))[:, None].expand(-1, most, 1)], dim=2)


def _directions(
    features: Tensor, groups: Sequence[Sequence[Episode]], most: int, bank: SupportBank
) -> Tensor:
    """Difference of the normalised prototypes of each episode: (B, most, ways, C)."""
    listed = [
        (episode, number * most + place)
        for number, group in enumerate(groups)
        for place, episode in enumerate(group)
    ]
    listed.sort(key=lambda pair: pair[0].shots)
    parts = []
    for _, same in groupby(listed, key=lambda pair: pair[0].shots):
        foreground, background = bank.of_episodes([episode for episode, _ in same])
        parts.append(F.normalize(foreground, dim=2) - F.normalize(background, dim=1)[:, None])
    found = torch.cat(parts)
    places = sent(torch.tensor([place for _, place in listed]), features.device)
    direction = found.new_zeros(len(groups) * most, *found.shape[1:])
    direction.index_copy_(0, places, found)
    return direction.view(len(groups), most, *found.shape[1:])


def _class_ids(groups: Sequence[Sequence[Episode]], most: int, device: torch.device) -> Tensor:
    """The class of each way, (B, most, ways, 1, 1) uint8, 0 where there is no episode."""
    ids = np.zeros((len(groups), most, len(groups[0][0].class_ids), 1, 1), np.uint8)
    for number, group in enumerate(groups):
        for place, episode in enumerate(group):
            ids[number, place, :, 0, 0] = episode.class_ids
    return sent(torch.from_numpy(ids), device)


def _count(
    margins: Tensor, truths: Tensor, valid: Tensor, classes: Tensor
) -> tuple[Tensor, Tensor]:
    """Pixels of the ways, (B, e, ways, 3), and of any way, (B, e, 3), from (B, e, ways, H, W)."""
    won = margins > 0
    if margins.shape[2] > 1:
        best = margins.max(dim=2, keepdim=True).indices
        order = torch.arange(margins.shape[2], device=margins.device).view(-1, 1, 1)
        won &= best == order
    true = truths[:, None, None] == classes
    return _sums(won, true, valid[:, :, None]), _sums(won.any(2), true.any(2), valid)


def _sums(won: Tensor, true: Tensor, valid: Tensor) -> Tensor:
    """Intersection, predicted and true pixels, stacked last."""
    parts = (won & true, won & valid, true)
    return torch.stack([part.sum((-2, -1)) for part in parts], dim=-1)
