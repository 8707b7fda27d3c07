"""The VOC layout: the folders of photographs and masks, and the lists of both splits."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fsslib.data import heic
from fsslib.data.images import PHOTO_SUFFIXES, photo_suffixes
from fsslib.data.manifest import check_id
from fsslib.errors import FsslibError

SPLITS = ("train", "val")
IMAGE_FOLDER = "JPEGImages"
# SegmentationClassAug is the usual name for masks merged from several sources. A folder
# SegmentationClass beside it holds only VOC's own 2 913.
MASK_FOLDERS = ("SegmentationClassAug", "SegmentationClass")
LIST_FOLDERS = ("ImageSets", "ImageSets/Segmentation")

_PATHS = re.compile(
    r"/?JPEGImages/(?P<id>[^/]+)(?P<suffix>\.\w+)\s+/?SegmentationClass(?:Aug)?/(?P=id)\.png"
)
"""A line in the lists of PFENet and BAM: the paths of a photograph and of its mask."""


@dataclass(frozen=True)
class Entry:
    """One line of a list.

    Attributes:
        id: image id, checked.
        split: `train` or `val`.
        image: path of the photograph relative to the root, or None when the file is missing or
            ambiguous.
        mask: path of the mask, likewise.
    """

    id: str
    split: str
    image: str | None
    mask: str | None


@dataclass(frozen=True)
class Layout:
    """Files of a VOC-layout folder, found without opening an image.

    Attributes:
        root: the folder.
        masks: name of the mask folder in use.
        lists: split -> its list file.
        entries: every valid line of both lists, train first, each split in sorted id order.
        problems: problems of the lists, one line each; a strict reader raises the first.
        unlisted: photographs and masks (relative paths) that no list names.
    """

    root: Path
    masks: str
    lists: dict[str, Path]
    entries: tuple[Entry, ...]
    problems: tuple[str, ...]
    unlisted: tuple[str, ...]


def read_list(path: Path) -> tuple[list[str], list[str]]:
    """Read a list of image ids as `parse_list` does; a missing file is an `FsslibError`."""
    return parse_list(list_bytes(path), str(path))


def list_bytes(path: Path) -> bytes:
    """Read the content of a list.

    Raises:
        FsslibError: the file is missing or unreadable.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise FsslibError(f"{path} does not exist: write one image id a line into it") from None
    except OSError as error:
        raise FsslibError(f"{path} cannot be read ({error.strerror}): replace the file") from None


def _id_of(line: str) -> str:
    """Checked image id of a line, which holds the id or the two paths of PFENet's lists."""
    line = line.strip()
    found = _PATHS.fullmatch(line)
    if found and found["suffix"].lower() in PHOTO_SUFFIXES + heic.SUFFIXES:
        return check_id(found["id"])
    return check_id(line)


