"""The pipeline's steps as commands, and the process settings that all of them want."""

import ctypes
import os
import sys

# Threads that wait for each other sleep instead of spinning: 20 times less CPU time when the cores
# are shared (docs/performance.md). Read when torch starts its first team of threads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Photographs of many sizes: oneDNN keeps what it compiled for each size, by default 1024 pieces,
# and the memory of `extract` grew with the number of images (docs/performance.md). 128 hold the
# sizes that come again and again; the time is the same. Read when torch first convolves.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")


_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def _one_arena() -> None:
    """Let all threads allocate from one heap.

    glibc gives each thread a heap of its own, and what one frees the others cannot use: evaluating
    ResNet-50 with two threads took 1.5 GB instead of 1.7, at the same speed (docs/performance.md).
    """
    m_arena_max = -8
    if _LIBC and hasattr(_LIBC, "mallopt"):
        _LIBC.mallopt(m_arena_max, 1)


def trim_heap() -> None:
    """Give the heap's free pages back to the system.

    Photographs of many sizes leave gaps that the next one does not fit: after 1000 of them a third
    of the process was free and not given back (docs/performance.md).
    """
    if _LIBC and hasattr(_LIBC, "malloc_trim"):
        _LIBC.malloc_trim(0)


_one_arena()
