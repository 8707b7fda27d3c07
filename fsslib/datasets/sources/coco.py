"""COCO-20i: a dataset folder from COCO's photographs and instance annotations."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fsslib.data.folds import COCO_CATEGORIES, COCO_CLASSES, contiguous_folds
from fsslib.data.images import MAX_PIXELS, photo_suffixes, size_and_orientation, turn
from fsslib.data.manifest import Manifest, check_id
from fsslib.datasets.counting import map_in_processes
from fsslib.datasets.description import Description, write_description
from fsslib.datasets.layout import IMAGE_FOLDER, SPLITS, index_folder
from fsslib.datasets.sources.building import (
    Progress,
    encode_mask,
    fingerprint,
    is_done,
    place,
    put,
    put_list,
    silent,
    staged_folder,
    verify,
)
from fsslib.datasets.sources.coco_masks import CocoImage, render_image
from fsslib.errors import FsslibError

VERSION = 1


@dataclass
class CocoReport:
    """What a preparation made.

    Attributes:
        train: number of training images.
        val: number of validation images.
        instances: annotations that are no crowd.
        crowds: crowd annotations.
        empty: images without any annotation (all background).
        turned: photographs with an EXIF rotation; their masks were turned with them.
        placed: how the photographs were brought in -> number.
    """

    train: int = 0
    val: int = 0
    instances: int = 0
    crowds: int = 0
    empty: int = 0
    turned: int = 0
    placed: dict[str, int] = field(default_factory=dict)


def split_of(path: Path) -> str:
    """`train` or `val`, from a name such as `instances_val2014.json`."""
    found = [
        split for split in SPLITS if re.search(rf"(^|[^a-z]){split}([^a-z]|$)", path.stem.lower())
    ]
    if len(found) != 1:
        raise FsslibError(
            f"annotations {path.name} name neither train nor val alone: keep the official name, "
            "as in instances_train2017.json"
        )
    return found[0]


def read_annotations(path: Path) -> list[CocoImage]:
    """Read an `instances_*.json` of COCO.

    Returns:
        Its images in the order of their ids, with their annotations.

    Raises:
        FsslibError: not COCO's structure or classes.
    """
    remedy = "give COCO's official instances_*.json"
    try:
        raw = json.loads(path.read_bytes())
        categories = {c["id"]: c["name"] for c in raw["categories"]}
        if categories != COCO_CATEGORIES:
            raise FsslibError(
                f"{path} has {len(categories)} categories that are not COCO's 80: {remedy}; own "
                f"classes go through 'fss data folder --images DIR --labels {path.name}'"
            )
        split = split_of(path)
        of_image: dict[int, list[Mapping[str, Any]]] = {i["id"]: [] for i in raw["images"]}
        if len(of_image) != len(raw["images"]):
            raise FsslibError(f"{path} has two images with one id: {remedy}")
        for annotation in raw["annotations"]:
            of_image[annotation["image_id"]].append(annotation)
        return [
            _image(path, split, i, of_image[i["id"]])
            for i in sorted(raw["images"], key=lambda i: int(i["id"]))
        ]
    except FileNotFoundError:
        raise FsslibError(f"{path} does not exist: {remedy}") from None
    except (ValueError, KeyError, TypeError, OSError, RecursionError) as error:
        raise FsslibError(f"{path} is not a COCO annotation file ({error!r}): {remedy}") from None


def _image(
    path: Path, split: str, raw: Mapping[str, Any], annotations: list[Mapping[str, Any]]
) -> CocoImage:
    name, height, width = str(raw["file_name"]), int(raw["height"]), int(raw["width"])
    check_id(name)
    if min(height, width) < 1 or height * width > MAX_PIXELS:
        raise FsslibError(f"{path}: image {name} claims {width}x{height} px: check the file")
    return CocoImage(split, name, height, width, tuple(annotations))


def _find_photographs(folders: Sequence[Path], images: Sequence[CocoImage]) -> dict[str, Path]:
    """File name -> where it lies; every missing one is counted in one error."""
    places: dict[str, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            raise FsslibError(f"--images {folder} is not a folder: unpack COCO's zip files")
        for names in index_folder(folder, photo_suffixes()).values():
            for name in names:
                if name in places:
                    raise FsslibError(f"{name} lies in {places[name].parent} and {folder}")
                places[name] = folder / name
    missing = [i.name for i in images if i.name not in places]
    if missing:
        raise FsslibError(
            f"photograph {missing[0]} is in none of the --images folders ({len(missing)} of "
            f"{len(images)} in all): unpack all of the archives"
        )
    return places


def mask_orientation(path: Path, image: CocoImage) -> int:
    """EXIF orientation that the mask must be turned by to lie on the displayed photograph.

    COCO's annotations describe the stored pixels. Where only the displayed size agrees with
    them, they were drawn on the displayed ones and nothing is turned.

    Raises:
        FsslibError: neither size agrees, or the photograph is damaged.
    """
    height, width, orientation = size_and_orientation(path)
    stored = (width, height) if orientation >= 5 else (height, width)
    annotated = (image.height, image.width)
    if annotated not in (stored, (height, width)):
        raise FsslibError(
            f"photograph {path} is {stored[1]}x{stored[0]} px, annotated as "
            f"{image.width}x{image.height}: download it again"
        )
    return orientation if annotated == stored else 1


def _make_mask(task: tuple[CocoImage, Path, Path]) -> bool:
    """Render one mask into its file; returns whether it was turned."""
    image, photograph, target = task
    orientation = mask_orientation(photograph, image)
    if not is_done(target):
        put(target, encode_mask(turn(render_image(image), orientation)))
    return orientation != 1


def prepare_coco(
    images: Sequence[Path],
    annotations: Sequence[Path],
    out: Path,
    processes: int = 1,
    on_progress: Progress = silent,
) -> tuple[CocoReport, Manifest]:
    """Build the COCO-20i dataset folder; an interrupted run is continued by the next.

    Photographs are linked, not copied (`building.place`).

    Args:
        images: folders with the photographs, `train2014` and `val2014` or those of 2017.
        annotations: one `instances_*.json` a split.
        out: folder to make.
        processes: that render masks.
        on_progress: see `building.Progress`.

    Raises:
        FsslibError: missing photographs, malformed annotations, no pycocotools.
    """
    try:
        import pycocotools.mask  # noqa: F401
    except ImportError:
        raise FsslibError(
            "pycocotools is not installed: pip install 'fsslib[coco]' for COCO's masks"
        ) from None
    inputs = {
        "dataset": "coco",
        "version": VERSION,
        "images": [str(folder.resolve()) for folder in images],
        "annotations": [fingerprint(path) for path in annotations],
    }
    with staged_folder(out, inputs) as staging:
        report = _build(images, annotations, staging, processes, on_progress)
        manifest = verify(staging, out, "coco", processes, on_progress)
    return report, manifest


def _read_all(annotations: Sequence[Path], on_progress: Progress) -> list[CocoImage]:
    found: list[CocoImage] = []
    for number, path in enumerate(annotations, start=1):
        on_progress("annotation files", number - 1, len(annotations))
        found += read_annotations(path)
    for split in SPLITS:
        if not any(i.split == split for i in found):
            raise FsslibError(f"--annotations hold no {split} image: give train and val")
    twice = [name for name, n in Counter(i.id for i in found).items() if n > 1]
    if twice:
        raise FsslibError(f"image {twice[0]} is annotated twice: give one file a split")
    return found


def _build(
    folders: Sequence[Path],
    annotations: Sequence[Path],
    staging: Path,
    processes: int,
    on_progress: Progress,
) -> CocoReport:
    images = _read_all(annotations, on_progress)
    places = _find_photographs(folders, images)
    report = CocoReport()
    tasks = [(i, places[i.name], staging / "SegmentationClass" / f"{i.id}.png") for i in images]
    for done, turned in enumerate(map_in_processes(_make_mask, tasks, processes), start=1):
        report.turned += turned
        on_progress("masks", done, len(tasks))
    placed: Counter[str] = Counter()
    for done, image in enumerate(images, start=1):
        placed[place(places[image.name], staging / IMAGE_FOLDER / image.name)] += 1
        on_progress("photographs", done, len(images))
    for split in SPLITS:
        put_list(staging, split, [i.id for i in images if i.split == split])
    _count(report, images)
    classes = dict(enumerate(COCO_CLASSES, start=1))
    folds = tuple(tuple(f) for f in contiguous_folds(list(classes)))
    facts = asdict(report)
    del facts["placed"]  # says how this disk is, not what the dataset is
    write_description(staging, Description("coco", classes, folds, "contiguous", facts))
    report.placed = dict(placed)
    return report


def _count(report: CocoReport, images: Sequence[CocoImage]) -> None:
    report.train = sum(i.split == "train" for i in images)
    report.val = sum(i.split == "val" for i in images)
    report.empty = sum(not i.annotations for i in images)
    report.crowds = sum(bool(a.get("iscrowd", 0)) for i in images for a in i.annotations)
    report.instances = sum(len(i.annotations) for i in images) - report.crowds
