"""Listing of a folder of photographs with its sub-folders, quick for a million files."""

import os
from pathlib import Path

from fsslib.data.images import photo_suffixes


def photographs_below(folder: Path) -> list[str]:
    """Photographs in a folder and below, as paths relative to it, sorted part by part.

    Files and folders whose names begin with a dot are left out, such as the `._` files of a Mac.
    Links to files count, links to folders are not followed. A folder without access holds nothing.
    """
    suffixes = photo_suffixes()
    found, todo = [], [""]
    while todo:
        inside = todo.pop()
        try:
            entries = os.scandir(folder / inside)
        except (PermissionError, FileNotFoundError):
            continue
        with entries:
            for entry in entries:
                name = entry.name
                if name.startswith("."):
                    continue
                if _is_folder(entry):
                    todo.append(f"{inside}{name}/")
                elif _suffix(name) in suffixes and _is_file(entry):
                    found.append(inside + name)
    # Names hold no zero byte, so this is the order of the paths' parts.
    return sorted(found, key=lambda path: path.replace("/", "\0"))


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - a million Path objects are slow


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _is_file(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link to itself
        return False
