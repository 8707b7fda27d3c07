"""Tiny annotated scenes and a tiny encoder, in memory, for the tests of episodes and evaluation."""

import numpy as np
import torch
from torch import nn

from fsslib.data.manifest import ImageRecord, Manifest

COLOURS = {0: (40, 60, 40), 1: (210, 60, 40), 2: (50, 80, 220), 3: (220, 200, 60)}
NAMES = {1: "ant", 2: "bee", 3: "cow", 4: "dog", 5: "eel", 6: "fox"}


def scene(seed, class_ids, size=(204, 252)):
    """A photograph with one disc a class on noise, and its mask with an ignored rim."""
    rng = np.random.default_rng(seed)
    mask = np.zeros(size, np.uint8)
    y, x = np.mgrid[: size[0], : size[1]]
    for place, class_id in enumerate(class_ids):
        row = int(rng.integers(size[0] // 3, 2 * size[0] // 3))
        column = size[1] * (place + 1) // (len(class_ids) + 1)
        distance = np.hypot(y - row, x - column)
        radius = int(size[0] * rng.uniform(0.15, 0.22))
        mask[distance < radius + 2] = 255
        mask[distance < radius] = class_id
    image = np.zeros((*size, 3))
    for class_id, colour in COLOURS.items():
        image[mask == class_id] = colour
    image[mask == 255] = (90, 90, 90)
    noise = rng.normal(0, 55, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8), mask


class Scenes:
    """A val split in memory: `read_image`, `read_mask`, `records`, `manifest`."""

    def __init__(self, layout, sizes=((204, 252), (240, 180), (192, 264))):
        self.images, self.masks = {}, {}
        for number, class_ids in enumerate(layout):
            image_id = f"val_{number:03d}"
            size = sizes[number % len(sizes)]
            self.images[image_id], self.masks[image_id] = scene(number, class_ids, size)

    def read_image(self, image_id):
        return self.images[image_id]

    def read_mask(self, image_id):
        return self.masks[image_id]

    @property
    def records(self):
        records = []
        for image_id, mask in self.masks.items():
            values, numbers = np.unique(mask, return_counts=True)
            pixels = dict(zip(values.tolist(), numbers.tolist(), strict=True))
            records.append(ImageRecord(image_id, "i", "m", *mask.shape, pixels))
        return tuple(records)

    @property
    def manifest(self):
        return Manifest(
            dataset="discs",
            folds_rule="listed",
            root=None,
            classes=NAMES,
            folds=((1, 2, 3), (4, 5, 6)),
            train=(),
            val=self.records,
        )


class TinyEncoder:
    """Random convolutions of stride 8, (H, W, 3) uint8 -> (C, h, w); counts its calls."""

    def __init__(self, channels=24):
        generator = torch.Generator().manual_seed(3)
        self.net = nn.Sequential(
            nn.Conv2d(3, 16, 5, stride=4, padding=2),
            nn.ReLU(),
            nn.Conv2d(16, channels, 3, stride=2, padding=1),
        )
        for parameter in self.net.parameters():
            parameter.requires_grad_(False)
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
        self.calls = 0

    def __call__(self, image):
        self.calls += 1
        return self.net(torch.tensor(image).permute(2, 0, 1)[None] / 128.0 - 1)[0]
