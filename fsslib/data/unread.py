"""Files of a folder of photographs that nothing reads, named so that nobody misses them."""

import os
from collections.abc import Collection, Sequence
from pathlib import Path, PurePath

from fsslib.data import heic
from fsslib.data.images import photo_suffixes

CLUTTER = ("thumbs.db", "desktop.ini")
"""Files of the system, beside the hidden ones whose names begin with a dot."""

SHOWN = 3
"""Names in one line."""


def unread_files(
    folder: Path, also_read: Collection[str] = (), below: bool = False
) -> tuple[str, ...]:
    """Names of the files in a folder that are no photographs by suffix, sorted.

    Hidden files and those of the system are left out. A folder that cannot be listed has none.

    Args:
        folder: to list.
        also_read: suffixes in lower case of other files that are read, such as `.json`.
        below: whether sub-folders count, too; hidden ones do not. Their files are named by path.
    """
    read = {*photo_suffixes(), *also_read}
    found = []
    for place, inner, names in os.walk(folder):
        inner[:] = [name for name in inner if below and not name.startswith(".")]
        for name in names:
            path = Path(place, name)
            hidden = name.startswith(".") or name.lower() in CLUTTER
            if hidden or path.suffix.lower() in read:
                continue
            if os.path.isfile(path):  # noqa: PTH113 - Path.is_file raises where access is denied
                found.append(path.relative_to(folder).as_posix())
    return tuple(sorted(found))


def describe_unread(names: Sequence[str]) -> str:
    """One line that counts files that were not read and names the first, HEIC before others.

    Where HEIC is among them, the line says how to have it read.
    """
    ordered = sorted(names, key=lambda name: not heic.is_heic(PurePath(name)))
    of_phones = sum(heic.is_heic(PurePath(name)) for name in names)
    shown = [n if n.isprintable() else ascii(n) for n in ordered[:SHOWN]]
    if of_phones:
        shown[min(of_phones, SHOWN) - 1] += f" ({heic.REMEDY})"
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    count = "1 file was" if len(names) == 1 else f"{len(names)} files were"
    return f"{count} not read: {', '.join(shown)}{more}"
