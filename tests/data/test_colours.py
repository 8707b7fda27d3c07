"""Colours of strong augmentation: as often as in SimCLR, and alike one by one and together."""

import numpy as np
import pytest
import torch

from fsslib.data.colours import Colours, apply_together, draw_colours


def rng(seed=0):
    return np.random.default_rng(seed)


def photographs(count, height, width):
    """Smooth, noisy and flat images."""
    generator = torch.Generator().manual_seed(0)
    low = torch.rand(count, 3, 5, 5, generator=generator) * 255
    images = torch.nn.functional.interpolate(low, (height, width), mode="bilinear")
    images[0] = torch.randint(0, 256, (3, height, width), generator=generator)
    images[1] = 77
    return images.to(torch.uint8)


def test_colour_augmentation_jitters_grays_and_blurs_as_often_as_simclr():
    noise = torch.randint(0, 256, (3, 24, 24), dtype=torch.uint8)
    same = gray = 0
    for seed in range(400):
        result = draw_colours(rng(seed)).apply(noise)
        assert result.dtype == torch.uint8
        assert result.shape == noise.shape
        same += bool(torch.equal(result, noise))
        gray += bool((result[0] == result[1]).all() and (result[1] == result[2]).all())
    assert 0.04 < same / 400 < 0.14  # no jitter 0.2, no gray 0.8, no blur 0.5: 0.08
    assert 0.14 < gray / 400 < 0.28  # 0.2, and now and then a jitter to no saturation


def gap(image, colours):
    """Largest difference in levels between the two ways."""
    together = apply_together(image[None], [colours])[0].int()
    return int((together - colours.apply(image).int()).abs().max())


@pytest.mark.parametrize("amount", [0.2, 0.7, 1.0, 1.3, 1.8])
@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "hue"])
def test_each_adjustment_together_is_torchvisions(name, amount):
    turns = (amount - 1) / 2 if name == "hue" else amount
    steps = [("brightness", 1.0), ("contrast", 1.0), ("saturation", 1.0)]
    for image in photographs(4, 40, 50):
        plain = [step for step in steps if step[0] != name]
        if name != "hue":
            plain.append(("hue", 0.0))
        assert gap(image, Colours(((name, turns), *plain), False, None)) <= 1


@pytest.mark.parametrize("size", [(40, 50), (9, 30), (2, 3), (1, 1)])
@pytest.mark.parametrize("blur", [0.1, 0.4, 1.0, 2.0])
def test_blur_together_is_torchvisions(size, blur):
    for image in photographs(3, *size):
        assert gap(image, Colours((), False, blur)) <= 1


def test_gray_together_is_torchvisions():
    for image in photographs(4, 40, 50):
        assert gap(image, Colours((), True, None)) == 0


def test_drawn_colours_together_are_those_one_by_one():
    images = photographs(40, 33, 47)
    colours = [draw_colours(rng(seed)) for seed in range(40)]
    before = images.clone()
    together = apply_together(images, colours).int()
    assert torch.equal(images, before)
    alone = torch.stack([c.apply(i) for c, i in zip(colours, images, strict=True)]).int()
    differences = (together - alone).abs()
    assert together.float().std() > 10
    assert (differences <= 1).float().mean() > 0.999
    assert differences.max() <= 8  # a level before an adjustment that stretches it
