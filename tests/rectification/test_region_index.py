"""Mined regions of the pool: which there are, their embeddings, and the index on disk."""

import numpy as np
import pytest
import torch

from fsslib.files.storage import create_hdf5
from fsslib.rectification.index_building import describe_regions, write_regions
from fsslib.rectification.index_reading import load_index
from tests.support.helpers import bilinear, one_line

REMEDY = "run the stage 'index' again"

MASK = np.array(
    [
        [1, 1, 0, 0, 2, 2],
        [1, 1, 0, 0, 2, 2],
        [0, 0, 1, 0, 0, 0],
        [0, 0, 0, 0, 0, 0],
        [4, 0, 0, 2, 2, 2],
    ],
    np.uint8,
)
"""Label 1: 4 px and, touching only at a corner, 1 px; label 2: 4 and 3 px; label 4: 1 px of 30."""


def feature(seed=0, size=(3, 3, 4)):
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


def mean_under(maps, where):
    """Average pooling in loops over the upsampled feature."""
    rows = []
    for channel in maps:
        full = bilinear(channel.double().numpy(), where.shape)
        values = [full[y, x] for y, x in zip(*np.nonzero(where), strict=True)]
        rows.append(sum(values) / len(values))
    return rows


def flood(mask, start):
    """The 4-connected part of one label that holds `start`, by walking."""
    part, stack = np.zeros(mask.shape, bool), [start]
    while stack:
        y, x = stack.pop()
        inside = 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1]
        if inside and not part[y, x] and mask[y, x] == mask[start]:
            part[y, x] = True
            stack += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
    return part


def test_label_regions_are_one_a_sub_cluster_and_pooled_over_all_its_pixels():
    found = describe_regions("a", feature(), MASK, "label", 0.0)
    assert found.labels == [1, 2, 4]
    for row, label in zip(found.regions, found.labels, strict=True):
        assert row.tolist() == pytest.approx(mean_under(feature(), label == MASK), abs=1e-5)


def test_component_regions_are_the_connected_parts():
    found = describe_regions("a", feature(), MASK, "component", 0.0)
    assert found.labels == [1, 1, 2, 2, 4]
    starts = [(0, 0), (2, 2), (0, 4), (4, 3), (4, 0)]
    for row, start in zip(found.regions, starts, strict=True):
        expected = mean_under(feature(), flood(MASK, start))
        assert row.tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("kind", "min_area", "labels"),
    [
        ("label", 1 / 30, [1, 2, 4]),
        ("label", 1.01 / 30, [1, 2]),
        ("label", 5 / 30, [1, 2]),
        ("label", 7 / 30, [2]),
        ("label", 1.0, []),
        ("component", 3 / 30, [1, 2, 2]),
        ("component", 4 / 30, [1, 2]),
    ],
)
def test_regions_below_the_least_share_of_the_image_are_left_out(kind, min_area, labels):
    assert describe_regions("a", feature(), MASK, kind, min_area).labels == labels


def test_background_is_no_region():
    found = describe_regions("a", feature(), np.zeros((9, 9), np.uint8), "component", 0.0)
    assert found.labels == []
    assert found.regions.shape == (0, 3)


def test_image_embedding_is_the_mean_over_locations():
    found = describe_regions("a", feature(), MASK, "label", 0.0)
    expected = [float(np.mean(channel.double().numpy())) for channel in feature()]
    assert found.image.tolist() == pytest.approx(expected, abs=1e-6)


def images():
    """Four images; the second without a region."""
    masks = [MASK, np.zeros((5, 6), np.uint8), MASK[:, ::-1].copy(), (MASK == 4) * np.uint8(3)]
    return [
        describe_regions(f"im{n}", feature(n), mask, "component", 0.05)
        for n, mask in enumerate(masks)
    ]


def test_shards_are_joined_in_order_with_owners_shifted(tmp_path):
    described = images()
    write_regions(tmp_path / "00000.h5", described[:3])
    write_regions(tmp_path / "00001.h5", iter(described[3:]))
    index = load_index(tmp_path)
    assert index.image_ids == ("im0", "im1", "im2", "im3")
    assert torch.equal(index.images, torch.stack([d.image for d in described]))
    expected = [(n, row) for n, d in enumerate(described) for row in d.regions.tolist()]
    assert index.owner.tolist() == [n for n, _ in expected]
    assert index.regions.tolist() == [row for _, row in expected]
    assert 1 not in index.owner


def test_one_or_many_shards_make_the_same_index(tmp_path):
    for name, cut in (("a", 4), ("b", 1)):
        for number, start in enumerate(range(0, 4, cut)):
            write_regions(tmp_path / name / f"{number:05d}.h5", images()[start : start + cut])
    one, many = load_index(tmp_path / "a"), load_index(tmp_path / "b")
    assert one.image_ids == many.image_ids
    for name in ("images", "regions", "owner"):
        assert torch.equal(getattr(one, name), getattr(many, name))


def test_a_pool_without_any_region_makes_an_empty_index(tmp_path):
    write_regions(tmp_path / "00000.h5", images()[1:2])
    index = load_index(tmp_path)
    assert index.image_ids == ("im1",)
    assert index.regions.shape == (0, 3)
    assert index.owner.shape == (0,)


def test_the_same_regions_give_the_same_bytes(tmp_path):
    for name in ("a.h5", "b.h5"):
        write_regions(tmp_path / name, images())
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_empty_folder_older_and_damaged_index_are_one_line_with_the_remedy(tmp_path):
    assert one_line(load_index, tmp_path) == f"{tmp_path} holds no region index: {REMEDY}"
    path = tmp_path / "00000.h5"
    with create_hdf5(path, "regions", 0):
        pass
    assert one_line(load_index, tmp_path).endswith(REMEDY)
    described = images()
    write_regions(path, described)
    content = bytearray(path.read_bytes())
    content[content.index(described[0].image.numpy().tobytes())] ^= 1
    path.write_bytes(content)
    message = one_line(load_index, tmp_path)
    assert message.startswith(f"{path} is damaged")
    assert message.endswith(REMEDY)
