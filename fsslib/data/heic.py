"""HEIC photographs, as phones save them: read where the optional package pillow-heif is there."""

import importlib.util
from functools import cache
from pathlib import PurePath

SUFFIXES = (".heic", ".heif")
"""Suffixes of photographs alone; a mask is never HEIC."""

REMEDY = "pip install 'fsslib[heic]'"


def is_heic(path: PurePath) -> bool:
    """Whether a file is HEIC by its suffix."""
    return path.suffix.lower() in SUFFIXES


@cache
def reads_heic() -> bool:
    """Whether this installation reads HEIC; the package is not imported."""
    return importlib.util.find_spec("pillow_heif") is not None


@cache
def _register() -> None:
    from pillow_heif import register_heif_opener

    register_heif_opener()


def prepare(path: PurePath) -> bool:
    """Let Pillow open HEIC files from now on if `path` is one; returns whether it is."""
    if is_heic(path) and reads_heic():
        _register()
    return is_heic(path)


def remedy(path: PurePath) -> str:
    """What to do about a photograph that Pillow does not know."""
    if is_heic(path) and not reads_heic():
        return f"{REMEDY}, or save it as JPEG"
    return "replace the file"
