"""Pooling of whole batches on their device: the numbers of `pooling`, up to rounding."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fsslib.mining.pooling import project_masks

ABSENT = -1
"""Fills rows of values that have fewer than the longest; no map holds it."""

MASK_BYTES = 1 << 29
"""Bytes of float32 masks at image size that are pooled at once."""


def padded(values: Sequence[npt.NDArray[np.integer]], device: torch.device) -> Tensor:
    """Put lists of different lengths into one tensor, (B, longest) int32, the rest `ABSENT`."""
    rows = np.full((len(values), max(1, *map(len, values))), ABSENT, np.int32)
    for row, given in zip(rows, values, strict=True):
        row[: len(given)] = given
    return sent(torch.from_numpy(rows), device)


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a small tensor to a device without waiting for what runs there."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def value_sums(features: Tensor, maps: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Sum upsampled features under each value of an index map, and count pixels (eq. 2).

    Args:
        features: (B, C, h, w) float32.
        maps: (B, H, W) integers.
        values: (B, V) int32 of `padded`.

    Returns:
        sums: (B, V, C) float32; zero for `ABSENT`.
        counts: (B, V) float32 in px.
    """
    grid, rows = (features.shape[-2], features.shape[-1]), features.flatten(2).transpose(1, 2)
    sums, counts = [], []
    for part in values.split(max(1, MASK_BYTES // (4 * maps.numel())), dim=1):
        chosen = maps[:, None] == part[:, :, None, None]
        sums.append(project_masks(chosen, grid).flatten(2) @ rows)
        counts.append(chosen.flatten(2).sum(2, dtype=torch.float32))
    return torch.cat(sums, dim=1), torch.cat(counts, dim=1)


def embeddings(features: Tensor) -> Tensor:
    """Average each feature over all locations, (B, C, h, w) -> (B, C)."""
    return features.mean(dim=(-2, -1))


def quantised(features: Tensor, dtype: str) -> tuple[Tensor, Tensor]:
    """Pack features (B, C, h, w) by location, as `extraction.quantise` packs those of one image.

    Returns:
        packed: (B, h * w, C) int8 or float16.
        scale: (B, h * w) float32, all ones for float16.
    """
    rows = features.flatten(2).transpose(1, 2)
    if dtype == "float16":
        scale = torch.ones(rows.shape[:2], device=rows.device)
        return rows.to(torch.float16).contiguous(), scale
    scale = rows.abs().amax(dim=2).clamp(min=1e-12) / 127
    return (rows / scale[:, :, None]).round().to(torch.int8).contiguous(), scale


def grids(features: Tensor) -> Tensor:
    """The grid (h, w) of each feature (B, C, h, w), as (B, 2) int64 on the CPU."""
    return torch.tensor(features.shape[-2:]).expand(len(features), 2)
