"""Edges that follow the photograph: a guided filter on the margins, before the arg max.

Not part of the paper. Features have stride 8 or 16, so upsampled margins have soft blobs where
objects have edges. The guided filter (He, Sun and Tang, TPAMI 2013) takes them, in each window, as
a linear function of the photograph's colours, so their edges lie where the photograph has edges.

The filter is linear in the margins, so the arg max over filtered scores is the arg max over 0 and
the filtered margins, and what depends on the photograph alone is computed once for all episodes and
classes. Windows are summed by running sums: the time does not depend on the radius.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from fsslib.data.images import UInt8
from fsslib.errors import FsslibError
from fsslib.evaluation.windows import window_sums
from fsslib.mining.pooling import upsample

RADIUS, EPS = 0.09, 1e-3
"""Defaults of `Refining`, chosen on base classes (docs/results.md)."""

GRID = 192
"""Longest side in px of the grid on which the coefficients are computed. They are means over
windows, so a coarser grid than the photograph's loses little (He and Sun, "Fast guided filter",
2015; measured in docs/results.md), and time and memory on it do not grow with the photograph."""

MAPS, ROWS = 4, 64
"""Maps and rows that are filtered at once: few, so that what is computed stays in the cache."""


@dataclass(frozen=True)
class Refining:
    """Settings of the filter.

    Attributes:
        radius: of the square windows, as a share of the photograph's longer side.
        eps: variance of a colour, of 0 to 1, below which a window counts as flat.
    """

    radius: float = RADIUS
    eps: float = EPS


Refine = Literal["none", "guided"]
"""What refines masks, by name: nothing, or `GuidedFilter`."""


def refining_named(name: str, radius: float = RADIUS, eps: float = EPS) -> Refining | None:
    """Settings of a named refinement; None for `none`.

    Raises:
        FsslibError: there is no such refinement.
    """
    if name not in ("none", "guided"):
        raise FsslibError(f"refine: {name!r} is not none or guided")
    return None if name == "none" else Refining(radius, eps)


class GuidedFilter:
    """The filter of one photograph; it is applied to any number of margin maps.

    Attributes:
        size: (H, W) of the photograph in px.
        grid: (gh, gw) on which the coefficients are computed.
    """

    def __init__(
        self,
        photograph: UInt8,
        refining: Refining,
        device: torch.device | None = None,
        grid: int | None = GRID,
    ) -> None:
        """Compute what depends on the photograph alone.

        Args:
            photograph: (H, W, 3) uint8.
            refining: see `Refining`.
            device: of the margins.
            grid: longest side of the grid in px, None for the photograph's own size.
        """
        height, width = photograph.shape[:2]
        self.size = (height, width)
        scale = min(1.0, (grid or max(self.size)) / max(self.size))
        self.grid = (max(1, round(height * scale)), max(1, round(width * scale)))
        self._photograph = torch.tensor(photograph, device=device).permute(2, 0, 1)
        self._radius = max(1, round(refining.radius * max(self.grid)))
        ones = torch.ones((1, *self.grid), dtype=torch.float64, device=device)
        self._pixels = window_sums(ones, self._radius)
        self._colours = self._on_grid(photograph, device)
        self._mean = self._means(self._colours)
        self._inverse = self._inverse_covariance(refining.eps)

    def __call__(self, margins: Tensor) -> Tensor:
        """Filter margins: (..., h, w) float32 at feature size -> (..., H, W) float32."""
        maps = margins.flatten(0, -3)
        filtered = maps.new_empty((len(maps), *self.size))
        for place in range(0, len(maps), MAPS):
            part = slice(place, place + MAPS)
            coefficients = self.coefficients(maps[part])
            for start in range(0, self.size[0], ROWS):
                rows = slice(start, min(start + ROWS, self.size[0]))
                filtered[part, rows] = self.rows(coefficients, rows.start, rows.stop)
        return filtered.view(*margins.shape[:-2], *self.size)

    def coefficients(self, margins: Tensor) -> Tensor:
        """Fit margins as a linear function of the colours in each window.

        Args:
            margins: (n, h, w) float32 at feature size.

        Returns:
            (n, 4, gh, gw) float32: factors of red, green and blue, and what is added; each the mean
            over the windows that hold the location.
        """
        values = self._sampled(margins).double()[:, None]
        means = self._means(torch.cat((values * self._colours, values), 1))
        covariance = means[:, :3] - means[:, 3:] * self._mean
        factors = (self._inverse * covariance[:, None]).sum(2)
        rest = means[:, 3:] - (factors * self._mean).sum(1, keepdim=True)
        return self._means(torch.cat((factors, rest), 1)).float()

    def rows(self, coefficients: Tensor, start: int, stop: int) -> Tensor:
        """Refined margins of the rows from `start` to before `stop`, (n, stop - start, W)."""
        colours = self._photograph[:, start:stop].float() / 255
        fine = self._enlarged(coefficients, start, stop)
        return (fine[:, :3] * colours).sum(1).add_(fine[:, 3])

    def _on_grid(self, photograph: UInt8, device: torch.device | None) -> Tensor:
        """Colours at the grid's size, (3, gh, gw) float64 of 0 to 1."""
        if self.grid != self.size:
            small = Image.fromarray(photograph).resize(self.grid[::-1], Image.Resampling.BOX)
            photograph = np.asarray(small)
        values = torch.tensor(photograph, device=device).permute(2, 0, 1)
        return values.double() / 255

    def _means(self, maps: Tensor) -> Tensor:
        """Means over the part of each window that lies within the grid."""
        return window_sums(maps, self._radius) / self._pixels

    def _inverse_covariance(self, eps: float) -> Tensor:
        """Inverse of each window's covariance of the colours plus eps: (3, 3, gh, gw) float64."""
        pairs = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]
        products = torch.stack([self._colours[i] * self._colours[j] for i, j in pairs])
        means = torch.stack([self._mean[i] * self._mean[j] for i, j in pairs])
        rr, rg, rb, gg, gb, bb = self._means(products) - means
        rr, gg, bb = rr + eps, gg + eps, bb + eps
        adjugate = [gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg]
        adjugate += [rr * bb - rb * rb, rb * rg - rr * gb, rr * gg - rg * rg]
        determinant = rr * adjugate[0] + rg * adjugate[1] + rb * adjugate[2]
        a, b, c, d, e, f = (part / determinant for part in adjugate)
        return torch.stack((a, b, c, b, d, e, c, e, f)).view(3, 3, *self.grid)

    def _sampled(self, margins: Tensor) -> Tensor:
        """Margins (n, h, w) upsampled (bilinear, align_corners) and taken at the grid."""
        if self.grid == self.size:
            return upsample(margins, self.size)
        rows, columns = (
            _matrix(_centres(n, g) * ((m - 1) / max(n - 1, 1)), m).to(margins)
            for n, g, m in zip(self.size, self.grid, margins.shape[-2:], strict=True)
        )
        return rows @ (margins @ columns.T)

    def _enlarged(self, coefficients: Tensor, start: int, stop: int) -> Tensor:
        """Some rows of the coefficients at the photograph's size, bilinear: (n, 4, rows, W)."""
        if self.grid == self.size:
            return coefficients[:, :, start:stop]
        height = self.grid[0]
        place = (_centres(height, self.size[0])[start:stop]).clamp(0, height - 1)
        first, last = int(place[0]), min(int(place[-1]) + 2, height)
        part = coefficients[:, :, first:last]
        wide = F.interpolate(part, (last - first, self.size[1]), mode="bilinear")
        return _matrix(place - first, last - first).to(wide) @ wide


def _centres(length: int, cells: int) -> Tensor:
    """Centres of `cells` equal parts of `length` px, as positions of pixels: (cells,) float64."""
    return (torch.arange(cells, dtype=torch.float64) + 0.5) * (length / cells) - 0.5


def _matrix(positions: Tensor, samples: int) -> Tensor:
    """Linear interpolation at positions of 0 to `samples` - 1, (positions, samples) float64."""
    distance = (positions[:, None] - torch.arange(samples, dtype=torch.float64)).abs()
    return (1 - distance).clamp(min=0)
