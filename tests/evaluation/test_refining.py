"""The guided filter and its windows against plain loops in float64."""

import numpy as np
import pytest
import torch
from PIL import Image

from fsslib.errors import FsslibError
from fsslib.evaluation.matching import label_chunks, label_strips, score_margins
from fsslib.evaluation.refining import EPS, RADIUS, GuidedFilter, Refining, refining_named
from fsslib.evaluation.windows import window_sums
from fsslib.mining.pooling import upsample


def windows(size, radius):
    """Location -> slices of its window, cut off at the edges."""
    for y in range(size[0]):
        for x in range(size[1]):
            rows = slice(max(0, y - radius), y + radius + 1)
            yield (y, x), (rows, slice(max(0, x - radius), x + radius + 1))


def naive_coefficients(colours, values, radius, eps):
    """He et al., eq. 19 to 21, a window at a time: (4, H, W)."""
    size = values.shape
    fitted, found = np.zeros((4, *size)), np.zeros((4, *size))
    for place, window in windows(size, radius):
        inside, target = colours[window].reshape(-1, 3), values[window].ravel()
        mean, average = inside.mean(0), target.mean()
        covariance = np.cov(inside.T, bias=True) + eps * np.eye(3)
        products = (inside * target[:, None]).mean(0) - mean * average
        factors = np.linalg.solve(covariance, products)
        fitted[:, *place] = [*factors, average - factors @ mean]
    for place, window in windows(size, radius):
        found[:, *place] = fitted[:, *window].mean((1, 2))
    return found


def naive_filter(photograph, values, radius, eps):
    colours = photograph / 255
    coefficients = naive_coefficients(colours, values, radius, eps)
    return (coefficients[:3] * colours.transpose(2, 0, 1)).sum(0) + coefficients[3]


def photograph(seed, size):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def margins(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) / 4


@pytest.mark.parametrize("radius", [0, 1, 3, 5, 6, 20])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (6, 4), (9, 12)])
def test_windows_are_cut_off_at_the_edges(size, radius):
    values = np.random.default_rng(0).normal(size=(2, *size))
    found = window_sums(torch.tensor(values), radius)
    for place, window in windows(size, radius):
        assert np.allclose(found[:, *place], values[:, *window].sum((1, 2)), atol=1e-12)


@pytest.mark.parametrize(
    ("size", "radius", "eps"),
    [((12, 17), 0.1, 1e-3), ((17, 12), 0.3, 1e-2), ((9, 20), 0.01, 1e-4), ((8, 8), 1.0, 0.1)],
)
def test_the_filter_equals_plain_loops(size, radius, eps):
    image, coarse = photograph(1, size), margins(2, 3, 4, 5)
    found = GuidedFilter(image, Refining(radius, eps), grid=None)(coarse)
    reach = max(1, round(radius * max(size)))
    for one, values in zip(found, upsample(coarse, size).double().numpy(), strict=True):
        assert np.allclose(one, naive_filter(image, values, reach, eps), rtol=0, atol=1e-6)


def test_on_a_coarser_grid_the_coefficients_are_enlarged():
    image, coarse = photograph(3, (24, 36)), margins(4, 1, 3, 4)
    guide = GuidedFilter(image, Refining(0.2, 1e-3), grid=12)
    assert guide.grid == (8, 12)
    small = np.asarray(Image.fromarray(image).resize((12, 8), Image.Resampling.BOX)) / 255
    full = upsample(coarse, (24, 36))[0].numpy()
    values = full[1::3, 1::3].astype(np.float64)  # the middle of each cell of 3 x 3 px
    coefficients = torch.tensor(naive_coefficients(small, values, 2, 1e-3))
    fine = torch.nn.functional.interpolate(coefficients[None], (24, 36), mode="bilinear")[0]
    expected = (fine[:3].numpy() * image.transpose(2, 0, 1) / 255).sum(0) + fine[3].numpy()
    assert np.allclose(guide(coarse)[0], expected, rtol=0, atol=1e-5)


def test_a_constant_photograph_gives_means_over_windows():
    image, coarse = np.full((10, 14, 3), 77, np.uint8), margins(5, 2, 10, 14)
    found = GuidedFilter(image, Refining(0.15, 1e-3), grid=None)(coarse)
    pixels = window_sums(torch.ones(10, 14).double(), 2)
    once = window_sums(coarse.double(), 2) / pixels
    assert torch.allclose(found.double(), window_sums(once, 2) / pixels, rtol=0, atol=1e-6)


@pytest.mark.parametrize("grid", [None, 20])
def test_the_filter_is_linear_and_keeps_constants(grid):
    guide = GuidedFilter(photograph(6, (30, 41)), Refining(), grid=grid)
    one, other = margins(7, 6, 7), margins(8, 6, 7)
    mixed = guide(torch.stack((one, other, 2 * one - 3 * other, torch.full((6, 7), 0.4))))
    assert torch.allclose(mixed[2], 2 * mixed[0] - 3 * mixed[1], atol=1e-5)
    assert torch.allclose(mixed[3], torch.full((30, 41), 0.4), atol=1e-6)


def test_an_edge_of_the_photograph_becomes_the_edge_of_the_mask():
    image = np.full((64, 64, 3), 40, np.uint8)
    image[:, 37:] = (200, 180, 60)
    coarse = torch.linspace(-1, 1, 8).expand(1, 8, 8)  # changes its sign at 31.5 px
    assert (upsample(coarse, (64, 64)) > 0)[0].sum(1).unique().tolist() == [32]
    found = GuidedFilter(image, Refining(0.2))(coarse) > 0
    assert found[0].sum(1).unique().tolist() == [64 - 37]


@pytest.mark.parametrize("size", [(40, 56), (300, 90), (1, 1), (2, 700)])
@pytest.mark.parametrize("ways", [1, 3])
def test_strips_of_rows_equal_the_whole(size, ways, monkeypatch):
    feature, foreground = margins(9, 8, 5, 6), margins(10, 5, ways, 8)
    background = margins(11, 5, 8)
    guide = GuidedFilter(photograph(12, size), Refining())
    whole = torch.cat(list(label_chunks(feature, foreground, background, size, guide)))
    assert whole.shape == (5, ways, *size)
    monkeypatch.setattr("fsslib.evaluation.matching.STRIP_BYTES", 4 * ways * size[1] * 7)
    for number in (0, 4):
        chosen = slice(number, number + 1)
        (found,) = score_margins(feature, foreground[chosen], background[chosen])
        strips = list(label_strips(found, guide))
        assert len(strips) == -(-size[0] // 7)
        differ = (torch.cat(strips, 1) != whole[number]).float().mean()
        assert differ <= 1e-3  # by rounding


def test_a_grid_never_exceeds_the_photograph_and_no_side_is_empty():
    assert GuidedFilter(photograph(0, (5, 9)), Refining()).grid == (5, 9)
    assert GuidedFilter(photograph(0, (1, 600)), Refining()).grid == (1, 192)


def test_a_refinement_has_a_name():
    assert refining_named("none") is None
    assert refining_named("guided") == Refining(RADIUS, EPS)
    assert refining_named("guided", 0.1, 0.2) == Refining(0.1, 0.2)
    with pytest.raises(FsslibError, match="refine: 'crf' is not none or guided"):
        refining_named("crf")
