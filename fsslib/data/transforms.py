"""Training transforms on uint8 tensors; every random choice comes from the given generator."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as tv

from fsslib.data.folds import IGNORE

GRAY = 124
"""Value of padded image pixels: close to ImageNet's mean, so about zero after normalisation."""

CROP_AREA = (0.25, 1.0)
"""Share of a pool image's area that a strong crop keeps.

With SimCLR's lower limit of 0.08, too few pixels of an object are left to form a region.
"""
ASPECT = (3 / 4, 4 / 3)


def rescale(image: Tensor, mask: Tensor, factor: float) -> tuple[Tensor, Tensor]:
    """Resize an image (3, H, W) and its mask (H, W) by a factor.

    The image is resized bilinearly with antialiasing, the mask by nearest neighbour.
    """
    if factor == 1:
        return image, mask
    size = [max(1, round(n * factor)) for n in mask.shape]
    resized = tv.resize(mask[None], size, InterpolationMode.NEAREST)[0]
    return tv.resize(image, size, antialias=True), resized


def pad_to(image: Tensor, mask: Tensor, crop: int) -> tuple[Tensor, Tensor]:
    """Pad at the right and the bottom to at least `crop` px: image with `GRAY`, mask with 255."""
    missing = [max(0, crop - n) for n in mask.shape]
    if not any(missing):
        return image, mask
    padding = [0, 0, missing[1], missing[0]]
    return tv.pad(image, padding, fill=GRAY), tv.pad(mask[None], padding, fill=IGNORE)[0]


def crop_on_class(
    image: Tensor,
    mask: Tensor,
    crop: int,
    min_pixels: int,
    rng: np.random.Generator,
    label: int = 1,
) -> tuple[Tensor, Tensor]:
    """Take a random crop that shows the class, and flip it horizontally at random (section 4.1).

    Args:
        image: (3, H, W) uint8.
        mask: (H, W) uint8, 255 ignore.
        crop: side in px.
        min_pixels: pixels of the class that the crop should hold. After ten random crops with too
            few, the crop is placed around a random pixel of the class.
        rng: the episode's generator.
        label: value of the class in the mask.

    Returns:
        (3, crop, crop) uint8 and (crop, crop) uint8.
    """
    image, mask = pad_to(image, mask, crop)
    high = [n - crop + 1 for n in mask.shape]
    for _ in range(10):
        top, left = (int(rng.integers(n)) for n in high)
        if int((mask[top : top + crop, left : left + crop] == label).sum()) >= min_pixels:
            break
    else:
        inside = torch.nonzero(mask == label)
        if len(inside):
            row, column = inside[int(rng.integers(len(inside)))].tolist()
            top = min(max(row - crop // 2, 0), high[0] - 1)
            left = min(max(column - crop // 2, 0), high[1] - 1)
    image = image[:, top : top + crop, left : left + crop]
    mask = mask[top : top + crop, left : left + crop]
    if rng.random() < 0.5:
        image, mask = image.flip(-1), mask.flip(-1)
    return image, mask


def strong_crop(
    image: Tensor, mask: Tensor, crop: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Crop and flip an image and its pseudo-mask, the geometric part of SimCLR's augmentation.

    The colour part is in `fsslib.data.colours` (section 4.1, after [5]).

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
    return image, mask


def centre_square(image: Tensor, mask: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Cut the largest centred square out of (3, H, W) and (H, W), and resize it to `side` px."""
    shorter = min(mask.shape)
    top, left = ((n - shorter) // 2 for n in mask.shape)
    box = top, left, shorter, shorter
    mask = tv.resized_crop(mask[None], *box, [side, side], InterpolationMode.NEAREST)[0]
    return tv.resized_crop(image, *box, [side, side], antialias=True), mask


def binary_mask(labels: Tensor, class_id: int) -> Tensor:
    """Convert an index mask to 1 (the class), 0 (everything else) and 255 (ignore), uint8."""
    mask = (labels == class_id).to(torch.uint8)
    mask[labels == IGNORE] = IGNORE
    return mask


def base_labels(labels: Tensor, class_ids: Sequence[int]) -> Tensor:
    """Number the base classes in an index mask.

    Args:
        labels: (..., H, W) uint8 with the class ids of the dataset; 255 is ignored.
        class_ids: the n base classes of a fold.

    Returns:
        (..., H, W) uint8: 1 to n for the base classes in the order of their ids, 0 for all others
        and the background, 255 as it was.
    """
    table = torch.zeros(256, dtype=torch.uint8)
    table[sorted(class_ids)] = torch.arange(1, len(class_ids) + 1, dtype=torch.uint8)
    table[IGNORE] = IGNORE
    return table[labels.long()]


def _crop_box(height: int, width: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    area = height * width * rng.uniform(*CROP_AREA)
    aspect = np.exp(rng.uniform(*np.log(ASPECT)))
    h = min(height, max(1, round(float(np.sqrt(area / aspect)))))
    w = min(width, max(1, round(float(np.sqrt(area * aspect)))))
    return int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)), h, w
