"""Turns prototypes and query features into labels at the original resolution (eq. 5)."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from fsslib.evaluation.refining import MAPS, GuidedFilter
from fsslib.mining.pooling import upsample

CHUNK_BYTES = 1 << 25
"""Bytes of score maps at image size that are processed at once: 32 MB, about 45 VOC images. The
number is fixed because the size of a matrix product decides its rounding, and results must not
depend on the available memory."""

STRIP_BYTES = 1 << 22
"""Bytes of refined margins that are compared at once; about five times as many are in use."""


def score_margins(feature: Tensor, foreground: Tensor, background: Tensor) -> Tensor:
    """Compute by how much each way's cosine exceeds the background's, at feature size (eq. 5).

    Both cosines are with the same feature, so their difference is one product with the difference
    of the normalised prototypes. Sigma of eq. 5 and the softmax are left out, because neither
    changes which score is the largest.

    Args:
        feature: (C, h, w) float32 features of the query.
        foreground: (E, ways, C) float32.
        background: (E, C) float32.

    Returns:
        (E, ways, h, w) float32.
    """
    direction = F.normalize(foreground, dim=2) - F.normalize(background, dim=1)[:, None]
    unit = F.normalize(feature.flatten(1), dim=0)
    margins = direction.flatten(0, 1) @ unit
    return margins.view(*foreground.shape[:2], *feature.shape[1:])


def label_chunks(
    feature: Tensor,
    foreground: Tensor,
    background: Tensor,
    size: tuple[int, int],
    guide: GuidedFilter | None = None,
) -> Iterator[Tensor]:
    """Yield the labels of all episodes of one query in chunks of bounded memory.

    Margins are upsampled (bilinear, align_corners) to the query's size. Bilinear upsampling is
    linear, so the arg max over upsampled scores is the arg max over 0 and the upsampled margins. A
    tie goes to the background.

    Args:
        feature: (C, h, w) float32 features of the query.
        foreground: (E, ways, C) float32.
        background: (E, C) float32.
        size: (H, W) of the query in px.
        guide: refines the margins by the query's photograph of this size; None upsamples only.

    Yields:
        (e, ways, H, W) float32, 1 where the way wins and 0 elsewhere; the e of all chunks add up
        to E.
    """
    margins = score_margins(feature, foreground, background)
    ways = margins.shape[1]
    step = max(1, CHUNK_BYTES // (4 * ways * size[0] * size[1]))
    for part in torch.split(margins, step):
        yield _winners(upsample(part, size) if guide is None else guide(part))


def label_strips(margins: Tensor, guide: GuidedFilter) -> Iterator[Tensor]:
    """Yield the refined labels of one episode, row by row, in memory that its size does not decide.

    Args:
        margins: (ways, h, w) float32, of `score_margins`.
        guide: of the query's photograph.

    Yields:
        (ways, rows, W) float32 as in `label_chunks`; the rows of all strips add up to H.
    """
    parts = torch.split(margins, MAPS)
    coefficients = torch.cat([guide.coefficients(part) for part in parts])
    height, width = guide.size
    rows = max(1, STRIP_BYTES // (4 * len(margins) * width))
    for start in range(0, height, rows):
        strip = guide.rows(coefficients, start, min(start + rows, height))
        yield _winners(strip[None])[0]


def _winners(full: Tensor) -> Tensor:
    """Where each way's margin is the largest and above 0: (e, ways, H, W) to the same, 0 and 1."""
    ways = full.shape[1]
    if ways == 1:
        return full.gt_(0)
    best = full.max(dim=1, keepdim=True)
    winner = torch.arange(ways, device=full.device).view(1, ways, 1, 1)
    return ((best.indices == winner) & (best.values > 0)).float()
