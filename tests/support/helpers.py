"""What several tests share: one-line errors, a small dataset on disk, comparison of states."""

from pathlib import Path

import numpy as np
import pytest

from fsslib.data.manifest import ImageRecord, Manifest
from fsslib.errors import FsslibError
from fsslib.files.tensor_files import VERSION, named_tensors, save_tensors
from fsslib.training.trained_model import KIND
from tests.support.fakes import png_bytes, write
from tests.support.scenes import NAMES, scene

LAYOUT = [(1,), (2,), (3,), (1, 4), (2, 5), (3, 6), (1, 2), (2, 3), (4,), (5, 6), (1, 6), (3, 4)]
"""Classes in each training image; fold 0 holds back 1 to 3, fold 1 holds back 4 to 6."""


def one_line(function, *args, **kwargs) -> str:
    """The message of the `FsslibError` that the call raises, a single line."""
    with pytest.raises(FsslibError) as caught:
        function(*args, **kwargs)
    message = str(caught.value)
    assert len(message.splitlines()) == 1, message
    return message


def make_dataset(root: Path, layout=LAYOUT, sizes=((60, 76), (72, 56))) -> Manifest:
    """A VOC-layout folder of discs on noise with rims of 255, and its manifest."""
    records = []
    for number, class_ids in enumerate(layout):
        image_id = f"train_{number:03d}"
        image, mask = scene(number, class_ids, sizes[number % len(sizes)])
        write(root / "JPEGImages" / f"{image_id}.png", png_bytes(image, palette=False))
        write(root / "SegmentationClass" / f"{image_id}.png", png_bytes(mask))
        values, counts = np.unique(mask, return_counts=True)
        pixels = dict(zip(values.tolist(), counts.tolist(), strict=True))
        paths = f"JPEGImages/{image_id}.png", f"SegmentationClass/{image_id}.png"
        records.append(ImageRecord(image_id, *paths, *mask.shape, pixels))
    folds = ((1, 2, 3), (4, 5, 6))
    return Manifest("discs", "listed", root, NAMES, folds, train=tuple(records), val=())


def bilinear(values, size):
    """align_corners interpolation of (h, w) to (H, W): corners on corners, in plain loops."""
    (h, w), (height, width) = values.shape, size
    out = np.zeros(size)
    for y in range(height):
        for x in range(width):
            v = y * (h - 1) / (height - 1) if height > 1 else 0.0
            u = x * (w - 1) / (width - 1) if width > 1 else 0.0
            top, left = int(v), int(u)
            bottom, right = min(top + 1, h - 1), min(left + 1, w - 1)
            a, b = v - top, u - left
            above = (1 - b) * values[top, left] + b * values[top, right]
            below = (1 - b) * values[bottom, left] + b * values[bottom, right]
            out[y, x] = (1 - a) * above + a * below
    return out


def save_trained(encoder, path, background) -> None:
    """A file as training writes it, both encoders the same."""
    online = {k: v.clone() for k, v in named_tensors(encoder, "online.").items()}
    tensors = {**online, **named_tensors(encoder, "average.")}
    if background is not None:
        tensors["background"] = background
    head = {"kind": KIND, "version": VERSION, "backbone": encoder.backbone, "about": {}}
    save_tensors(path, tensors, head)
