"""Exact pooling at feature size against features that really are upsampled (eq. 2)."""

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from fsslib.mining.pooling import (
    image_embedding,
    interpolation_matrix,
    masked_average,
    masked_sums,
    project_masks,
    upsample,
)
from tests.support.helpers import bilinear

SIZES = [
    # C, h, w, H, W
    (3, 5, 7, 33, 51),
    (4, 8, 8, 61, 64),
    (2, 1, 1, 9, 13),
    (2, 1, 6, 11, 40),
    (2, 6, 1, 40, 1),
    (3, 9, 9, 5, 6),  # features larger than the mask
    (2, 60, 60, 473, 473),
]


def upsampled_average(feature, mask):
    """Eq. 2 as written: upsample F, then the mean over the pixels of the mask."""
    full = interpolate(feature[None], mask.shape, mode="bilinear", align_corners=True)[0]
    return (full * mask).sum(dim=(1, 2)) / mask.sum()


def example(size, seed=0):
    c, h, w, height, width = size
    generator = torch.Generator().manual_seed(seed)
    feature = torch.randn(c, h, w, generator=generator)
    masks = torch.rand(3, height, width, generator=generator) < 0.3
    masks[0] = False
    masks[0, height // 3 : height // 2 + 1, width // 3 : width // 2 + 1] = True
    masks[2] = False
    masks[2, height // 2, width // 2] = True  # one pixel: vanishes in a mask of feature size
    return feature, masks


@pytest.mark.parametrize("size", SIZES)
def test_pooling_equals_the_mean_over_upsampled_features(size):
    feature, masks = example(size)
    ours = masked_average(feature, masks)
    theirs = torch.stack([upsampled_average(feature.double(), m.double()) for m in masks])
    assert (ours - theirs).abs().max() < 1e-5


@pytest.mark.parametrize("size", SIZES)
def test_gradient_equals_that_through_upsampled_features(size):
    feature, masks = example(size, seed=1)
    ours = feature.clone().requires_grad_()
    theirs = feature.double().requires_grad_()
    # Squares make the gradient depend on the values too.
    (masked_average(ours, masks) ** 2).sum().backward()
    torch.stack([upsampled_average(theirs, m.double()) ** 2 for m in masks]).sum().backward()
    assert theirs.grad.abs().max() > 1e-3
    assert (ours.grad - theirs.grad).abs().max() < 1e-5 * theirs.grad.abs().max()


def test_pooling_equals_plain_loops():
    feature, masks = example((2, 4, 5, 13, 17), seed=2)
    for channel in range(2):
        full = bilinear(feature[channel].double().numpy(), (13, 17))
        for row, mask in zip(masked_average(feature, masks), masks, strict=True):
            pixels = [full[y, x] for y in range(13) for x in range(17) if mask[y, x]]
            assert float(row[channel]) == pytest.approx(sum(pixels) / len(pixels), abs=1e-6)


def test_mask_that_vanishes_at_feature_size_still_has_its_prototype():
    feature, _ = example((3, 4, 4, 64, 64))
    mask = torch.zeros(1, 64, 64)
    mask[0, 10, 10] = 1
    assert interpolate(mask[None], (4, 4), mode="nearest").sum() == 0
    expected = [bilinear(channel.numpy(), (64, 64))[10, 10] for channel in feature]
    assert masked_average(feature, mask)[0].tolist() == pytest.approx(expected, abs=1e-5)


def test_empty_mask_gives_zero_with_a_zero_gradient():
    feature = torch.randn(3, 4, 4).requires_grad_()
    average = masked_average(feature, torch.zeros(1, 20, 20, dtype=torch.bool))
    average.sum().backward()
    assert average.tolist() == [[0, 0, 0]]
    assert not feature.grad.any()


def test_no_mask_gives_no_row():
    assert masked_average(torch.randn(3, 4, 4), torch.zeros(0, 20, 20)).shape == (0, 3)


def test_feature_of_one_location_is_every_prototype():
    feature, masks = example((5, 1, 1, 12, 20))
    for row in masked_average(feature, masks):
        assert torch.allclose(row, feature[:, 0, 0], atol=1e-6)


def test_sums_and_counts_are_numerator_and_denominator():
    feature, masks = example((3, 5, 7, 33, 51))
    sums, counts = masked_sums(feature, masks)
    assert counts.tolist() == [float(m.sum()) for m in masks]
    full = interpolate(feature[None].double(), (33, 51), mode="bilinear", align_corners=True)[0]
    for row, mask in zip(sums, masks, strict=True):
        assert torch.allclose(row.double(), (full * mask).sum(dim=(1, 2)), atol=1e-3)


def test_sums_of_disjoint_masks_add_up():
    feature, masks = example((3, 5, 7, 33, 51))
    parts = torch.stack([masks[1], ~masks[1], torch.ones_like(masks[1])])
    sums, counts = masked_sums(feature, parts)
    assert torch.allclose(sums[0] + sums[1], sums[2], atol=1e-3)
    assert counts[0] + counts[1] == counts[2] == 33 * 51


def test_byte_and_bool_masks_pool_alike():
    feature, masks = example((3, 5, 7, 33, 51))
    assert torch.equal(masked_average(feature, masks), masked_average(feature, masks.byte()))


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (5, 1), (2, 7), (7, 7), (8, 3), (60, 473)])
def test_rows_of_the_interpolation_matrix_sum_to_one(size):
    matrix = interpolation_matrix(*size)
    assert matrix.shape == (size[1], size[0])
    assert torch.allclose(matrix.sum(dim=1), torch.ones(size[1]), atol=1e-6)
    assert matrix.min() >= 0


def test_interpolation_matrix_of_a_known_case():
    expected = [[1, 0, 0], [0.5, 0.5, 0], [0, 1, 0], [0, 0.5, 0.5], [0, 0, 1]]
    assert interpolation_matrix(3, 5).tolist() == expected


def test_projected_mask_keeps_its_mass():
    _, masks = example((3, 5, 7, 33, 51))
    projected = project_masks(masks, (5, 7))
    assert projected.shape == (3, 5, 7)
    expected = masks.sum(dim=(1, 2)).float()
    assert torch.allclose(projected.sum(dim=(1, 2)), expected, rtol=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_upsample_equals_torch(size):
    feature, _ = example(size)
    ours = upsample(feature, size[3:])
    theirs = interpolate(feature[None].double(), size[3:], mode="bilinear", align_corners=True)[0]
    assert (ours - theirs).abs().max() < 1e-5


def test_upsample_equals_plain_loops_under_any_leading_dimensions():
    maps = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(4))
    ours = upsample(maps, (9, 7))
    assert ours.shape == (2, 3, 9, 7)
    for i in range(2):
        for j in range(3):
            expected = bilinear(maps[i, j].double().numpy(), (9, 7))
            assert np.abs(ours[i, j].numpy() - expected).max() < 1e-6


def test_image_embedding_is_the_mean_over_locations():
    feature = torch.arange(12.0).reshape(2, 2, 3)
    assert image_embedding(feature).tolist() == [2.5, 8.5]
