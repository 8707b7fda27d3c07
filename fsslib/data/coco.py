"""COCO-20i: semantic masks from COCO's instance annotations, by the rule stated here.

**Overlap rule.** Crowd regions lie at the bottom; above them the instances in the order of their
rendered area, the largest first, ties by ascending annotation id. So a pixel belongs to the
smallest instance that covers it: the knife on the plate stays a knife.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fsslib.data.building import (
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
from fsslib.data.counting import map_in_processes
from fsslib.data.description import Description, write_description
from fsslib.data.folds import COCO_CATEGORIES, COCO_CLASSES, contiguous_folds
from fsslib.data.images import MAX_PIXELS, PHOTO_SUFFIXES, size_and_orientation, turn
from fsslib.data.layout import IMAGE_FOLDER, SPLITS, index_folder
from fsslib.data.manifest import Manifest, check_id
from fsslib.errors import FsslibError

VERSION = 1
CLASS_OF = {category: i for i, category in enumerate(COCO_CATEGORIES, start=1)}
"""COCO's category id (1 to 90) -> class id in our masks (1 to 80)."""

Mask = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class CocoImage:
    """One image of an annotation file.

    Attributes:
        split: `train` or `val`.
        name: file name.
        height: in px, as annotated.
        width: in px, as annotated.
        annotations: its entries of `annotations`, as they stand in the file.
    """

    split: str
    name: str
    height: int
    width: int
    annotations: tuple[Mapping[str, Any], ...] = ()

    @property
    def id(self) -> str:
        """File name without suffix."""
        return Path(self.name).stem


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


def decode_counts(text: str) -> list[int]:
    """Run lengths of a compressed COCO RLE: base-32 digits, differences from the third run on."""
    counts: list[int] = []
    value = shift = 0
    for byte in text.encode("ascii"):
        digit = byte - 48
        if not 0 <= digit < 64:
            raise ValueError(f"byte {byte} is no RLE digit")
        value |= (digit & 31) << shift
        shift += 5
        if shift > 40:
            raise ValueError("an RLE number has too many digits")
        if not digit & 32:
            if digit & 16:
                value -= 1 << shift
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError("the RLE ends inside a number")
    return counts


def _render_rle(raw: Mapping[str, Any], height: int, width: int) -> Mask:
    """Render an RLE, compressed or not; its lengths are checked first."""
    counts = raw.get("counts")
    counts = decode_counts(counts) if isinstance(counts, str) else counts
    if list(raw.get("size", [])) != [height, width]:
        raise ValueError(f"RLE size {raw.get('size')} is not the image's {[height, width]}")
    if not isinstance(counts, list) or not all(type(c) is int and c >= 0 for c in counts):
        raise ValueError("RLE counts are not a list of run lengths")
    if sum(counts) != height * width:
        raise ValueError(f"RLE covers {sum(counts)} px of {height * width}")
    return _fill(counts, height, width)


def _fill(counts: Sequence[int], height: int, width: int) -> Mask:
    """Runs of 0, 1, 0, ... down the columns as an (H, W) array."""
    ones = np.arange(len(counts), dtype=np.uint8) % 2
    return np.repeat(ones, counts).reshape(width, height).T


def _render_polygons(polygons: Sequence[Any], height: int, width: int) -> Mask:
    from pycocotools import mask as coco

    if not polygons:
        raise ValueError("an empty list of polygons")
    for polygon in polygons:
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
            raise ValueError("a polygon needs an even number of at least 6 coordinates")
        points = np.asarray(polygon, np.float64)
        limits = np.resize([width, height], len(polygon))
        # Far points make pycocotools walk a line of that many pixels.
        if not (np.isfinite(points) & (points >= -limits) & (points <= 2 * limits)).all():
            raise ValueError("a polygon reaches far outside the image")
    parts = coco.frPyObjects([[float(v) for v in p] for p in polygons], height, width)
    # pycocotools' own decode warns on NumPy 2 and is no quicker than this.
    return _fill(decode_counts(coco.merge(parts)["counts"].decode("ascii")), height, width)


def render_annotation(annotation: Mapping[str, Any], height: int, width: int) -> Mask:
    """Pixels of one annotation: the union of its polygon parts, or its RLE.

    Returns:
        (height, width) uint8, 1 inside.

    Raises:
        ValueError: malformed polygons or RLE.
    """
    raw = annotation["segmentation"]
    if isinstance(raw, Mapping):
        return _render_rle(raw, height, width)
    if isinstance(raw, list):
        return _render_polygons(raw, height, width)
    raise ValueError(f"segmentation is a {type(raw).__name__}")


def render_image(image: CocoImage) -> Mask:
    """Semantic mask of an image by the overlap rule of this module.

    Returns:
        (H, W) uint8, 0 background, 1 to 80.

    Raises:
        FsslibError: a malformed annotation; its id is named.
    """
    layers = []
    for annotation in image.annotations:
        try:
            inside = render_annotation(annotation, image.height, image.width).astype(bool)
            crowd, number = bool(annotation.get("iscrowd", 0)), int(annotation["id"])
            layers.append(
                (not crowd, -int(inside.sum()), number, CLASS_OF[annotation["category_id"]], inside)
            )
        except (ValueError, TypeError, KeyError) as error:
            raise FsslibError(
                f"annotation {annotation.get('id')} of {image.name}: {error}: "
                "download the annotations again"
            ) from None
    values = np.zeros((image.height, image.width), np.uint8)
    for _, _, _, class_id, inside in sorted(layers, key=lambda layer: layer[:3]):
        values[inside] = class_id
    return values


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
    split = split_of(path)
    remedy = "give COCO's official instances_*.json"
    try:
        raw = json.loads(path.read_bytes())
        categories = {c["id"]: c["name"] for c in raw["categories"]}
        if categories != COCO_CATEGORIES:
            raise FsslibError(
                f"{path} has {len(categories)} categories that are not COCO's 80: {remedy}; "
                "own classes go through 'fss data folder'"
            )
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
        for names in index_folder(folder, PHOTO_SUFFIXES).values():
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
