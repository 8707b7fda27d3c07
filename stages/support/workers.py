"""How many workers decode photographs: `runtime.workers`, or as many as the machine has use for."""

import os

from .params import Runtime

ON_A_CPU = 2
"""Photographs that are encoded at a time on a CPU, each on one core, unless `workers` says more."""

MOST = 16
"""Processes that keep a GPU busy: with 16, 20 000 photographs of 321 px are decoded in a second."""


def count_workers(runtime: Runtime, gpu: bool) -> int:
    """Return the number of workers of this process.

    `auto` means, on a GPU, its share of the cores but one, at most 16. All processes of a machine
    (`torchrun`) share its cores.
    """
    if runtime.workers != "auto":
        return runtime.workers
    return gpu_workers() if gpu else min(ON_A_CPU, _cores())


def gpu_workers() -> int:
    """Return the number of processes that one process with a GPU lets read photographs."""
    cores = _cores() // max(1, int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    return max(1, min(MOST, cores - 1))


def _cores() -> int:
    """Cores that this process may use; batch systems give it fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
