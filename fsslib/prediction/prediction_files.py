"""What prediction writes: names of files, photographs to read, one record of JSON each."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from fsslib.data.images import photo_suffixes
from fsslib.data.unread import describe_unread, unread_files
from fsslib.errors import FsslibError
from fsslib.prediction.found import Prediction

SUMMARY = "predictions.json"
COCO_FILE, YOLO_FILE = "annotations.json", "data.yaml"


class Format(StrEnum):
    """How predictions are written: as index masks, or as annotations that tools read."""

    MASKS = "masks"
    COCO = "coco"
    LABELME = "labelme"
    YOLO = "yolo"


def prediction_record(
    photograph: Path, name: str, prediction: Prediction, form: Format = Format.MASKS
) -> dict[str, Any]:
    """What `predictions.json` says of one photograph."""
    height, width = prediction.mask.shape
    entries = zip(
        prediction.names,
        prediction.scores,
        prediction.present,
        prediction.pixels,
        strict=True,
    )
    return {
        "photograph": str(photograph),
        "mask" if form is Format.MASKS else "annotations": result_name(name, form),
        "overlay": overlay_name(name),
        "height": height,
        "width": width,
        "classes": [
            {
                "name": class_name,
                "score": round(score, 4),
                "present": there,
                "pixels": pixels,
                "share": round(pixels / (height * width), 6),
            }
            for class_name, score, there, pixels in entries
        ],
    }


def result_name(name: str, form: Format) -> str:
    """File, below the outputs' folder, that holds what was found in one photograph."""
    return {
        Format.MASKS: f"{name}.mask.png",
        Format.COCO: COCO_FILE,  # of all photographs
        Format.LABELME: f"{name}.json",
        Format.YOLO: f"labels/{name}.txt",
    }[form]


def overlay_name(name: str) -> str:
    """File name of an overlay."""
    return f"{name}.overlay.jpg"


def find_photographs(given: Iterable[Path]) -> list[Path]:
    """Photographs of folders (not of folders within) in name order, and files as they are.

    Raises:
        FsslibError: a path that is not there, or a folder without photographs.
    """
    found: dict[Path, None] = {}
    for path in given:
        if path.is_dir():
            inside = sorted(
                p
                for p in path.iterdir()
                if p.suffix.lower() in photo_suffixes() and not p.name.startswith(".")
            )
            if not inside:
                kinds = " ".join(photo_suffixes())
                others = unread_files(path)
                seen = f"; {describe_unread(others)}" if others else ""
                raise FsslibError(
                    f"{path} holds no photograph ({kinds}){seen}: name another folder"
                )
            found |= dict.fromkeys(inside)
        elif path.exists():
            found[path] = None
        else:
            raise FsslibError(f"{path} does not exist: name photographs or a folder of them")
    return list(found)


def output_names(photographs: Sequence[Path]) -> Mapping[Path, str]:
    """A name for each photograph's outputs: `a`; `a.jpg` where two are `a`; `a.jpg-2` and on.

    Names differ without regard to case, since some file systems have none.
    """
    stems = Counter(p.stem.lower() for p in photographs)
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for photograph in photographs:
        alone = stems[photograph.stem.lower()] == 1
        wanted = photograph.stem if alone else photograph.name
        name, number = wanted, 1
        while name.lower() in taken:
            number += 1
            name = f"{wanted}-{number}"
        taken.add(name.lower())
        names[photograph] = name
    return names


def check_outputs(
    out: Path, names: Iterable[str], inputs: Iterable[Path], form: Format = Format.MASKS
) -> None:
    """Refuse to write over an input, or over the labels that a tool keeps with a photograph.

    Raises:
        FsslibError: an output is one of these, or two outputs are one file.
    """
    given = [path.resolve() for path in inputs]
    kept = {p: f"the place of your own {form} labels" for i in given for p in _own_labels(i, form)}
    kept |= dict.fromkeys(given, "an input")
    targets = [out / YOLO_FILE] if form is Format.YOLO else []
    for name in names:
        targets += [out / result_name(name, form), out / overlay_name(name)]
    for target in targets:
        why = kept.get(target.resolve())
        if why is not None:
            raise FsslibError(f"{out} would get {target.name}, which is {why}: name another")
        if target.name.lower() == SUMMARY:
            raise FsslibError(f"{out} would get two files {SUMMARY}: rename the photograph")


def _own_labels(photograph: Path, form: Format) -> list[Path]:
    """Where a person's labels of a photograph lie by the custom of the format's tools."""
    if form is Format.COCO:
        return [photograph.with_name(COCO_FILE)]
    if form is Format.LABELME:
        return [photograph.with_suffix(".json")]
    if form is Format.YOLO:  # Ultralytics swaps the last folder named `images` in the path
        parts = list(photograph.parts)
        if "images" in parts[:-1]:
            parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
        return [Path(*parts).with_suffix(".txt")]
    return []
