"""Pixel counts of all episodes of one query, by matrix products with the query's mask."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fsslib.data.folds import IGNORE
from fsslib.data.images import UInt8
from fsslib.evaluation.boundary import boundary_regions, boundary_width
from fsslib.evaluation.episodes import Episode
from fsslib.evaluation.matching import label_chunks
from fsslib.evaluation.metrics import Counts
from fsslib.evaluation.refining import MAPS, GuidedFilter
from fsslib.evaluation.supports import SupportBank, way_set


@dataclass(frozen=True)
class Tally:
    """Pixel counts of one episode, without ignored pixels.

    Attributes:
        episode: the scored episode.
        ways: intersection, predicted and true pixels of each way.
        binary: intersection, predicted, true and valid pixels of any way against the background.
        edges: as `ways`, of the boundary regions alone; empty if they were not counted.
    """

    episode: Episode
    ways: tuple[tuple[int, int, int], ...]
    binary: tuple[int, int, int, int]
    edges: tuple[tuple[int, int, int], ...] = ()

    def add_to(self, counts: Counts) -> None:
        """Add the pixels to the counts of their number of shots."""
        for class_id, pixels in zip(self.episode.class_ids, self.ways, strict=True):
            counts.add(self.episode.seed, class_id, *pixels)
        counts.add_binary(self.episode.seed, *self.binary)
        for class_id, pixels in zip(self.episode.class_ids, self.edges, strict=False):
            counts.add_boundary(self.episode.seed, class_id, *pixels)


@torch.no_grad()
def score_query(
    feature: Tensor,
    mask: UInt8,
    episodes: list[Episode],
    bank: SupportBank,
    guide: GuidedFilter | None = None,
    boundary: bool = False,
) -> list[Tally]:
    """Score all episodes of one query.

    Args:
        feature: (C, h, w) float32 of the query.
        mask: (H, W) of the query; 255 is ignored.
        episodes: of the query, ordered by shots.
        bank: prototypes of their supports.
        guide: refines the margins, see `label_chunks`.
        boundary: whether to count boundary regions, too.
    """
    groups = [list(group) for _, group in itertools.groupby(episodes, key=lambda e: e.shots)]
    parts = [bank.of_episodes(group) for group in groups]
    foreground = torch.cat([part[0] for part in parts])
    background = torch.cat([part[1] for part in parts])
    truth = torch.tensor(mask, device=feature.device)
    columns = sorted({way_set(e) for e in episodes} | {(c,) for e in episodes for c in e.class_ids})
    targets = _targets(truth, columns)
    sizes = targets.sum(0).long().tolist()
    place = {classes: i for i, classes in enumerate(columns)}
    size = (mask.shape[0], mask.shape[1])
    edges = _Edges(truth, sorted({c for e in episodes for c in e.class_ids})) if boundary else None
    rest = iter(episodes)
    tallies: list[Tally] = []
    for won in label_chunks(feature, foreground, background, size, guide):
        of_edges = itertools.repeat([]) if edges is None else edges.hits(won)
        flat = won.flatten(2).to(targets.dtype)
        hits = (flat.flatten(0, 1) @ targets).view(*flat.shape[:2], -1).long().tolist()
        any_hits = (
            hits if flat.shape[1] == 1 else (flat.sum(1, keepdim=True) @ targets).long().tolist()
        )
        for of_ways, (of_any,), regions in zip(hits, any_hits, of_edges, strict=False):
            episode = next(rest)
            ways = tuple(
                (row[place[class_id,]], row[-1], sizes[place[class_id,]])
                for class_id, row in zip(episode.class_ids, of_ways, strict=True)
            )
            column = place[way_set(episode)]
            binary = of_any[column], of_any[-1], sizes[column], sizes[-1]
            found = edges.pixels(episode, regions) if edges else ()
            tallies.append(Tally(episode, ways, binary, found))
    return tallies


class _Edges:
    """Boundary regions of a query's mask, to count how predicted ones fit.

    Ignored pixels belong to no class, and no predicted mask reaches into them: a mask that is right
    everywhere else has a boundary IoU of 1, whatever it says there.
    """

    def __init__(self, truth: Tensor, class_ids: Sequence[int]) -> None:
        self._width = boundary_width((truth.shape[0], truth.shape[1]))
        self._valid = (truth != IGNORE).float()
        self._place = {c: i for i, c in enumerate(class_ids)}
        masks = torch.stack([truth == c for c in class_ids]).float()
        regions = boundary_regions(masks, self._width).flatten(1)
        self._sizes = regions.sum(1, dtype=torch.float64).long().tolist()
        targets = torch.cat((regions, torch.ones_like(regions[:1])))
        self._targets = targets.T.to(torch.float32 if truth.numel() < 1 << 24 else torch.float64)

    def hits(self, won: Tensor) -> list[list[list[int]]]:
        """For each episode, way and class the pixels in both regions, then those predicted."""
        maps = (won * self._valid).flatten(0, 1)
        parts = [
            boundary_regions(part, self._width).flatten(1).to(self._targets.dtype) @ self._targets
            for part in torch.split(maps, MAPS)
        ]
        found: list[list[list[int]]] = torch.cat(parts).view(*won.shape[:2], -1).long().tolist()
        return found

    def pixels(self, episode: Episode, hits: list[list[int]]) -> tuple[tuple[int, int, int], ...]:
        """Intersection, predicted and true pixels of each way's boundary region."""
        return tuple(
            (row[self._place[c]], row[-1], self._sizes[self._place[c]])
            for c, row in zip(episode.class_ids, hits, strict=True)
        )


def _targets(truth: Tensor, columns: Sequence[tuple[int, ...]]) -> Tensor:
    """Return where the mask is one of each column's classes, and last where it is not ignored.

    Returns:
        (H*W, columns + 1) float32, which counts exactly up to 2^24 px; float64 for larger images.
    """
    masks = [torch.isin(truth, torch.tensor(c, device=truth.device)) for c in columns]
    masks.append(truth != IGNORE)
    dtype = torch.float32 if truth.numel() < 1 << 24 else torch.float64
    return torch.stack(masks).flatten(1).T.to(dtype)
