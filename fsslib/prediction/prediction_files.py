"""What prediction writes: names of files, photographs to read, one record of JSON each."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fsslib.data.images import PHOTO_SUFFIXES
from fsslib.errors import FsslibError
from fsslib.prediction.found import Prediction


def prediction_record(photograph: Path, name: str, prediction: Prediction) -> dict[str, Any]:
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
        "mask": mask_name(name),
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


def mask_name(name: str) -> str:
    """File name of an index PNG."""
    return f"{name}.mask.png"


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
                if p.suffix.lower() in PHOTO_SUFFIXES and not p.name.startswith(".")
            )
            if not inside:
                kinds = " ".join(PHOTO_SUFFIXES)
                raise FsslibError(f"{path} holds no photograph ({kinds}): name another folder")
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


def check_outputs(out: Path, names: Iterable[str], inputs: Iterable[Path]) -> None:
    """Refuse to write over an input.

    Raises:
        FsslibError: an output is one of the inputs.
    """
    kept = {path.resolve() for path in inputs}
    for name in names:
        for target in (out / mask_name(name), out / overlay_name(name)):
            if target.resolve() in kept:
                raise FsslibError(f"{out} would get {target.name}, which is an input: name another")
