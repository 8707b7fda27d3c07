"""YOLO's segmentation format: a text file a photograph, a polygon a line, names in data.yaml."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from fsslib.data.images import size_and_orientation
from fsslib.datasets.labels.label_set import LabelledImage, LabelSet, doubles
from fsslib.datasets.labels.photographs import Photographs
from fsslib.datasets.labels.shapes import Point, Polygons, Shape, box, polygon_problem
from fsslib.datasets.labels.splits import WORDS
from fsslib.errors import FsslibError

NAMES_FILES = ("data.yaml", "data.yml", "dataset.yaml", "classes.txt")
"""Files that name the classes, in the order of preference."""

NO_LABELS = ("classes.txt", "train.txt", "val.txt", "test.txt", "readme.txt", "notes.txt",
             "requirements.txt")  # fmt: skip
"""Text files in such folders that hold no polygons, unless a photograph is called so."""


def names_file(folder: Path) -> Path | None:
    """The file that names the classes, in a folder or up to two above it."""
    for place in (folder, *folder.resolve().parents[:2]):
        for name in NAMES_FILES:
            if (place / name).is_file():
                return place / name
    return None


def label_files(folder: Path) -> list[Path]:
    """Text files below a folder that may hold polygons, sorted; likely ones first."""
    files = [p for p in folder.rglob("*.txt") if not p.name.startswith(".") and p.is_file()]
    return sorted(files, key=lambda p: (p.name.lower() in NO_LABELS, p))


def is_yolo(path: Path) -> bool:
    """Whether a text file's first line is a class and numbers, or the file is empty."""
    try:
        with path.open(encoding="utf-8-sig") as stream:
            words = stream.readline().split()
        return not words or (len(words) >= 5 and all(_number(w) is not None for w in words))
    except (OSError, ValueError):
        return False


def _number(word: str) -> float | None:
    try:
        value = float(word)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def read_names(path: Path) -> dict[int, str]:
    """Class number, from 0 -> name, of `data.yaml` or `classes.txt`.

    Raises:
        FsslibError: unreadable, without names, or with a double name.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".txt":
            raw: Any = [line.strip() for line in text.splitlines() if line.strip()]
        else:
            raw = YAML(typ="safe", pure=True).load(text)["names"]
        pairs = raw.items() if isinstance(raw, dict) else enumerate(raw)
        names = {int(number): str(name).strip() for number, name in pairs}
    except (OSError, ValueError, TypeError, KeyError, RecursionError, YAMLError) as error:
        reason = " ".join(str(error).split())[:160]
        raise FsslibError(
            f"{path} names no classes ({reason}): write 'names:' with one 'number: name' a line"
        ) from None
    twice = doubles(names.values())
    if twice or not names:
        what = f"two classes are named {twice[0]!r}" if twice else "no class is named"
        raise FsslibError(f"{path}: {what}: give each number one name")
    return names


def read_yolo(folder: Path, photographs: Photographs, exif: str = "displayed") -> LabelSet:
    """Read all label files below a folder.

    Lines with four numbers are boxes: their pixels are ignored. An empty file is a photograph of
    background. The folder's part `train`, `val` or `test` says the split.

    Args:
        folder: of the label files, or one above it.
        photographs: to find those with the files' names among.
        exif: which pixels the numbers are shares of: `displayed` or `stored`.

    Raises:
        FsslibError: no names, an unknown class, a malformed line, or a missing photograph.
    """
    named = names_file(folder)
    if named is None:
        raise FsslibError(
            f"{folder} has no data.yaml or classes.txt that names the classes: add one"
        )
    names = read_names(named)
    found = LabelSet("yolo", [], [])
    for path in label_files(folder):
        # `a.jpg.txt` of `a.jpg` is for two photographs with one stem.
        image = photographs.find(path.stem) or photographs.find(f"{path.stem}.jpg", by_stem=True)
        if image is None and path.name.lower() in NO_LABELS:
            continue
        if image is None:
            raise FsslibError(
                f"{path} has no photograph {path.stem} in {photographs.root}: add it or remove "
                "the file"
            )
        found.images.append(read_file(path, image, names, folder, exif, found))
    used = found.used()
    found.names = [names[number] for number in sorted(names) if names[number] in used]
    return found


def read_file(
    path: Path, image: Path, names: dict[int, str], folder: Path, exif: str, found: LabelSet
) -> LabelledImage:
    """Read the label file of one photograph; arguments and errors as `read_yolo`.

    Args:
        path: of the file.
        image: its photograph.
        names: class number -> name.
        folder: that the split's folder is looked for below.
        exif: see `read_yolo`.
        found: where entries that are left out are counted.
    """
    height, width, orientation = size_and_orientation(image)
    if exif == "stored" and orientation >= 5:
        height, width = width, height
    shapes = []
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise FsslibError(f"{path} cannot be read ({error}): export it again") from None
    for number, line in enumerate(lines, start=1):
        if line.strip():
            where = f"{path.name}:{number}"
            shape = _shape(line.split(), where, path, names, (height, width), found)
            shapes += [shape] if shape is not None else []
    return LabelledImage(image, path, height, width, tuple(shapes), _split(path, folder))


def _split(path: Path, folder: Path) -> str | None:
    for part in reversed(path.relative_to(folder).parts[:-1]):
        if part.lower() in WORDS:
            return WORDS[part.lower()]
    return None


def _shape(
    words: Sequence[str],
    where: str,
    path: Path,
    names: dict[int, str],
    size: tuple[int, int],
    found: LabelSet,
) -> Shape | None:
    """A shape, or None where it is left out and counted."""
    numbers = [_number(word) for word in words]
    if None in numbers or len(numbers) % 2 == 0:
        raise FsslibError(
            f"{path.parent / where} is no line 'class x1 y1 x2 y2 ...' of numbers: correct it"
        )
    values = [v for v in numbers if v is not None]
    if values[0] != int(values[0]) or int(values[0]) not in names:
        raise FsslibError(
            f"{path.parent / where} has class {words[0]}, which is not named: add it to the names"
        )
    label, height, width = names[int(values[0])], *size
    points: list[Point] = [
        (x * width, y * height) for x, y in zip(values[1::2], values[2::2], strict=True)
    ]
    if len(points) == 2:  # centre and size of a box
        (x, y), (w, h) = points
        found.leave_out("boxes without an outline; their pixels are ignored", where)
        return Shape(label, box(x - w / 2, y - h / 2, x + w / 2, y + h / 2), where, vague=True)
    problem = polygon_problem(points, height, width)
    if problem:
        found.leave_out(problem, where)
        return None
    return Shape(label, Polygons((tuple(points),)), where)
