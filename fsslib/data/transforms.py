"""Training transforms on uint8 tensors; every random choice comes from the generator given."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as tv

from fsslib.data.folds import IGNORE

GRAY = 124
"""Fill of padded image pixels: close to ImageNet's mean, so about zero after normalisation."""

CROP_AREA = (0.25, 1.0)
"""Share of a pool image that a strong crop keeps. SimCLR's lower end of 0.08 leaves too few pixels
of an object to be a region."""
ASPECT = (3 / 4, 4 / 3)
JITTER_PROBABILITY, GRAY_PROBABILITY, BLUR_PROBABILITY = 0.8, 0.2, 0.5
BRIGHTNESS = CONTRAST = SATURATION = 0.8
HUE = 0.2
BLUR_SIGMA = (0.1, 2.0)


def rescale(image: Tensor, mask: Tensor, factor: float) -> tuple[Tensor, Tensor]:
    """Resize (3, H, W) bilinearly with antialiasing and (H, W) by nearest neighbour."""
    if factor == 1:
        return image, mask
    size = [max(1, round(n * factor)) for n in mask.shape]
    resized = tv.resize(mask[None], size, InterpolationMode.NEAREST)[0]
    return tv.resize(image, size, antialias=True), resized


def pad_to(image: Tensor, mask: Tensor, crop: int) -> tuple[Tensor, Tensor]:
    """Pad right and below to at least `crop` px: image with `GRAY`, mask with 255."""
    missing = [max(0, crop - n) for n in mask.shape]
    if not any(missing):
        return image, mask
    padding = [0, 0, missing[1], missing[0]]
    return tv.pad(image, padding, fill=GRAY), tv.pad(mask[None], padding, fill=IGNORE)[0]


def crop_on_class(
    image: Tensor, mask: Tensor, crop: int, min_pixels: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Random crop that shows the class, and a random horizontal flip (section 4.1).

    Args:
        image: (3, H, W) uint8.
        mask: (H, W) uint8, 1 the class, 0 the rest, 255 ignore.
        crop: side in px.
        min_pixels: of the class that a crop should hold; ten draws, then one around a class pixel.
        rng: the episode's generator.

    Returns:
        (3, crop, crop) uint8 and (crop, crop) uint8.
    """
    image, mask = pad_to(image, mask, crop)
    high = [n - crop + 1 for n in mask.shape]
    for _ in range(10):
        top, left = (int(rng.integers(n)) for n in high)
        if int((mask[top : top + crop, left : left + crop] == 1).sum()) >= min_pixels:
            break
    else:
        inside = torch.nonzero(mask == 1)
        if len(inside):
            row, column = inside[int(rng.integers(len(inside)))].tolist()
            top = min(max(row - crop // 2, 0), high[0] - 1)
            left = min(max(column - crop // 2, 0), high[1] - 1)
    image = image[:, top : top + crop, left : left + crop]
    mask = mask[top : top + crop, left : left + crop]
    if rng.random() < 0.5:
        image, mask = image.flip(-1), mask.flip(-1)
    return image, mask


def strong_augment(
    image: Tensor, mask: Tensor, crop: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """SimCLR's strong augmentation for a pseudo-labelled image (section 4.1, after [5]).

    Resized crop and flip move the pseudo-mask along; colour jitter, grayscale and blur leave it.

    Args:
        image: (3, H, W) uint8.
        mask: (H, W) uint8 pseudo-mask.
        crop: side of the result in px.
        rng: the image's generator.
    """
    top, left, height, width = _crop_box(mask.shape[0], mask.shape[1], rng)
    size = [crop, crop]
    image = tv.resized_crop(image, top, left, height, width, size, antialias=True)
    nearest = InterpolationMode.NEAREST
    mask = tv.resized_crop(mask[None], top, left, height, width, size, nearest)[0]
    if rng.random() < 0.5:
        image, mask = image.flip(-1), mask.flip(-1)
    return strong_colour(image, rng), mask


def centre_square(image: Tensor, mask: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """The largest square around the centre of (3, H, W) and (H, W), resized to `side` px."""
    shorter = min(mask.shape)
    top, left = ((n - shorter) // 2 for n in mask.shape)
    box = top, left, shorter, shorter
    mask = tv.resized_crop(mask[None], *box, [side, side], InterpolationMode.NEAREST)[0]
    return tv.resized_crop(image, *box, [side, side], antialias=True), mask


def _crop_box(height: int, width: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    area = height * width * rng.uniform(*CROP_AREA)
    aspect = np.exp(rng.uniform(*np.log(ASPECT)))
    h = min(height, max(1, round(float(np.sqrt(area / aspect)))))
    w = min(width, max(1, round(float(np.sqrt(area * aspect)))))
    return int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)), h, w


def strong_colour(image: Tensor, rng: np.random.Generator) -> Tensor:
    """Colour jitter in random order, grayscale and Gaussian blur: (3, H, W) uint8 to the same."""
    if rng.random() < JITTER_PROBABILITY:
        steps: list[Callable[[Tensor], Tensor]] = []
        for adjust, strength in (
            (tv.adjust_brightness, BRIGHTNESS),
            (tv.adjust_contrast, CONTRAST),
            (tv.adjust_saturation, SATURATION),
        ):
            factor = float(rng.uniform(1 - strength, 1 + strength))
            steps.append(lambda x, f=factor, a=adjust: a(x, f))  # type: ignore[misc]
        shift = float(rng.uniform(-HUE, HUE))
        steps.append(lambda x: tv.adjust_hue(x, shift))
        for number in rng.permutation(len(steps)):
            image = steps[number](image)
    if rng.random() < GRAY_PROBABILITY:
        image = tv.rgb_to_grayscale(image, num_output_channels=3)
    if rng.random() < BLUR_PROBABILITY:
        sigma = float(rng.uniform(*BLUR_SIGMA))
        # Three deviations hold 99.7 % of the kernel; SimCLR's tenth of the image only adds zeros.
        side = 2 * int(np.ceil(3 * sigma)) + 1
        side = min(side, 2 * ((min(image.shape[1:]) - 1) // 2) + 1)
        image = tv.gaussian_blur(image, [side, side], [sigma, sigma])
    return image
