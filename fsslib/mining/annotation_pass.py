"""The pass of annotation: photographs to pseudo-masks as PNGs (eq. 3)."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn.functional import normalize

from fsslib.data.images import UInt8
from fsslib.data.scaling import scale_photograph
from fsslib.encoders.lanes import Arrays
from fsslib.encoders.running import PhotographEncoder
from fsslib.encoders.work import Loaded, Work
from fsslib.mining.pooling import upsample
from fsslib.mining.pseudo_masks import encode_png, pseudo_mask

T = TypeVar("T")

SCORE_BYTES = 1 << 29
"""Bytes of cosines at image size that are compared at once."""


def annotation_work(
    encode: PhotographEncoder, read: Callable[[T], tuple[str, UInt8]], prototypes: Tensor
) -> Work[T, tuple[str, bytes]]:
    """Label photographs as `pseudo_mask` does, one by one or in batches.

    Args:
        encode: the encoder.
        read: item -> id and photograph (H, W, 3).
        prototypes: (K + 1, C) float32, row 0 the background.

    Returns:
        Work whose results are (id, PNG).
    """
    prototypes = prototypes.to(encode.device)

    def single(item: T) -> tuple[str, bytes]:
        image_id, image = read(item)
        size = (image.shape[0], image.shape[1])
        return image_id, encode_png(pseudo_mask(encode(image), prototypes, size))

    def load(item: T) -> Loaded:
        image_id, image = read(item)
        size = (image.shape[0], image.shape[1])
        photograph = scale_photograph(image, encode.long_side)
        return Loaded(photograph, note=(image_id, size), apart=size)

    def reduce(features: Tensor, planes: Sequence[Tensor], notes: Sequence[Any]) -> list[Tensor]:
        return [pseudo_masks(features, prototypes, notes[0][1])]

    def finish(item: T, loaded: Loaded, found: Arrays) -> tuple[str, bytes]:
        return loaded.note[0], encode_png(found[0])

    return Work(single, load, reduce, finish, in_worker=True)


def pseudo_masks(features: Tensor, prototypes: Tensor, size: tuple[int, int]) -> Tensor:
    """Label each pixel of a batch with the most similar prototype (eq. 3), as `pseudo_mask`.

    Args:
        features: (B, C, h, w) float32.
        prototypes: (K + 1, C) float32 on the same device.
        size: (H, W) of the images in px.

    Returns:
        (B, H, W) uint8 in 0 to K.
    """
    cosines = normalize(prototypes, dim=1) @ normalize(features.flatten(2), dim=1)
    maps = cosines.unflatten(2, features.shape[2:])
    step = max(1, SCORE_BYTES // (4 * maps.shape[1] * size[0] * size[1]))
    labels = [upsample(part, size).max(dim=1).indices for part in maps.split(step)]
    return torch.cat(labels).to(torch.uint8)
