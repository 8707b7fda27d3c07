"""An index on disk answers as one in memory, to the bit, and holds only what a search needs."""

import pytest
import torch

from fsslib.rectification import search
from fsslib.rectification.index import RegionIndex
from fsslib.rectification.index_building import REGION_ROWS, ImageRegions, write_regions
from fsslib.rectification.index_reading import StoredIndex, load_index, open_index
from fsslib.rectification.rectify import rectify_foreground
from tests.support.helpers import one_line

SIZES = [0, 3, 1, 0, 5, 2, 40, 1, 0, 0, 2, 7, 1, 4, 0, 3]
"""Regions of each image; one image has more than a chunk of the file."""


def described(sizes=SIZES, channels=16, shift=0.0):
    generator = torch.Generator().manual_seed(3)
    return [
        ImageRegions(
            f"im{n}",
            torch.randn(channels, generator=generator) + shift,
            torch.randn(size, channels, generator=generator) + shift,
            list(range(1, size + 1)),
        )
        for n, size in enumerate(sizes)
    ]


def written(folder, images, cut):
    for number, start in enumerate(range(0, len(images), cut)):
        write_regions(folder / f"{number:05d}.h5", images[start : start + cut])
    return folder


def supports(number, channels=16):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, number, channels, generator=generator)


def test_which_one_is_opened_follows_the_budget_to_the_byte(tmp_path):
    need = 4 * 16 * (len(SIZES) + sum(SIZES))
    written(tmp_path, described(), 5)
    assert isinstance(load_index(tmp_path), RegionIndex)
    held = load_index(tmp_path, need)
    assert isinstance(held, RegionIndex)
    assert held.memory_bytes == need
    streamed = load_index(tmp_path, need - 1)
    assert isinstance(streamed, StoredIndex)
    assert streamed.memory_bytes == 0


@pytest.mark.parametrize("cut", [1, 3, 16])
@pytest.mark.parametrize("rows", [1, 4, 5, 4096])
@pytest.mark.parametrize(("number", "top_n"), [(1, 4), (20, 1), (20, 4), (20, 100)])
def test_memory_and_disk_give_the_same_bytes(tmp_path, monkeypatch, cut, rows, number, top_n):
    monkeypatch.setattr(search, "ROWS", rows)
    monkeypatch.setattr(search, "SUPPORTS", 7)
    monkeypatch.setattr("fsslib.rectification.rectify.CHUNK", 6)
    written(tmp_path, described(), cut)
    prototypes, embeddings = supports(number)
    indexes = load_index(tmp_path), load_index(tmp_path, 0)
    chosen = [index.nearest_images(embeddings, top_n) for index in indexes]
    assert torch.equal(*chosen)
    assert chosen[0].shape == (number, min(top_n, sum(size > 0 for size in SIZES)))
    assert set(chosen[0].flatten().tolist()) <= {n for n, size in enumerate(SIZES) if size}
    moved = [rectify_foreground(prototypes, embeddings, i, top_n, 0.4) for i in indexes]
    assert moved[0].numpy().tobytes() == moved[1].numpy().tobytes()
    assert not torch.equal(moved[0], prototypes)


def test_many_images_give_the_same_bytes_with_the_real_chunks(tmp_path):
    images = described([1 + n % 3 for n in range(search.ROWS + 905)], channels=8)
    written(tmp_path, images, 1000)
    prototypes, embeddings = supports(search.SUPPORTS + 3, channels=8)
    moved = [
        rectify_foreground(prototypes, embeddings, load_index(tmp_path, limit), 4, 0.4)
        for limit in (None, 0)
    ]
    assert moved[0].numpy().tobytes() == moved[1].numpy().tobytes()


def test_the_regions_are_those_of_the_chosen_images_alone(tmp_path):
    images = described()
    written(tmp_path, images, 4)
    rows = torch.tensor([[13, 1], [6, 13]])
    found = load_index(tmp_path, 0).regions_of(rows)
    assert len(found.embeddings) == 4 + 3 + 40
    for row, first, size in zip(
        rows.flatten(), found.first.flatten(), found.sizes.flatten(), strict=True
    ):
        assert torch.equal(found.embeddings[first : first + size], images[row].regions)


def test_the_same_images_twice_are_both_kept_and_the_earlier_is_nearer(tmp_path):
    # One way or another, in powers of two: every cosine is exactly 1 or 0.
    ways = torch.eye(2)
    images = [ImageRegions(f"im{n}", ways[n % 2] * 2**n, ways * (n + 1), [1, 2]) for n in range(9)]
    written(tmp_path, images, 2)
    for limit in (None, 0):
        found = load_index(tmp_path, limit).nearest_images(ways, 3)
        assert found.tolist() == [[0, 2, 4], [1, 3, 5]]


@pytest.mark.parametrize("limit", [None, 0])
@pytest.mark.parametrize("sizes", [[0], [0, 0, 0]])
def test_a_pool_without_any_region_changes_nothing(tmp_path, limit, sizes):
    written(tmp_path, described(sizes), 2)
    prototypes, embeddings = supports(3)
    index = load_index(tmp_path, limit)
    assert index.nearest_images(embeddings, 4).shape == (3, 0)
    assert torch.equal(rectify_foreground(prototypes, embeddings, index, 4, 0.5), prototypes)


def test_an_index_of_another_device_is_the_stored_one_itself(tmp_path):
    index = load_index(written(tmp_path, described(), 5), 0)
    assert index.to(torch.device("cpu")) is index


def test_a_search_reads_no_region_and_of_the_regions_only_those_of_a_few_images(tmp_path):
    big = [REGION_ROWS] * 30
    images = described(big)
    written(tmp_path, images, 30)
    path = tmp_path / "00000.h5"
    index = open_index(tmp_path)
    content = bytearray(path.read_bytes())
    content[content.index(images[20].regions.numpy().tobytes())] ^= 1
    path.write_bytes(content)
    index.nearest_images(supports(2)[0], 30)
    assert len(index.regions_of(torch.tensor([19, 21])).embeddings) == 2 * REGION_ROWS
    message = one_line(index.regions_of, torch.tensor([20]))
    assert message.startswith(f"{path} is damaged")


@pytest.mark.parametrize("what", ["image", "regions"])
def test_a_damaged_shard_in_the_middle_is_one_line(tmp_path, what):
    images = described()
    written(tmp_path, images, 4)
    path = tmp_path / "00001.h5"
    content = bytearray(path.read_bytes())
    content[content.index(getattr(images[5], what).numpy().tobytes())] ^= 1
    path.write_bytes(content)
    prototypes, embeddings = supports(5)
    index = load_index(tmp_path, 0)
    for message in (
        one_line(rectify_foreground, prototypes, embeddings, index, 100, 0.5),
        one_line(load_index, tmp_path),
    ):
        assert message.startswith(f"{path} is damaged")
        assert message.endswith("run the stage 'index' again")


def test_a_shard_that_vanished_after_opening_is_one_line(tmp_path):
    index = load_index(written(tmp_path, described(), 4), 0)
    (tmp_path / "00002.h5").unlink()
    message = one_line(index.nearest_images, supports(2)[0], 2)
    assert message.endswith("00002.h5 does not exist: run the stage 'index' again")
