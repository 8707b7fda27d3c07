"""Progress numbers against loops over pixels, and what they leave alone."""

import numpy as np
import pytest
import torch

from fsslib.training.progress import foreground_iou, label_agreement, predicted_labels
from tests.support.helpers import bilinear


def example(classes, size=(13, 10), seed=0):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(3, classes, 4, 3, generator=generator)
    masks = torch.randint(0, classes + 1, (3, *size), generator=generator, dtype=torch.uint8)
    masks[masks == classes] = 255
    return scores, masks


def labels_by_loops(scores, size):
    full = [np.stack([bilinear(m, size) for m in image.numpy()]) for image in scores]
    return np.stack([maps.argmax(axis=0) for maps in full])


def test_labels_are_the_best_class_of_the_upsampled_scores():
    scores, _ = example(4)
    assert np.array_equal(predicted_labels(scores, (13, 10)), labels_by_loops(scores, (13, 10)))


def agreement_by_loops(labels, masks):
    equal = valid = 0
    for place in np.ndindex(labels.shape):
        if masks[place] != 255:
            valid, equal = valid + 1, equal + int(masks[place] == labels[place])
    return equal / valid


def test_agreement_is_the_share_of_valid_pixels_at_the_feature_locations():
    scores, masks = example(4)  # 4 x 3 locations on 13 x 10 px: every 4th row, 4.5 columns
    labels, sampled = scores.argmax(dim=1).numpy(), masks[:, ::4][:, :, [0, 4, 9]]
    expected = agreement_by_loops(labels, sampled)
    assert label_agreement(scores, masks).item() == pytest.approx(expected)


def test_agreement_is_close_to_that_of_all_pixels():
    generator = torch.Generator().manual_seed(1)
    coarse = torch.randn(1, 4, 5, 5, generator=generator)
    scores = torch.nn.functional.interpolate(coarse, (16, 16), mode="bilinear")
    masks = torch.zeros(1, 128, 128, dtype=torch.uint8)
    masks[:, 40:100, 20:90] = 2
    expected = agreement_by_loops(labels_by_loops(scores, (128, 128)), masks.numpy())
    assert label_agreement(scores, masks).item() == pytest.approx(expected, abs=0.03)


def test_iou_is_the_mean_over_episodes_without_ignored_pixels():
    scores, masks = example(2)
    each = []
    for won, true in zip(labels_by_loops(scores, (13, 10)), masks.numpy(), strict=True):
        hits = either = 0
        for place in np.ndindex(won.shape):
            if true[place] != 255:
                a, b = won[place] == 1, true[place] == 1
                hits, either = hits + (a and b), either + (a or b)
        each.append(hits / either)
    assert foreground_iou(scores, masks).item() == pytest.approx(np.mean(each))


def test_without_a_valid_pixel_both_are_zero():
    masks = torch.full((3, 13, 10), 255, dtype=torch.uint8)
    assert label_agreement(example(4)[0], masks) == 0
    assert foreground_iou(example(2)[0], masks) == 0


def test_they_carry_no_gradient():
    scores, masks = example(2)
    scores.requires_grad_()
    assert not label_agreement(scores, masks).requires_grad
    assert not foreground_iou(scores, masks).requires_grad
