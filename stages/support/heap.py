"""Settings of the C library's heap, which wastes memory on many tensor sizes and threads."""

import ctypes
import sys

_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_M_ARENA_MAX = -8


def share_one_heap() -> None:
    """Let all threads allocate from one heap.

    glibc gives each thread its own heap, and threads cannot use what another one frees. With one
    heap, evaluating ResNet-50 with two threads took 1.5 GB instead of 1.7 GB, at the same speed
    (docs/performance.md).
    """
    if _LIBC and hasattr(_LIBC, "mallopt"):
        _LIBC.mallopt(_M_ARENA_MAX, 1)


def trim_heap() -> None:
    """Give the heap's free pages back to the system.

    Photographs of many sizes leave gaps that the next one does not fit into. After 1000 of them, a
    third of the process's memory was free but not given back (docs/performance.md).
    """
    if _LIBC and hasattr(_LIBC, "malloc_trim"):
        _LIBC.malloc_trim(0)
