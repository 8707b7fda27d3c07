"""`dataset.json`: description of a prepared folder, written by `fss data`, read by `prepare`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fsslib.errors import FsslibError
from fsslib.files.storage import read_json, write_json

FILE = "dataset.json"
KIND = "fsslib-dataset"
VERSION = 1
REMEDY = "make the folder with 'fss data'"


@dataclass(frozen=True)
class Description:
    """Description of a prepared dataset.

    Attributes:
        dataset: `pascal`, `coco` or `folder`.
        classes: class id -> name.
        folds: novel class ids of each fold.
        folds_rule: how the folds were made (`contiguous`, `listed`).
        facts: information about the preparation for the user: counts, sources, choices.
    """

    dataset: str
    classes: Mapping[int, str]
    folds: tuple[tuple[int, ...], ...]
    folds_rule: str
    facts: Mapping[str, Any] = field(default_factory=dict)


def write_description(root: Path, description: Description) -> None:
    """Write `dataset.json` into `root`."""
    write_json(
        root / FILE,
        {
            "kind": KIND,
            "version": VERSION,
            "dataset": description.dataset,
            "classes": {str(c): name for c, name in description.classes.items()},
            "folds_rule": description.folds_rule,
            "folds": [list(fold) for fold in description.folds],
            "facts": dict(description.facts),
        },
    )


def read_description(root: Path, required: bool = False) -> Description | None:
    """Read `dataset.json` of `root`.

    Args:
        root: a dataset folder.
        required: whether a missing file is an error; otherwise None is returned.

    Raises:
        FsslibError: the file is broken, foreign, or required but missing.
    """
    path = root / FILE
    if not path.exists() and not required:
        return None
    raw = read_json(path, REMEDY)
    if not isinstance(raw, dict) or raw.get("kind") != KIND:
        raise FsslibError(f"{path} does not describe a dataset: {REMEDY}")
    if raw.get("version") != VERSION:
        raise FsslibError(f"{path} has layout {raw.get('version')}, expected {VERSION}: {REMEDY}")
    try:
        return Description(
            dataset=str(raw["dataset"]),
            classes={int(c): str(name) for c, name in raw["classes"].items()},
            folds=tuple(tuple(int(c) for c in fold) for fold in raw["folds"]),
            folds_rule=str(raw["folds_rule"]),
            facts=dict(raw.get("facts", {})),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FsslibError(f"{path} is damaged ({error!r}): {REMEDY}") from None
