"""Exact search of the nearest images by cosine, chunk by chunk (section 3.4).

Memory is bounded by a chunk, whatever the size of the pool: `ROWS` images, their cosines with
`SUPPORTS` supports and the order of those, 200 MB at 1024 channels (docs/performance.md).
"""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from fsslib.errors import FsslibError

ROWS = 4096
"""Images scored at once. Fixed: a matrix product rounds by its shape, so every index has to cut the
pool at the same places to give the same bits."""

SUPPORTS = 1024
"""Supports scored at once, fixed for the same reason."""


def nearest(embeddings: Tensor, chunks: Iterable[Tensor], number: int) -> Tensor:
    """Find the images whose embeddings have the largest cosine with each support's.

    All supports share one pass over the images. Among equal cosines the earlier image wins.

    Args:
        embeddings: (S, C) float32, one a support.
        chunks: (m, C) float32 each, together the N images in order; see `rechunked`.
        number: of images a support, at most N.

    Returns:
        (S, number) int64, positions among the N images, the nearest first.

    Raises:
        FsslibError: an embedding that is not finite.
    """
    queries = [unit(block) for block in embeddings.split(SUPPORTS)]
    best = [_Best(query, number) for query in queries]
    first = 0
    for chunk in chunks:
        images = unit(chunk.to(embeddings.device))
        for query, found in zip(queries, best, strict=True):
            found.offer(query @ images.T, first)
        first += len(chunk)
    return torch.cat([found.rows for found in best])


class _Best:
    """The largest cosines so far of one block of supports."""

    def __init__(self, queries: Tensor, number: int) -> None:
        self.cosines = queries.new_full((len(queries), number), -torch.inf)
        self.rows = torch.zeros(len(queries), number, dtype=torch.int64, device=queries.device)

    def offer(self, cosines: Tensor, first: int) -> None:
        """Take in the cosines (S, m) of images `first` and following."""
        # Only supports that a chunk improves are sorted. After the first chunks these are few.
        # An equal cosine is no improvement: the earlier image stays.
        better = (cosines.amax(1) > self.cosines[:, -1]).nonzero().flatten()
        number = self.rows.shape[1]
        joined = torch.cat([self.cosines[better], cosines[better]], dim=1)
        values, place = joined.sort(dim=1, descending=True, stable=True)
        place = place[:, :number]
        kept = self.rows[better].gather(1, place.clamp(max=number - 1))
        self.rows[better] = torch.where(place < number, kept, place - number + first)
        self.cosines[better] = values[:, :number]


def unit(vectors: Tensor) -> Tensor:
    """Scale the rows of (n, C) to length 1; a zero row stays zero.

    Raises:
        FsslibError: a row that is not finite: its cosines would hide those of the others.
    """
    lengths: Tensor = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    if not lengths.isfinite().all():
        raise FsslibError(
            "an image embedding is not finite: the trained encoder is broken, run the stages "
            "'train' and 'index' again (with a lower training.lr if its losses grow)"
        )
    return vectors / lengths.clamp(min=torch.finfo(vectors.dtype).tiny)


def rechunked(parts: Iterable[Tensor]) -> Iterator[Tensor]:
    """Cut parts (m, C) of any length into chunks of `ROWS` rows, the last one shorter."""
    held: list[Tensor] = []
    for part in parts:
        held.append(part)
        if sum(map(len, held)) >= ROWS:
            *whole, rest = torch.cat(held).split(ROWS)
            if len(rest) == ROWS:
                whole, rest = [*whole, rest], rest[:0]
            held = [rest]
            yield from whole
    if sum(map(len, held)):
        yield torch.cat(held)
