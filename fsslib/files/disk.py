"""Room on the disk, asked for before a long write starts."""

import shutil
from pathlib import Path

from fsslib.errors import FsslibError

GB = 10**9


def require_space(folder: Path, need: int, remedy: str) -> str:
    """Make sure that a write fits.

    Args:
        folder: to write into; it need not exist yet.
        need: bytes, an estimate.
        remedy: which parameter writes less.

    Returns:
        A sentence for people: what will be written and what is free.

    Raises:
        FsslibError: less is free than is needed.
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
    """Bytes of the files directly in a folder; 0 when there is none."""
    return sum(p.stat().st_size for p in folder.glob("*") if p.is_file())
