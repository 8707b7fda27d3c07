"""Encoding a batch in chunks where memory is short, with the gradient of the whole batch."""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor

from fsslib.encoders.base import Encoder
from fsslib.errors import FsslibError


class GradientCache:
    """The encoder on a batch, with the activations of at most `size` images in memory.

    Losses of chunks do not add up to the loss of the batch: prototypes, batch norm and the means
    join images. So chunks are encoded without a graph, the loss is computed from their joined
    features, and each chunk is encoded once more to carry its features' gradient on (Gao et al.
    2021, arXiv 2101.06983). The result is exact, for one more forward pass.

    Args:
        encode: images (n, ...) to features (n, C, h, w), each image on its own.
        size: images a chunk; None for all at once.
    """

    def __init__(self, encode: Callable[[Tensor], Tensor], size: int | None) -> None:
        self._encode, self._size = encode, size

    def encode(self, images: Tensor) -> Tensor:
        """Features of all images; of several chunks they are a leaf of the graph."""
        if self._size is None or len(images) <= self._size:
            return self._encode(images)
        with torch.no_grad():
            features = torch.cat([self._encode(chunk) for chunk in images.split(self._size)])
        return features.requires_grad_()

    def backward(self, loss: Tensor, images: Tensor, features: Tensor) -> None:
        """Add the loss's gradients; `features` is what `encode` gave for `images`."""
        loss.backward()
        if self._size is None or len(images) <= self._size:
            return
        assert features.grad is not None
        chunks = zip(images.split(self._size), features.grad.split(self._size), strict=True)
        for chunk, gradient in chunks:
            self._encode(chunk).backward(gradient)


def compiled(encoder: Encoder) -> Callable[[Tensor], Tensor]:
    """The encoder's forward pass through torch.compile; the encoder itself stays as it is.

    Raises:
        FsslibError: at the first image, where torch finds no compiler.
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
