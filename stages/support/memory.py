"""The memory budget of evaluation: `runtime.memory_gb`, or half of the free memory."""

import os
from collections.abc import Iterator
from pathlib import Path

from .params import (
    Runtime,
)

GROUPS = Path("/sys/fs/cgroup")
"""Where Linux keeps the limits of containers and batch systems."""


def memory_budget(runtime: Runtime) -> int:
    """Bytes that evaluation may use for features and score maps."""
    if runtime.memory_gb is not None:
        return int(runtime.memory_gb * 2**30)
    return min([_available(), *_left_in_groups()]) // 2


def _available() -> int:
    """Bytes of free memory of the machine."""
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        for line in meminfo.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _left_in_groups(
    membership: Path = Path("/proc/self/cgroup"), groups: Path = GROUPS
) -> Iterator[int]:
    """Bytes that are left in each of this process's control groups that has a limit."""
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            folder, limit, used = groups / path.strip("/"), "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            folder = groups / "memory" / path.strip("/")
            limit, used = "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        try:
            most, now = ((folder / name).read_text().strip() for name in (limit, used))
            cached = _file_cache((folder / "memory.stat").read_text())
        except OSError:  # no memory controller in this group
            continue
        if most != "max":
            yield max(int(most) - int(now) + cached, 0)


def _file_cache(stat: str) -> int:
    """Bytes of cached files that the kernel frees when memory is short."""
    values = dict(line.split() for line in stat.splitlines())
    return int(values.get("total_inactive_file", values.get("inactive_file", "0")))
