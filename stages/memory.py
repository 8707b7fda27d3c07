"""The memory budget of evaluation: `runtime.memory_gb`, or half of what is free."""

import os
from pathlib import Path

from stages.params import Runtime


def memory_budget(runtime: Runtime) -> int:
    """Bytes that evaluation may use for features and score maps."""
    if runtime.memory_gb is not None:
        return int(runtime.memory_gb * 2**30)
    return _available() // 2


def _available() -> int:
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        for line in meminfo.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
