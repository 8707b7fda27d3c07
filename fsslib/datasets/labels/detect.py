"""Which format annotations have, found out from their files."""

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fsslib.datasets.labels.coco_json import is_coco
from fsslib.datasets.labels.label_set import LISTED
from fsslib.datasets.labels.label_studio import is_label_studio
from fsslib.datasets.labels.labelme import is_labelme, parse
from fsslib.datasets.labels.tool_masks import CVAT_FILE, CVAT_FOLDER, ROBOFLOW_FILE
from fsslib.datasets.labels.yolo import NAMES_FILES, is_yolo, label_files, names_file
from fsslib.errors import FsslibError

JSON_FORMATS = {"labelme": is_labelme, "coco": is_coco, "label-studio": is_label_studio}
MASKS = "masks"
MASK_FORMATS = (MASKS, "cvat", "roboflow")
FORMATS = (*MASK_FORMATS, *JSON_FORMATS, "yolo")
"""What `--format` takes. `masks` stands for index, colour and binary masks, told apart by their
values."""

OUR_FILES = ("predictions.json", "dataset.json")
"""JSON of ours that may lie beside annotations."""


@dataclass
class Found:
    """Annotations and their format.

    Attributes:
        kind: one of `FORMATS`.
        folder: that holds them.
        files: of JSON formats: path -> parsed content.
        others: JSON files that are of no format, left out.
    """

    kind: str
    folder: Path
    files: dict[Path, Any] = field(default_factory=dict)
    others: list[Path] = field(default_factory=list)


def detect(labels: Path, wanted: str | None = None) -> Found:
    """Find out the format of a file or folder.

    The order is: CVAT's labelmap.txt, Roboflow's _classes.csv, JSON, YOLO's text files, masks.

    Args:
        labels: file or folder.
        wanted: one of `FORMATS` that overrules what is found, or None.

    Raises:
        FsslibError: nothing there, an unknown format, JSON of two formats, or none of the
            wanted one.
    """
    if wanted is not None and wanted not in FORMATS:
        raise FsslibError(f"--format {wanted!r} is not one of {', '.join(FORMATS)}")
    if not labels.exists():
        raise FsslibError(f"--labels {labels} does not exist: check the path")
    folder = labels if labels.is_dir() else labels.parent
    if wanted in MASK_FORMATS:
        return Found(wanted, _mask_folder(folder, wanted))
    if wanted is None and (by_name := _tool_folder(labels, folder)) is not None:
        return by_name
    if wanted != "yolo":
        found = _json(labels, wanted)
        if found is not None:
            return found
    if wanted == "yolo" or _is_yolo(labels, folder):
        return Found("yolo", folder)
    if labels.is_file():
        raise FsslibError(
            f"--labels {labels} is of no known format ({', '.join(FORMATS)}): name one with "
            "--format, or give the folder"
        )
    return Found(MASKS, folder)


def _tool_folder(labels: Path, folder: Path) -> Found | None:
    """A folder of CVAT or Roboflow, told by the file that names the classes."""
    if labels.name == CVAT_FILE or (folder / CVAT_FILE).is_file():
        return Found("cvat", folder)
    if folder.name == CVAT_FOLDER and (folder.parent / CVAT_FILE).is_file():
        return Found("cvat", folder.parent)
    if labels.name == ROBOFLOW_FILE or roboflow_folders(folder):
        return Found("roboflow", folder)
    return None


def _mask_folder(folder: Path, wanted: str) -> Path:
    if wanted == "cvat" and not (folder / CVAT_FILE).is_file():
        folder = folder.parent
    if wanted == "cvat" and not (folder / CVAT_FILE).is_file():
        raise FsslibError(f"{folder} has no {CVAT_FILE}: give the folder of CVAT's export")
    if wanted == "roboflow" and not roboflow_folders(folder):
        raise FsslibError(f"{folder} has no {ROBOFLOW_FILE}: give the folder of Roboflow's export")
    return folder


def roboflow_folders(folder: Path) -> list[Path]:
    """The folder, or those in it, that hold Roboflow's `_classes.csv`."""
    if (folder / ROBOFLOW_FILE).is_file():
        return [folder]
    return sorted(p.parent for p in folder.glob(f"*/{ROBOFLOW_FILE}"))


def _json(labels: Path, wanted: str | None) -> Found | None:
    """JSON of one format, or None where there is none and none is wanted."""
    files = [labels] if labels.is_file() else sorted(labels.rglob("*.json"))
    files = [p for p in files if p.suffix.lower() == ".json" and not p.name.startswith(".")]
    of_kind: dict[str, dict[Path, Any]] = defaultdict(dict)
    others = []
    for path in files:
        if path.name in OUR_FILES:
            continue
        raw = parse(path)
        kind = next((k for k, test in JSON_FORMATS.items() if test(raw)), None)
        if kind is None:
            others.append(path)
        else:
            of_kind[kind][path] = raw
    kinds = [wanted] if wanted else list(of_kind)
    if len(kinds) > 1:
        raise FsslibError(f"{labels} holds JSON of {' and '.join(kinds)}: choose one with --format")
    if not kinds or (not of_kind[kinds[0]] and wanted is None):
        return None
    if not of_kind[kinds[0]]:
        seen = ", ".join(str(p) for p in others[:LISTED]) or "no JSON file"
        raise FsslibError(f"{labels} holds no {wanted} file ({seen}): check --labels and --format")
    return Found(kinds[0], labels if labels.is_dir() else labels.parent, of_kind[kinds[0]], others)


def _is_yolo(labels: Path, folder: Path) -> bool:
    if labels.name in NAMES_FILES:
        return True
    if labels.is_file() or names_file(folder) is None:
        return False
    files = label_files(folder)
    return bool(files) and is_yolo(files[0])
