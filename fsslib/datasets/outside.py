"""The files of a dataset folder that the stages read, in groups that are read together."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from fsslib.datasets.description import FILE
from fsslib.datasets.layout import SPLITS, find_layout
from fsslib.files.fingerprints import Hashed


def dataset_files(root: Path, splits: Sequence[str] = SPLITS) -> Mapping[str, list[str]]:
    """Names of the files under `root` that a dataset consists of, as far as they are there.

    Args:
        root: folder in VOC layout.
        splits: splits whose photographs and masks are wanted; those of the others are left out.

    Returns:
        `lists` (both lists and `dataset.json`), and `SPLIT_photographs` and `SPLIT_masks` of each
        split, in sorted id order, relative to `root`. Files that no list names are read by nothing.

    Raises:
        FsslibError: a folder is missing, or a list is not UTF-8.
    """
    layout = find_layout(root)
    lists = [path.relative_to(root).as_posix() for path in layout.lists.values()]
    found = {"lists": [*lists, *([FILE] if (root / FILE).exists() else [])]}
    for split in SPLITS:
        listed = [e for e in layout.entries if e.split == split and split in splits]
        found[f"{split}_photographs"] = [e.image for e in listed if e.image is not None]
        found[f"{split}_masks"] = [e.mask for e in listed if e.mask is not None]
    return found


def folder_digest(
    names: Sequence[str], hashed: Sequence[Hashed], taken: dict[tuple[int, int], str]
) -> str:
    """One hash of the photographs of a folder: of their names, contents and links.

    Args:
        names: names relative to the folder.
        hashed: hash and key of each file.
        taken: key of a file of the dataset or of an earlier folder -> its name. A pool leaves out
            links to those, so the hash tells which files are such links. The folder's files are
            added.
    """
    digest = hashlib.sha256()
    for name, item in zip(names, hashed, strict=True):
        other = taken.setdefault(item.key, name)
        link = "" if other is name else f"\0{other}"
        digest.update(f"{item.sha256}\0{name}{link}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
