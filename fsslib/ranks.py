"""Several processes on one job: who this process is, and waiting for the others.

`torchrun` and `accelerate launch` start the processes and set the environment variables that are
read here; without them there is one process. Work is shared by shards (`fsslib.shards`), so the
processes exchange nothing: they only wait for each other, which gloo does on any machine.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from fsslib.errors import FsslibError

T = TypeVar("T")

PATIENCE = timedelta(days=7)
"""How long a process that has finished its share waits: torchrun stops all when one fails."""


@dataclass(frozen=True)
class Ranks:
    """This process among the others.

    Attributes:
        number: 0 to `size` - 1; rank 0 speaks and joins what all wrote.
        size: processes in all.
        local: number on this machine, which is the number of its GPU.
    """

    number: int = 0
    size: int = 1
    local: int = 0

    @property
    def leads(self) -> bool:
        """Whether this is rank 0."""
        return self.number == 0

    def share(self, items: Sequence[T]) -> Iterator[tuple[int, T]]:
        """This rank's items, every `size`-th, with their numbers among all."""
        return ((i, items[i]) for i in range(self.number, len(items), self.size))

    def wait(self) -> None:
        """Return when every rank has called this."""
        if self.size == 1:
            return
        from torch import distributed

        if not distributed.is_initialized():
            distributed.init_process_group("gloo", timeout=PATIENCE)
        distributed.barrier()


def read_ranks() -> Ranks:
    """The ranks that `torchrun` or `accelerate launch` made, or a single one.

    Raises:
        FsslibError: RANK or WORLD_SIZE is no number, or the rank is not below the size.
    """
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    try:
        number, size, local = (int(os.environ.get(n, d)) for n, d in zip(names, "010", strict=True))
    except ValueError:
        given = ", ".join(f"{n}={os.environ.get(n)!r}" for n in names)
        raise FsslibError(f"{given} must be numbers: start with torchrun, or unset them") from None
    if not 0 <= number < size:
        raise FsslibError(f"RANK={number} must be below WORLD_SIZE={size}: start with torchrun")
    return Ranks(number, size, local)
