"""Ranks of the processes that share one job, and the communication between them.

`torchrun` and `accelerate launch` start the processes and set the environment variables that this
module reads. Without these variables there is one process. Work on many images is divided into
shards (`fsslib.files.shards`), and processes only wait for each other. Training sums tensors over
the processes.

A batch system may also start processes at different times, such as the tasks of a job array. Then
`FSSLIB_SHARE=3/16` makes a process do its share of the shards, without waiting for the others. The
same command without that variable, afterwards, joins the shards.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from fsslib.errors import FsslibError

if TYPE_CHECKING:  # stages without torch start quickly
    from torch import Tensor

T = TypeVar("T")

PATIENCE = timedelta(days=7)
"""How long a process that has finished its share waits for the others.

It can be long, because torchrun stops all processes when one fails.
"""


@dataclass(frozen=True)
class Ranks:
    """The rank of this process and the number of processes.

    Attributes:
        number: rank, 0 to `size` - 1; rank 0 prints and joins the files that all ranks wrote.
        size: number of processes.
        local: rank on this machine, which is also the number of its GPU.
        apart: whether the processes do not communicate, so that none joins files.
    """

    number: int = 0
    size: int = 1
    local: int = 0
    apart: bool = False

    @property
    def leads(self) -> bool:
        """Whether this is rank 0, which joins what all ranks wrote."""
        return self.number == 0 and not self.apart

    def require_together(self, step: str) -> None:
        """Raise `FsslibError` if processes that do not communicate are to do a step that must."""
        if self.apart:
            raise FsslibError(
                f"{SHARE} divides the files of extract, annotate and index, not {step}: unset it"
            )

    def share(self, items: Sequence[T]) -> Iterator[tuple[int, T]]:
        """Every `size`-th item, which is this rank's share, with its index in `items`."""
        return ((i, items[i]) for i in range(self.number, len(items), self.size))

    def part(self, count: int, name: str) -> range:
        """This rank's consecutive, equal part of `count` places.

        Args:
            count: number of places.
            name: parameter that sets the count, for the error message.

        Raises:
            FsslibError: the places cannot be shared equally.
        """
        if count % self.size:
            fitting = ", ".join(str(n) for n in range(1, self.size) if count % n == 0)
            raise FsslibError(
                f"{name}: {count} cannot be shared equally by {self.size} processes: make it a "
                f"multiple of {self.size}, or start as many as divide it ({fitting})"
            )
        each = count // self.size
        return range(self.number * each, (self.number + 1) * each)

    def wait(self) -> None:
        """Return when every rank has called this."""
        self.any(False)

    def any(self, mine: bool) -> bool:
        """Whether `mine` is true on any rank; every rank must call this."""
        if self.size == 1 or self.apart:
            return mine
        import torch

        flag = torch.tensor([float(mine)])
        self.add_up(flag)
        return flag.item() > 0

    def add_up(self, tensor: "Tensor") -> None:
        """Replace a tensor by its sum over the ranks.

        The result has the same bits on every rank. No gradient flows through it.

        Raises:
            FsslibError: another rank has stopped.
        """
        if self.size == 1:
            return
        from torch import distributed

        if not distributed.is_initialized():
            distributed.init_process_group(_backends(), timeout=PATIENCE)
        try:
            distributed.all_reduce(tensor)
        except RuntimeError as error:
            raise FsslibError(
                "another process has stopped, see what it says: mend that and run the same command "
                f"again ({str(error).splitlines()[0]})"
            ) from error


SHARE = "FSSLIB_SHARE"
"""Environment variable: number of this process and of all, `3/16`, without communication."""

ALONE = Ranks()
"""The ranks of a single process."""


def _backends() -> str:
    """Gloo for tensors on the CPU, NCCL for those on a GPU."""
    from torch import cuda, distributed

    both = cuda.is_available() and distributed.is_nccl_available()
    return "cpu:gloo,cuda:nccl" if both else "gloo"


def read_ranks() -> Ranks:
    """Read the ranks that `torchrun` or `accelerate launch` set; without them, a single process.

    Raises:
        FsslibError: RANK, WORLD_SIZE or LOCAL_RANK is not a number, the rank is not below the size,
            or `FSSLIB_SHARE` is not such a pair.
    """
    if SHARE in os.environ:
        return _read_share(os.environ[SHARE])
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    try:
        number, size, local = (int(os.environ.get(n, d)) for n, d in zip(names, "010", strict=True))
    except ValueError:
        given = ", ".join(f"{n}={os.environ.get(n)!r}" for n in names)
        raise FsslibError(f"{given} must be numbers: start with torchrun, or unset them") from None
    if not 0 <= number < size:
        raise FsslibError(f"RANK={number} must be below WORLD_SIZE={size}: start with torchrun")
    return Ranks(number, size, local)


def _read_share(given: str) -> Ranks:
    number, _, size = given.partition("/")
    if not (number.isdecimal() and size.isdecimal() and int(number) < int(size)):
        raise FsslibError(f"{SHARE}={given!r} is not as 0/16 to 15/16: correct or unset it")
    return Ranks(int(number), int(size), apart=True)
