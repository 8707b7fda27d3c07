"""Encodes a batch in chunks to save memory, with the gradient of the whole batch."""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor

from fsslib.encoders.base import Encoder
from fsslib.errors import FsslibError


class GradientCache:
    """Runs the encoder on a batch with the activations of at most `size` images in memory.

    The losses of chunks do not add up to the loss of the batch, because prototypes, batch norm and
    means combine images. So the chunks are encoded without a graph, and the loss is computed from
    their joined features. Then each chunk is encoded once more to pass the gradient of its features
    on (Gao et al. 2021, arXiv 2101.06983). The result is exact and costs one more forward pass.

    Args:
        encode: maps images (n, ...) to features (n, C, h, w), each image independently.
        size: images per chunk; None encodes all images at once.
    """

    def __init__(self, encode: Callable[[Tensor], Tensor], size: int | None) -> None:
        self._encode, self._size = encode, size

    def encode(self, images: Tensor) -> Tensor:
        """Return the features of all images; with several chunks they are a leaf of the graph."""
        if self._size is None or len(images) <= self._size:
            return self._encode(images)
        with torch.no_grad():
            features = torch.cat([self._encode(chunk) for chunk in images.split(self._size)])
        return features.requires_grad_()

    def backward(self, loss: Tensor, images: Tensor, features: Tensor) -> None:
        """Add the gradients of the loss; `features` is what `encode` returned for `images`."""
        loss.backward()
        if self._size is None or len(images) <= self._size:
            return
        assert features.grad is not None
        chunks = zip(images.split(self._size), features.grad.split(self._size), strict=True)
        for chunk, gradient in chunks:
            self._encode(chunk).backward(gradient)


def compiled(encoder: Encoder) -> Callable[[Tensor], Tensor]:
    """Return the encoder's forward pass through torch.compile; the encoder itself is unchanged.

    Raises:
        FsslibError: at the first image, if torch finds no compiler.
    """
    from torch._dynamo.exc import BackendCompilerFailed  # slow to import

    run = torch.compile(encoder)

    def forward(images: Tensor) -> Tensor:
        try:
            return cast(Tensor, run(images))
        except BackendCompilerFailed as error:
            reason = str(error.inner_exception).strip().split("\n", 1)[0]
            raise FsslibError(
                f"training.compile: true needs a compiler that works ({reason}): set "
                "training.compile to false, or install one (g++; on a GPU also triton)"
            ) from None

    return forward
