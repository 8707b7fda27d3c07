"""Turns prototypes and query features into labels at the original resolution (eq. 5)."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from fsslib.mining.pooling import upsample

CHUNK_BYTES = 1 << 25
"""Bytes of score maps at image size that are processed at once: 32 MB, about 45 VOC images. The
number is fixed because the size of a matrix product decides its rounding, and results must not
depend on the available memory."""


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

    Yields:
        (e, ways, H, W) float32, 1 where the way wins and 0 elsewhere; the e of all chunks add up
        to E.
    """
    margins = score_margins(feature, foreground, background)
    ways = margins.shape[1]
    step = max(1, CHUNK_BYTES // (4 * ways * size[0] * size[1]))
    for part in torch.split(margins, step):
        full = upsample(part, size)
        if ways == 1:
            yield full.gt_(0)
        else:
            best = full.max(dim=1, keepdim=True)
            winner = torch.arange(ways, device=full.device).view(1, ways, 1, 1)
            yield ((best.indices == winner) & (best.values > 0)).float()