def list_lines(content: bytes, path: str) -> list[str]:
    """Lines of a list; CRLF, a UTF-8 byte order mark and blank lines at the end are accepted.

    Raises:
        FsslibError: the content is not UTF-8.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FsslibError(
            f"{path} is not UTF-8 (byte {error.start}): save the list as UTF-8 text"
        ) from None
    return text.rstrip().split("\n") if text.strip() else []


def parse_list(content: bytes, path: str) -> tuple[list[str], list[str]]:
    """Parse a list with one image id, or PFENet's two paths, per line (see `list_lines`).

    Returns:
        The valid ids in file order, and one line for every problem.

    Raises:
        FsslibError: the content is not UTF-8.
    """
    seen: dict[str, int] = {}
    problems = []
    for number, line in enumerate(list_lines(content, path), start=1):
        where = f"{path}:{number}"
        try:
            image_id = _id_of(line)
        except FsslibError as error:
            problems.append(f"{where}: {error}")
            continue
        if image_id in seen:
            problems.append(
                f"{where}: image id {image_id!r} is already on line {seen[image_id]}: "
                "keep one of the lines"
            )
        else:
            seen[image_id] = number
    if not seen and not problems:
        problems.append(f"{path} lists no image: write one image id a line into it")
    return list(seen), problems


def index_folder(folder: Path, suffixes: tuple[str, ...]) -> dict[str, list[str]]:
    """Map file stems to the sorted names in `folder` that have one of the suffixes (any case)."""
    names: dict[str, list[str]] = {}
    with os.scandir(folder) as entries:
        for name in sorted(entry.name for entry in entries):
            stem, suffix = os.path.splitext(name)  # noqa: PTH122 - 10 000 Path objects are slow
            if suffix.lower() in suffixes and not name.startswith("."):
                names.setdefault(stem, []).append(name)
    return names


def find_list(root: Path, split: str, masks: str) -> Path:
    """Find the list of `split`, first in `ImageSets/`, then in VOC's `ImageSets/Segmentation/`.

    With the folder `SegmentationClassAug`, the file `trainaug.txt` is the training list if it
    exists.

    Raises:
        FsslibError: neither folder holds a list.
    """
    names = [f"{split}aug.txt", f"{split}.txt"] if masks == MASK_FOLDERS[0] else [f"{split}.txt"]
    for place in LIST_FOLDERS:
        for name in names:
            if (root / place / name).is_file():
                return root / place / name
    raise FsslibError(
        f"{root} has no list of its {split} images: write ImageSets/{split}.txt, "
        "one image id a line"
    )


def find_masks(root: Path) -> str:
    """Find the name of the mask folder under `root`.

    Raises:
        FsslibError: `root`, its photographs or its masks are missing.
    """
    if not root.is_dir():
        raise FsslibError(f"data_root {root} is not a folder: check the path")
    if not (root / IMAGE_FOLDER).is_dir():
        raise FsslibError(
            f"{root} has no folder {IMAGE_FOLDER}: point to a VOC-layout folder, "
            "or make one with 'fss data'"
        )
    for name in MASK_FOLDERS:
        if (root / name).is_dir():
            return name
    raise FsslibError(
        f"{root} has no folder {' or '.join(MASK_FOLDERS[::-1])}: make one with 'fss data'"
    )


def _match(
    folder: str, names: dict[str, list[str]], image_id: str, listed_in: str
) -> tuple[str | None, str | None]:
    """Find the file of an id; return its path and None, or None and the problem."""
    found = names.get(image_id, [])
    if len(found) == 1:
        return f"{folder}/{found[0]}", None
    if found:
        return None, f"{folder} holds {' and '.join(found)} for one id: keep one of them"
    return None, (
        f"{folder}/{image_id} is missing, {listed_in} lists it: add the file or remove the line"
    )


def find_layout(root: Path) -> Layout:
    """Find the photographs, masks and lists under `root` without opening an image.

    Raises:
        FsslibError: a folder is missing.
    """
    masks = find_masks(root)
    images = index_folder(root / IMAGE_FOLDER, photo_suffixes())
    pngs = index_folder(root / masks, (".png",))
    lists: dict[str, Path] = {}
    entries: list[Entry] = []
    problems: list[str] = []
    for split in SPLITS:
        try:
            path = lists[split] = find_list(root, split, masks)
            ids, wrong = read_list(path)
        except FsslibError as error:
            problems.append(str(error))
            continue
        problems += wrong
        for image_id in sorted(ids):
            image, image_problem = _match(IMAGE_FOLDER, images, image_id, path.name)
            mask, mask_problem = _match(masks, pngs, image_id, path.name)
            problems += [f"{root}: {p}" for p in (image_problem, mask_problem) if p]
            entries.append(Entry(image_id, split, image, mask))
    problems += _in_both(root, entries)
    known = {e.id for e in entries}
    unlisted = _unlisted(IMAGE_FOLDER, images, known) + _unlisted(masks, pngs, known)
    return Layout(root, masks, lists, tuple(entries), tuple(problems), unlisted)


def _unlisted(folder: str, names: dict[str, list[str]], known: set[str]) -> tuple[str, ...]:
    return tuple(
        f"{folder}/{n}" for stem, found in names.items() if stem not in known for n in found
    )


def _in_both(root: Path, entries: list[Entry]) -> Iterator[str]:
    train = {e.id for e in entries if e.split == "train"}
    for entry in entries:
        if entry.split == "val" and entry.id in train:
            yield (
                f"{root}: image id {entry.id!r} is in both lists, evaluation would see training "
                "images: remove it from one"
            )


def count_listed(root: Path, splits: Sequence[str] = SPLITS) -> int:
    """Number of listed images, for a progress bar.

    Raises:
        FsslibError: a folder or a list is missing, or a list is unreadable.
    """
    masks = find_masks(root)
    return sum(len(read_list(find_list(root, split, masks))[0]) for split in splits)
