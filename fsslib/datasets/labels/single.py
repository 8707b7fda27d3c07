"""The annotation of one photograph: a support's labels from an annotation file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fsslib.data.folds import BACKGROUND
from fsslib.data.images import UInt8
from fsslib.datasets.labels.detect import Found, detect
from fsslib.datasets.labels.label_set import LabelledImage, LabelSet, noted
from fsslib.datasets.labels.photographs import Photographs
from fsslib.datasets.labels.shape_source import drawn_mask, read_shapes
from fsslib.datasets.labels.yolo import names_file, read_file, read_names
from fsslib.errors import FsslibError

SUFFIXES = (".json", ".txt")
"""Of annotation files; a support's other files are masks."""


class OnePhotograph(Photographs):
    """A photograph that annotations are looked up for."""

    def __init__(self, photograph: Path) -> None:
        self.root = photograph.parent
        self.paths = {photograph.name: photograph}
        self._by_name = {photograph.name: [photograph.name]}
        self._by_stem = {photograph.stem: [photograph.name]}


@dataclass(frozen=True)
class SupportLabels:
    """Labels of one photograph.

    Attributes:
        image: photograph and shapes.
        names: of its labels, sorted.
        fixed: labels with a fixed mask value.
    """

    image: LabelledImage
    names: tuple[str, ...]
    fixed: Mapping[str, int]

    def choose(self, wanted: str | None) -> str:
        """The label that is meant: the wanted one, or the only one.

        Raises:
            FsslibError: several labels, and none of them is wanted.
        """
        if wanted in self.names:
            return str(wanted)
        if len(self.names) == 1:
            return self.names[0]
        raise FsslibError(
            f"{self.image.source} labels {', '.join(self.names)}: name one of them as the class"
        )

    def mask(self, label: str, inside: int) -> UInt8:
        """(H, W) uint8 of the photograph as it is shown: `inside`, 0, or 255 ignored."""
        ids = dict.fromkeys(self.names, BACKGROUND) | {label: inside} | dict(self.fixed)
        return drawn_mask(self.image, ids, "displayed")[0]


def read_support_labels(path: Path, photograph: Path) -> SupportLabels:
    """Read the labels of a photograph from LabelMe, COCO, Label Studio or YOLO.

    A LabelMe file or a YOLO file is taken as that of the photograph. In the others the photograph
    is looked up by its name.

    Raises:
        FsslibError: unreadable, of no known format, or without a labelled area of the photograph.
    """
    one = OnePhotograph(photograph)
    if path.suffix.lower() == ".txt":
        found = _read_yolo(path, photograph)
    else:
        detected = detect(path)
        found = read_shapes(_only(detected, one), one, "displayed")
    if not found.images or not found.names:
        notes = "; ".join(found.notes()) or "draw its outline first"
        raise FsslibError(f"{path} labels no area of {photograph}: {notes}")
    return SupportLabels(found.images[0], tuple(sorted(found.names)), found.fixed)


def _read_yolo(path: Path, photograph: Path) -> LabelSet:
    """A YOLO file; its classes are named by the data.yaml nearby, else by their numbers."""
    named = names_file(path.parent)
    names = read_names(named) if named else {number: str(number) for number in range(255)}
    found = LabelSet("yolo", [], [])
    found.images.append(read_file(path, photograph, names, path.parent, "displayed", found))
    found.names = sorted(found.used())
    return found


def _only(found: Found, one: OnePhotograph) -> Found:
    """The part of an annotation file that is about the photograph."""
    files = {path: _part(found.kind, path, raw, one) for path, raw in found.files.items()}
    return Found(found.kind, found.folder, files)


def _part(kind: str, path: Path, raw: Any, one: OnePhotograph) -> Any:  # noqa: ANN401 - JSON
    (photograph,) = one.paths.values()
    if kind == "labelme":
        return {**raw, "imagePath": photograph.name}
    if kind == "label-studio":
        return [t for t in raw if any(_is(one, v) for v in t["data"].values())]
    images = [i for i in raw["images"] if _is(one, i.get("file_name"))]
    if len(images) != 1:
        others = noted("photographs", [str(i.get("file_name")) for i in raw["images"]])
        raise FsslibError(
            f"{path} annotates {photograph.name} {len(images)} times, not once: give the file of "
            f"this photograph ({others})"
        )
    kept = [a for a in raw["annotations"] if a.get("image_id") == images[0]["id"]]
    return {**raw, "images": images, "annotations": kept}


def _is(one: OnePhotograph, name: object) -> bool:
    """Whether a name in a file is that of the photograph, uploads' prefixes included."""
    (own,) = one.paths
    bare = str(name).replace("\\", "/").rsplit("/", 1)[-1]
    return bare == own or bare[9:] == own
