"""Which images of VOC and SBD are train and val: VOC's own lists, or those of a repository."""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from fsslib.data.folds import PASCAL_CLASSES
from fsslib.data.manifest import check_id
from fsslib.datasets.layout import LIST_FOLDERS, SPLITS, list_bytes, list_lines, parse_list
from fsslib.errors import FsslibError

Splits = Mapping[str, Sequence[str]]
"""`train` and `val` -> image ids."""

_WITH_CLASS = re.compile(r"(?P<id>.+)__(?P<number>\d{1,2})")
"""A line of HSNet's lists: image id and class number."""


def read_image_list(path: Path) -> list[str]:
    """Read a list of image ids: plain ids, PFENet's two paths, or HSNet's ids with a class.

    In HSNet's lists an image has a line for each of its classes. It is returned once.

    Raises:
        FsslibError: the file cannot be read, or a line is not of the list's form.
    """
    content = list_bytes(path)
    lines = [line.strip() for line in list_lines(content, str(path))]
    found = [_WITH_CLASS.fullmatch(line) for line in lines]
    if not any(found):
        return _strict(content, str(path))
    ids = []
    for number, (line, match) in enumerate(zip(lines, found, strict=True), start=1):
        if match is None or not 1 <= int(match["number"]) <= len(PASCAL_CLASSES):
            raise FsslibError(
                f"{path}:{number}: {line!r:.80} does not end in a class number, __01 to "
                f"__{len(PASCAL_CLASSES)}, as other lines do: correct the line"
            )
        try:
            ids.append(check_id(match["id"]))
        except FsslibError as error:
            raise FsslibError(f"{path}:{number}: {error}") from None
    return list(dict.fromkeys(ids))


def _strict(content: bytes, path: str) -> list[str]:
    ids, problems = parse_list(content, path)
    if problems:
        raise FsslibError(problems[0])
    return ids


def read_splits(train: Sequence[Path], val: Sequence[Path]) -> dict[str, list[str]] | None:
    """Read the lists of both splits; several files of one split are joined.

    Args:
        train: files that list training images, see `read_image_list`.
        val: files that list validation images.

    Returns:
        The ids of each split, sorted, or None where no file is given.

    Raises:
        FsslibError: only one split has files, a file is bad, or an image is in both splits.
    """
    if not train and not val:
        return None
    if not train or not val:
        given, missing = ("--train-list", "--val-list") if train else ("--val-list", "--train-list")
        raise FsslibError(f"{given} is given without {missing}: give both")
    files = dict(zip(SPLITS, (train, val), strict=True))
    of_file = {path: read_image_list(path) for paths in files.values() for path in paths}
    splits = {s: sorted({i for p in files[s] for i in of_file[p]}) for s in SPLITS}
    both = sorted(set(splits["train"]) & set(splits["val"]))
    if both:
        places = [next(p for p in files[s] if both[0] in of_file[p]) for s in SPLITS]
        raise FsslibError(
            f"image {both[0]!r} is in {places[0]} and in {places[1]} ({len(both)} such images in "
            "all): remove them from one list"
        )
    return splits


def read_ids(path: Path) -> dict[str, list[str]]:
    """Read a file that lists both splits: `train ID` or `val ID` a line, `#` for comments.

    Raises:
        FsslibError: the file cannot be read, a line is of another form, an id comes twice, or a
            split is empty.
    """
    splits: dict[str, list[str]] = {split: [] for split in SPLITS}
    seen: set[str] = set()
    for number, line in enumerate(list_lines(list_bytes(path), str(path)), start=1):
        words = line.strip().split(maxsplit=1)
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 2 or words[0] not in SPLITS:
            raise FsslibError(f"{path}:{number}: {line!r:.80} is neither 'train ID' nor 'val ID'")
        if words[1] in seen:
            raise FsslibError(f"{path}:{number}: image {words[1]!r} is listed twice: remove a line")
        try:
            seen.add(check_id(words[1]))
        except FsslibError as error:
            raise FsslibError(f"{path}:{number}: {error}") from None
        splits[words[0]].append(words[1])
    for split, ids in splits.items():
        if not ids:
            raise FsslibError(f"{path} lists no image of {split}: add '{split} ID' lines")
    return {split: sorted(ids) for split, ids in splits.items()}


def parse_voc_lists(
    voc: Path, found: Mapping[tuple[str, str], bytes], masks: Collection[str]
) -> dict[str, list[str]]:
    """Parse VOC's own lists of both splits.

    Args:
        voc: archive or folder, for messages.
        found: (folder of `layout.LIST_FOLDERS`, split) -> content of the list.
        masks: ids of VOC's masks.

    Raises:
        FsslibError: a split has no list or a bad one, an image is in both splits or has no mask.
    """
    splits = {}
    for split in SPLITS:
        places = [place for place in LIST_FOLDERS if (place, split) in found]
        if not places:
            raise FsslibError(
                f"{voc} has no {LIST_FOLDERS[1]}/{split}.txt: give the archive "
                "VOCtrainval_11-May-2012.tar or its unpacked folder"
            )
        name = f"{voc}:{places[0]}/{split}.txt"
        splits[split] = _strict(found[places[0], split], name)
    both = sorted(set(splits["train"]) & set(splits["val"]))
    if both:
        raise FsslibError(f"{voc}: image {both[0]!r} is in train and val: download it again")
    lost = sorted({*splits["train"], *splits["val"]}.difference(masks))
    if lost:
        raise FsslibError(
            f"{voc} lacks SegmentationClass/{lost[0]}.png ({len(lost)} masks in all): "
            "download it again"
        )
    return splits


def check_listed(splits: Splits, masks: Collection[str], with_sbd: bool) -> None:
    """Raise `FsslibError` unless every listed image has a mask; `masks` are the ids of all."""
    lost = sorted({*splits["train"], *splits["val"]}.difference(masks))
    if lost:
        where, remedy = ("VOC or SBD", "correct the lists") if with_sbd else ("VOC", "give --sbd")
        raise FsslibError(
            f"listed image {lost[0]!r} has no mask in {where} ({len(lost)} such images in all): "
            f"{remedy}"
        )
