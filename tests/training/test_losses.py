"""The losses of eq. 1 in float64 loops over pixels, with the crops that training really sees."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate

from fsslib.training.losses import MiningHead, episode_prototypes, pixel_loss, score_map
from tests.support.helpers import bilinear


def randn(*size, seed=0):
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


def masks_of(pairs, shot, size, seed=0):
    generator = torch.Generator().manual_seed(seed)
    values = torch.tensor([0, 1, 255], dtype=torch.uint8)
    return values[torch.randint(0, 3, (pairs, shot, *size), generator=generator)]


def eq2(feature, where):
    """Mean of the upsampled (C, h, w) feature under a mask, or None where it is empty."""
    if not where.any():
        return None
    full = interpolate(feature[None].double(), where.shape, mode="bilinear", align_corners=True)[0]
    return full[:, where].mean(dim=1)


def naive_prototype(features, masks, value):
    """Eq. 2 for each support that shows `value`, then their mean; zero where none does."""
    found = [eq2(f, m == value) for f, m in zip(features, masks, strict=True)]
    found = [f for f in found if f is not None]
    return sum(found) / len(found) if found else torch.zeros(features.shape[1]).double()


def assert_prototypes(features, masks):
    foreground, background = episode_prototypes(features, masks)
    for pair in range(len(features)):
        for ours, value in ((foreground, 1), (background, 0)):
            expected = naive_prototype(features[pair], masks[pair], value)
            assert torch.allclose(ours[pair].double(), expected, atol=1e-5)


@pytest.mark.parametrize("shot", [1, 5])
def test_prototypes_are_eq_2_averaged_over_the_supports(shot):
    assert_prototypes(randn(3, shot, 6, 4, 5), masks_of(3, shot, (31, 38)))


def test_supports_of_unlike_area_count_alike():
    masks = masks_of(1, 2, (31, 38))
    masks[0, 0, 3:] = 0  # almost no class in the first support
    masks[0, 0, 0, 0] = 1
    assert_prototypes(randn(1, 2, 6, 4, 5), masks)


def test_a_support_that_lacks_a_side_is_left_out_of_its_mean():
    masks = masks_of(2, 3, (31, 38))
    masks[0, 0] = 1  # a crop of the class alone
    masks[0, 1] = 255  # nothing but ignored pixels
    masks[1, 2] = 0  # the class was cropped away
    assert_prototypes(randn(2, 3, 6, 4, 5), masks)


def test_one_class_crop_has_a_zero_background_and_no_nan():
    masks = torch.ones(1, 1, 20, 20, dtype=torch.uint8)
    features = randn(1, 1, 6, 3, 3).requires_grad_()
    foreground, background = episode_prototypes(features, masks)
    assert not background.any()
    (foreground.sum() + background.sum()).backward()
    assert torch.isfinite(features.grad).all()


def test_scores_are_sigma_times_the_cosine():
    features, prototypes = randn(2, 5, 3, 4), randn(2, 3, 5, seed=1)
    scores = score_map(features, prototypes, 20.0)
    assert scores.shape == (2, 3, 3, 4)
    for b in range(2):
        for n in range(3):
            for y in range(3):
                for x in range(4):
                    f, p = features[b, :, y, x].tolist(), prototypes[b, n].tolist()
                    dot = sum(i * j for i, j in zip(f, p, strict=True))
                    norms = math.hypot(*f) * math.hypot(*p)
                    assert float(scores[b, n, y, x]) == pytest.approx(20 * dot / norms, abs=1e-4)


def test_scores_keep_within_sigma_and_a_zero_prototype_scores_zero():
    prototypes = torch.stack([randn(4) * 1e4, torch.zeros(4)])[None]
    scores = score_map(randn(1, 4, 3, 3) * 1e-3, prototypes, 20.0)
    assert scores.abs().max() <= 20.001
    assert not scores[:, 1].any()


def naive_pixel_loss(scores, masks):
    """Eq. 4 with eq. 5, pixel by pixel: the mean of -log softmax over an image, then over all."""
    total = 0.0
    for logits, mask in zip(scores, masks, strict=True):
        full = [bilinear(plane.double().numpy(), mask.shape) for plane in logits]
        image, pixels = 0.0, 0
        for y in range(mask.shape[0]):
            for x in range(mask.shape[1]):
                if mask[y, x] == 255:
                    continue
                weights = [math.exp(plane[y, x]) for plane in full]
                image -= math.log(weights[int(mask[y, x])] / sum(weights))
                pixels += 1
        total += image / max(pixels, 1)
    return total / len(scores)


@pytest.mark.parametrize("classes", [2, 6])
def test_loss_equals_eq_4_and_5_in_loops(classes):
    scores = randn(3, classes, 3, 4) * 5
    masks = torch.randint(0, classes, (3, 17, 22), dtype=torch.uint8)
    masks[:, :4] = 255
    masks[1, 5:] = 255  # images weigh alike, whatever they ignore
    loss = pixel_loss(scores, masks)
    assert float(loss) == pytest.approx(naive_pixel_loss(scores, masks), rel=1e-5)


def test_an_ignored_image_counts_as_zero_with_a_zero_gradient():
    scores = (randn(2, 2, 3, 4) * 5).requires_grad_()
    masks = torch.randint(0, 2, (2, 17, 22), dtype=torch.uint8)
    masks[1] = 255
    loss = pixel_loss(scores, masks)
    assert loss.item() == pytest.approx(naive_pixel_loss(scores.detach(), masks), rel=1e-5)
    loss.backward()
    assert scores.grad[0].any()
    assert not scores.grad[1].any()


def test_everything_ignored_gives_zero():
    masks = torch.full((2, 9, 9), 255, dtype=torch.uint8)
    assert float(pixel_loss(randn(2, 2, 3, 3), masks)) == 0


@pytest.mark.parametrize("value", [0, 1])
def test_a_one_class_crop_has_a_finite_loss(value):
    masks = torch.full((1, 9, 9), value, dtype=torch.uint8)
    scores = randn(1, 2, 3, 3) * 20
    assert float(pixel_loss(scores, masks)) == pytest.approx(naive_pixel_loss(scores, masks))


def test_known_losses():
    masks = torch.zeros(1, 5, 5, dtype=torch.uint8)
    assert float(pixel_loss(torch.zeros(1, 4, 2, 2), masks)) == pytest.approx(math.log(4))
    sure = torch.zeros(1, 2, 2, 2)
    sure[:, 0] = 30
    assert float(pixel_loss(sure, masks)) == pytest.approx(0, abs=1e-6)
    assert float(pixel_loss(sure, masks + 1)) == pytest.approx(30, rel=1e-5)


def test_gradient_equals_that_through_torchs_upsampling():
    ours = (randn(2, 3, 4, 5) * 3).requires_grad_()
    theirs = ours.detach().double().requires_grad_()
    masks = torch.randint(0, 3, (2, 33, 41), dtype=torch.uint8)
    masks[:, 7] = 255
    pixel_loss(ours, masks).backward()
    full = interpolate(theirs, (33, 41), mode="bilinear", align_corners=True)
    nn.functional.cross_entropy(full, masks.long(), ignore_index=255).backward()
    assert (ours.grad - theirs.grad).abs().max() < 1e-5 * theirs.grad.abs().max()


def head(seed=0, classes=6):
    return MiningHead(16, classes, torch.Generator().manual_seed(seed))


def test_head_is_three_convolutions_with_norm_and_relu_after_the_first_two():
    kinds = [type(m).__name__ for m in head()]
    norm = ["Conv2d", "GlobalBatchNorm", "ReLU"]
    assert kinds == [*norm, *norm, "Conv2d"]
    assert head()(randn(2, 16, 5, 7)).shape == (2, 6, 5, 7)


def test_head_starts_undecided_and_follows_its_generator_alone():
    scores = head().eval()(randn(2, 16, 5, 7)).detach()
    assert scores.abs().max() < 2
    masks = torch.randint(0, 6, (2, 40, 56), dtype=torch.uint8)
    assert float(pixel_loss(scores, masks)) == pytest.approx(math.log(6), abs=0.3)
    torch.manual_seed(77)
    first, second, other = head().state_dict(), head().state_dict(), head(1).state_dict()
    assert all(torch.equal(first[k], second[k]) for k in first)
    assert not torch.equal(first["0.weight"], other["0.weight"])
