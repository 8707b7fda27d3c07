"""Exact search of the nearest images by cosine, chunk by chunk (section 3.4).

Memory is bounded by one chunk and does not depend on the size of the pool. A chunk takes 200 MB at
1024 channels: `ROWS` images, their cosines with `SUPPORTS` supports and the sort order of the
cosines (docs/performance.md).
"""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from fsslib.errors import FsslibError

ROWS = 4096
"""Images scored at once. The number is fixed because the shape of a matrix product decides its
rounding: every index has to cut the pool at the same places to give the same bits."""

SUPPORTS = 1024
"""Supports scored at once. The number is fixed for the same reason."""


def nearest(embeddings: Tensor, chunks: Iterable[Tensor], number: int) -> Tensor:
    """Find the images whose embeddings have the largest cosine with each support's embedding.

    All supports share one pass over the images. Among equal cosines the earlier image wins.

    Args:
        embeddings: (S, C) float32, one per support.
        chunks: (m, C) float32 each; together they are the N images in order, see `rechunked`.
        number: number of images per support, at most N.

    Returns:
        (S, number) int64, positions among the N images, nearest first.

    Raises:
        FsslibError: an embedding is not finite.
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
    """The largest cosines found so far for one block of supports."""

    def __init__(self, queries: Tensor, number: int) -> None:
        self.cosines = queries.new_full((len(queries), number), -torch.inf)
        self.rows = torch.zeros(len(queries), number, dtype=torch.int64, device=queries.device)

    def offer(self, cosines: Tensor, first: int) -> None:
        """Take in the cosines (S, m) of the m images that start at position `first`."""
        # Only supports that a chunk improves are sorted; after the first chunks these are few. An
        # equal cosine is not an improvement, so the earlier image stays.
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
        FsslibError: a row is not finite; its cosines would hide those of the other rows.
    """
    lengths: Tensor = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    if not lengths.isfinite().all():
        raise FsslibError(
            "an image embedding is not finite: the trained encoder is broken, run the stages "
            "'train' and 'index' again (with a lower training.lr if its losses grow)"
        )
    return vectors / lengths.clamp(min=torch.finfo(vectors.dtype).tiny)


def rechunked(parts: Iterable[Tensor]) -> Iterator[Tensor]:
    """Cut parts (m, C) of any length into chunks of `ROWS` rows; the last chunk may be shorter."""
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
