"""Checks of the free disk space before a long write starts."""

import shutil
from pathlib import Path

from fsslib.errors import FsslibError

GB = 10**9


def require_space(folder: Path, need: int, remedy: str) -> str:
    """Raise `FsslibError` unless a write fits on the disk.

    Args:
        folder: folder to write into; it does not have to exist yet.
        need: estimated size in bytes.
        remedy: which parameter reduces the size, for the error message.

    Returns:
        A sentence for the user: how much will be written and how much is free.

    Raises:
        FsslibError: less space is free than is needed.
    """
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    if need > free:
        raise FsslibError(
            f"{folder} needs about {_size(need)}, {_size(free)} are free: free space, or {remedy}"
        )
    return f"writing about {_size(need)} to {folder}, {_size(free)} are free"


def _size(number: int) -> str:
    if number < GB:
        return f"{number / 10**6:.1f} MB"
    return f"{number / GB:.2f} GB" if number < 10 * GB else f"{number / GB:.0f} GB"


def folder_bytes(folder: Path) -> int:
    """Total size in bytes of the files directly in a folder; 0 when the folder does not exist."""
    return sum(p.stat().st_size for p in folder.glob("*") if p.is_file())
