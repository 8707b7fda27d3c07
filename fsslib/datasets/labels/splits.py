"""Names of splits in paths of exports."""

import re
from pathlib import Path

WORDS = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val", "test": "val",
}  # fmt: skip
"""Words of a file's or folder's name -> our split. A test split is only used for validation."""


def split_of_path(path: Path) -> str | None:
    """`train` or `val` where the file's name or that of its folder says so, else None."""
    for name in (path.stem, path.parent.name):
        found = {WORDS[w] for w in re.split(r"[^a-z]+", name.lower()) if w in WORDS}
        if len(found) == 1:
            return found.pop()
    return None
