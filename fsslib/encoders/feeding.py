"""One pass that feeds the encoder, for every step that encodes photographs.

On a CPU, each thread takes one photograph from file to result (`map_ordered`), as the convolutions
are all that takes time. A GPU needs batches instead: 64 photographs at once are encoded 9 to 11
times as fast as one after the other (docs/performance.md). So workers load photographs ahead, those
of one size are put together, a batch is encoded and reduced on the GPU while the next one is copied
there, and workers finish what comes back. Results come in the order of the items.

Photographs are never padded: convolutions of the last layers would see the padding, and the feature
would not be that of the photograph alone.
"""

import time
from collections.abc import Generator, Sequence
from contextlib import closing
from typing import TypeVar

from fsslib.encoders.batching import Engine
from fsslib.encoders.running import map_ordered
from fsslib.encoders.work import Feeding, Work

T = TypeVar("T")
R = TypeVar("R")


def feed(work: Work[T, R], items: Sequence[T], feeding: Feeding) -> Generator[R, None, None]:
    """Yield the result of each item, in order.

    Up to rounding, results do not depend on `feeding`. At most `window` items are held at a time.
    Closing the generator ends its threads and processes.

    Raises:
        FsslibError: of an item, after the results of those before it; or a worker was killed, or a
            single photograph does not fit in the memory of the device.
    """
    if feeding.one_by_one:
        yield from map_ordered(work.single, items, feeding.workers)
    elif items:
        started = time.perf_counter()
        with closing(Engine(work, items, feeding)) as engine:
            try:
                yield from engine.results()
            finally:
                feeding.tally.seconds += time.perf_counter() - started
