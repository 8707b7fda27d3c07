"""The approximate search: how much it finds, and what it says without faiss."""

import sys

import pytest
import torch

from fsslib.rectification import ivf_search
from fsslib.rectification.index import RegionIndex
from fsslib.rectification.ivf_search import ivf_index
from fsslib.rectification.rectify import rectify_foreground
from tests.support.helpers import one_line


def clustered(images=2000, directions=40, channels=32):
    """Images around some directions, every tenth without a region; and supports like them."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(directions, channels, generator=generator)

    def around(number):
        which = torch.randint(directions, (number,), generator=generator)
        return centres[which] + 0.3 * torch.randn(number, channels, generator=generator)

    embeddings = around(images)
    owner = torch.tensor([i for i in range(images) if i % 10])
    index = RegionIndex(tuple(map(str, range(images))), embeddings, around(len(owner)), owner)
    return index, around(50)


def recall(index, supports, approximate, top_n=4):
    exact, found = (
        index.nearest_images(supports, top_n),
        approximate.nearest_images(supports, top_n),
    )
    assert found.shape == exact.shape
    pairs = zip(exact.tolist(), found.tolist(), strict=True)
    return sum(len(set(a) & set(b)) for a, b in pairs) / exact.numel()


@pytest.fixture
def small(monkeypatch):
    """Few points a cell, so that a small pool has cells at all."""
    pytest.importorskip("faiss")
    monkeypatch.setattr(ivf_search, "LEAST_IMAGES", 100)
    monkeypatch.setattr(ivf_search, "POINTS", 10)


@pytest.mark.usefixtures("small")
def test_most_of_the_nearest_are_found_and_all_when_every_cell_is_searched():
    index, supports = clustered()
    assert recall(index, supports, ivf_index(index, probed=20)) > 0.9
    everything = ivf_index(index, probed=1)
    assert torch.equal(everything.nearest_images(supports, 4), index.nearest_images(supports, 4))


@pytest.mark.usefixtures("small")
def test_the_same_index_gives_the_same_images():
    index, supports = clustered()
    found = [ivf_index(index).nearest_images(supports, 4) for _ in range(2)]
    assert torch.equal(*found)


@pytest.mark.usefixtures("small")
def test_images_without_a_region_are_never_found():
    index, supports = clustered()
    found = ivf_index(index).nearest_images(torch.cat([supports, index.images[::10]]), 4)
    assert (found % 10 > 0).all()


@pytest.mark.usefixtures("small")
def test_a_support_whose_cells_hold_too_few_images_is_searched_exactly():
    index, supports = clustered()
    approximate = ivf_index(index, probed=1000)
    assert torch.equal(
        approximate.nearest_images(supports, 1800), index.nearest_images(supports, 1800)
    )


@pytest.mark.usefixtures("small")
def test_rectification_takes_it_like_any_index():
    index, supports = clustered()
    approximate = ivf_index(index, probed=1).to(torch.device("cpu"))
    assert approximate.memory_bytes == index.memory_bytes + 2 * 32 * 1800
    moved = [rectify_foreground(supports, supports, i, 4, 0.5) for i in (index, approximate)]
    assert torch.equal(*moved)


def test_a_small_pool_is_searched_exactly():
    pytest.importorskip("faiss")
    index, _ = clustered()
    assert ivf_index(index) is index


def test_without_faiss_it_is_one_line_with_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    index, _ = clustered(images=10)
    assert one_line(ivf_index, index) == (
        "search: ivf needs faiss: pip install 'fsslib[faiss]', or set search to exact"
    )
