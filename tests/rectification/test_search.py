"""The exact search of the nearest images: against a sort in float64, at every border."""

import numpy as np
import pytest
import torch

from fsslib.rectification import search
from fsslib.rectification.search import nearest, rechunked, unit
from tests.support.helpers import one_line


def random(rows, channels=8, seed=0):
    return torch.randn(rows, channels, generator=torch.Generator().manual_seed(seed))


def sorted_rows(embeddings, images, number):
    """The nearest by a full stable sort in float64."""
    a, b = embeddings.double().numpy(), images.double().numpy()
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    return np.argsort(-(a @ b.T), axis=1, kind="stable")[:, :number].tolist()


@pytest.mark.parametrize("rows", [1, 2, 7, 29, 30, 31, 1000])
@pytest.mark.parametrize("supports", [1, 4, 9])
def test_nearest_is_a_full_sort_whatever_the_chunks(monkeypatch, rows, supports):
    monkeypatch.setattr(search, "ROWS", rows)
    monkeypatch.setattr(search, "SUPPORTS", 4)
    images, embeddings = random(30), random(supports, seed=1)
    for number in (1, 4, 30):
        found = nearest(embeddings, rechunked(images.split(11)), number)
        assert found.tolist() == sorted_rows(embeddings, images, number)


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 100])
def test_equal_cosines_go_to_the_earlier_image(monkeypatch, rows):
    monkeypatch.setattr(search, "ROWS", rows)
    # Rows 0, 2, 4, ... point one way and the others another: cosines are exactly 1 and 0.
    images = torch.eye(2).repeat(10, 1) * torch.tensor([1.0, 2.0, 4.0, 8.0]).repeat(5)[:, None]
    found = nearest(torch.eye(2), rechunked([images]), 12)
    assert found[0].tolist() == [*range(0, 20, 2), 1, 3]
    assert found[1].tolist() == [*range(1, 20, 2), 0, 2]


def test_length_does_not_matter_and_a_zero_image_is_no_error():
    images = torch.tensor([[0.0, 0.0], [1e-3, 0.0], [0.0, 1e3]])
    assert nearest(torch.tensor([[5.0, 1.0]]), [images], 3).tolist() == [[1, 2, 0]]
    assert unit(images).tolist() == [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]


def test_no_image_and_no_support_find_nothing():
    assert nearest(random(3), [], 0).shape == (3, 0)
    assert nearest(random(0), [random(5)], 2).shape == (0, 2)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_embedding_that_is_not_finite_is_one_line(value):
    broken = random(3)
    broken[1, 2] = value
    for embeddings, images in ((broken, random(4)), (random(4), broken)):
        message = one_line(nearest, embeddings, [images], 1)
        assert message.startswith("an image embedding is not finite")


@pytest.mark.parametrize("parts", [[], [0], [3], [5], [4, 1, 0, 9], [10], [1] * 12, [13, 13]])
def test_rechunked_keeps_every_row_and_all_but_the_last_are_whole(monkeypatch, parts):
    monkeypatch.setattr(search, "ROWS", 5)
    rows = random(sum(parts), 2)
    chunks = list(rechunked(rows.split(parts) if parts else []))
    assert [len(c) for c in chunks[:-1]] == [5] * (len(chunks) - 1)
    assert all(len(c) for c in chunks)
    assert torch.equal(torch.cat([*chunks, rows[:0]]), rows)
