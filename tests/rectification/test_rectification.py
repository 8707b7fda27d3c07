import numpy as np
import pytest
import torch

from fsslib.rectification import rectify as rectification
from fsslib.rectification.index import RegionIndex
from fsslib.rectification.rectify import fuse_background, rectify_foreground
from tests.support.oracles import naive_rectified


def make_index(images=12, channels=16, seed=0, empty=(0, 5, 11), shift=0.0):
    generator = torch.Generator().manual_seed(seed)
    owner = [i for i in range(images) for _ in range(1 + (i * 7) % 5) if i not in empty]
    return RegionIndex(
        tuple(f"image_{i}" for i in range(images)),
        torch.randn(images, channels, generator=generator),
        torch.randn(len(owner), channels, generator=generator) + shift,
        torch.tensor(owner, dtype=torch.int64),
    )


def supports(number, channels=16, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(number, channels, generator=generator),
        torch.randn(number, channels, generator=generator),
    )


def test_fused_background_is_equation_7_channel_by_channel():
    there, here = [1.0, -2.0, 4.0], [3.0, 0.5, -1.0]
    fused = fuse_background(torch.tensor(there), torch.tensor([here, there]), 0.9)
    expected = [
        [0.9 * g + 0.1 * c for g, c in zip(there, row, strict=True)] for row in (here, there)
    ]
    assert fused.tolist() == [pytest.approx(row, rel=1e-6) for row in expected]


@pytest.mark.parametrize("w", [0.0, 1.0])
def test_the_ends_of_w_are_the_two_prototypes(w):
    there, here = torch.tensor([1.0, -2.0]), torch.tensor([[3.0, 0.5]])
    assert fuse_background(there, here, w).tolist() == [(there if w else here[0]).tolist()]


@pytest.mark.parametrize(("top_n", "beta"), [(1, 0.2), (4, 0.2), (4, 1.0), (100, 0.7)])
def test_rectified_foreground_is_equations_8_and_9_in_loops(top_n, beta):
    index = make_index()
    prototypes, embeddings = supports(20)
    ours = rectify_foreground(prototypes, embeddings, index, top_n, beta)
    for row in range(20):
        theirs = naive_rectified(prototypes[row], embeddings[row], index, top_n, beta)
        np.testing.assert_allclose(ours[row].numpy(), theirs, rtol=1e-5, atol=1e-6)


def test_a_worked_example_by_hand():
    index = RegionIndex(
        ("far", "near"),
        torch.tensor([[0.0, 1.0], [1.0, 0.1]]),
        torch.tensor([[9.0, 9.0], [0.0, 5.0], [2.0, 0.0]]),
        torch.tensor([0, 1, 1]),
    )
    prototype = torch.tensor([[4.0, 0.0]])
    near = rectify_foreground(prototype, torch.tensor([[1.0, 0.0]]), index, 1, 0.25)
    assert near.tolist() == [pytest.approx([3.5, 0.0])]  # 0.75 * (4, 0) + 0.25 * (2, 0)
    both = rectify_foreground(prototype, torch.tensor([[1.0, 0.0]]), index, 2, 1.0)
    share = 1 / (1 + 0.5**0.5)  # cosines 1 and sqrt(1/2)
    mixed = [share * 2 + (1 - share) * 9, (1 - share) * 9]
    assert both.tolist() == [pytest.approx(mixed, rel=1e-5)]


def test_beta_zero_changes_nothing():
    prototypes, embeddings = supports(5)
    assert torch.equal(rectify_foreground(prototypes, embeddings, make_index(), 4, 0), prototypes)


def test_regions_that_all_point_away_leave_the_prototype_as_it_is():
    index = RegionIndex(
        ("a", "b"), torch.eye(2), torch.tensor([[-1.0, 0.2], [-2.0, 0.0]]), torch.tensor([0, 1])
    )
    prototype = torch.tensor([[1.0, 0.0]])
    assert torch.equal(rectify_foreground(prototype, prototype, index, 2, 0.5), prototype)


def test_a_region_that_points_away_has_no_weight_beside_one_that_does_not():
    index = RegionIndex(
        ("a", "b"), torch.eye(2), torch.tensor([[-1.0, 0.0], [2.0, 0.0]]), torch.tensor([0, 1])
    )
    prototype = torch.tensor([[1.0, 0.0]])
    moved = rectify_foreground(prototype, prototype, index, 2, 0.5)
    assert moved.tolist() == [pytest.approx([1.5, 0.0])]


def test_an_index_without_regions_changes_nothing():
    index = RegionIndex(("a",), torch.ones(1, 16), torch.zeros(0, 16), torch.zeros(0).long())
    prototypes, embeddings = supports(3)
    assert torch.equal(rectify_foreground(prototypes, embeddings, index, 4, 0.5), prototypes)


def test_images_without_regions_do_not_use_up_top_n():
    index = make_index(images=4, empty=(2,))
    prototypes, _ = supports(1)
    moved = rectify_foreground(prototypes, index.images[2:3], index, 1, 0.5)
    assert not torch.equal(moved, prototypes)


def test_chunks_of_supports_do_not_mix(monkeypatch):
    index = make_index()
    prototypes, embeddings = supports(23)
    whole = rectify_foreground(prototypes, embeddings, index, 4, 0.3)
    monkeypatch.setattr(rectification, "CHUNK", 4)
    pieces = rectify_foreground(prototypes, embeddings, index, 4, 0.3)
    assert torch.allclose(whole, pieces, rtol=1e-5)
