"""Own images and masks as a dataset: index or colour masks, any classes up to id 254."""

import hashlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import ImageOps

from fsslib.data.building import (
    Progress,
    encode_mask,
    is_done,
    place,
    put,
    put_list,
    silent,
    staged_folder,
    verify,
)
from fsslib.data.classes_file import BLACK, CREAM, ClassesFile, Color, read_classes_file
from fsslib.data.counting import content_digest, map_in_processes
from fsslib.data.description import Description, write_description
from fsslib.data.folds import BACKGROUND, IGNORE, MAX_CLASS_ID, balanced_folds
from fsslib.data.images import PHOTO_SUFFIXES, index_values, open_mask, size_and_orientation, turn
from fsslib.data.layout import IMAGE_FOLDER, index_folder, read_list
from fsslib.data.manifest import Manifest, check_id
from fsslib.errors import FsslibError

VERSION = 1
MASK_FOLDER = "SegmentationClass"
_INDEX_MODES = ("1", "L", "P", "I", "I;16", "I;16L", "I;16B", "I;16N")

Values = npt.NDArray[np.int32]


@dataclass(frozen=True)
class FolderOptions:
    """How own files are to be read.

    Attributes:
        mask_suffix: that mask names add to image names (`_mask` for `a.jpg` and `a_mask.png`).
        exif: which pixels masks lie on: `displayed` (EXIF rotation applied, as viewers and most
            annotation tools do) or `stored`.
        val_share: of the images, drawn by `seed` when no lists are given.
        seed: of that draw, which depends on each id alone.
        train_list: list of training ids, or None.
        val_list: list of validation ids, or None.
        folds: how many folds to make, or None; `classes.yaml` may say so, too.
    """

    mask_suffix: str = ""
    exif: str = "displayed"
    val_share: float = 0.2
    seed: int = 0
    train_list: Path | None = None
    val_list: Path | None = None
    folds: int | None = None


@dataclass
class FolderReport:
    """What a preparation made.

    Attributes:
        train: number of training images.
        val: number of validation images.
        masks: `index` or `colour`.
        unlabelled: photographs without a mask, left out.
        turned: photographs with an EXIF rotation.
        placed: how the photographs were brought in -> number.
    """

    train: int = 0
    val: int = 0
    masks: str = "index"
    unlabelled: int = 0
    turned: int = 0
    placed: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Pair:
    """A photograph and its mask."""

    id: str
    image: Path
    mask: Path


def pair_files(images: Path, masks: Path, suffix: str = "") -> tuple[list[Pair], list[Path]]:
    """Pair photographs and masks by name.

    Returns:
        The pairs in sorted id order, and the photographs without a mask.

    Raises:
        FsslibError: a folder is missing or holds no pair, a mask has no photograph, or a name
            stands for two files or is no plain id.
    """
    for option, folder in (("--images", images), ("--masks", masks)):
        if not folder.is_dir():
            raise FsslibError(f"{option} {folder} is not a folder: check the path")
    photos, labels = index_folder(images, PHOTO_SUFFIXES), index_folder(masks, PHOTO_SUFFIXES)
    for folder, files in ((images, photos), (masks, labels)):
        for names in files.values():
            if len(names) > 1:
                raise FsslibError(f"{folder} holds {' and '.join(names)}: keep one of them")
    labels = {s.removesuffix(suffix): n for s, n in labels.items() if s.endswith(suffix)}
    lone = sorted(set(labels) - set(photos))
    if lone:
        raise FsslibError(
            f"mask {masks / labels[lone[0]][0]} has no photograph in {images} ({len(lone)} in "
            "all): add it or remove the mask"
        )
    if not labels:
        raise FsslibError(
            f"{masks} holds no mask that ends in {suffix!r} ({', '.join(PHOTO_SUFFIXES)}): "
            "check --masks and --mask-suffix"
        )
    pairs = [Pair(check_id(i), images / photos[i][0], masks / labels[i][0]) for i in sorted(labels)]
    return pairs, [images / photos[i][0] for i in sorted(set(photos) - set(labels))]


def read_any_mask(path: Path, by_color: bool) -> Values:
    """Read a mask of any lossless kind.

    Args:
        path: of the mask.
        by_color: whether colours decide; else index modes give their values.

    Returns:
        (H, W) int32: index values of 0 to 255, or colours as `red << 16 | green << 8 | blue`.

    Raises:
        FsslibError: unreadable, lossy, partly transparent, or values above 255.
    """
    with open_mask(path) as image:
        if image.mode in _INDEX_MODES and not by_color:
            if image.mode in ("P", "L"):
                return index_values(image).astype(np.int32)
            values = np.asarray(ImageOps.exif_transpose(image)).astype(np.int32)
            if values.min() < 0 or values.max() > 255:
                raise FsslibError(
                    f"mask {path} holds value {values.max()}, ids go up to {MAX_CLASS_ID}: "
                    "renumber its classes"
                )
            return values
        if image.mode not in ("1", "L", "P", "RGB", "RGBA", "LA", "PA"):
            raise FsslibError(f"mask {path} has mode {image.mode}: save it as index or RGB PNG")
        rgba = np.asarray(ImageOps.exif_transpose(image).convert("RGBA")).astype(np.int32)
        if (rgba[..., 3] != 255).any():
            raise FsslibError(f"mask {path} is partly transparent: save it without alpha")
        return (rgba[..., 0] << 16) | (rgba[..., 1] << 8) | rgba[..., 2]


def is_colored(path: Path) -> bool:
    """Whether a mask is stored as colours instead of index values."""
    with open_mask(path) as image:
        return image.mode not in _INDEX_MODES


def _as_int(color: Color) -> int:
    return color[0] << 16 | color[1] << 8 | color[2]


@lru_cache(maxsize=1)
def _lookup(table: tuple[tuple[int, int], ...]) -> npt.NDArray[np.int16]:
    """Array of 2**24 entries: raw value -> mask value, -1 where undefined."""
    lookup = np.full(1 << 24, -1, np.int16)
    for raw, value in table:
        lookup[raw] = value
    return lookup


def _describe(raw: int, by_color: bool) -> str:
    return f"colour #{raw:06x}" if by_color else f"class id {raw}"


@dataclass(frozen=True)
class _Job:
    pair: Pair
    target: Path
    table: tuple[tuple[int, int], ...]
    by_color: bool
    exif: str


def _convert(job: _Job) -> bool:
    """Write one mask; returns whether its photograph has an EXIF rotation."""
    height, width, orientation = size_and_orientation(job.pair.image)
    source = job.pair.mask
    fresh = is_done(job.target) and job.target.stat().st_mtime_ns >= source.stat().st_mtime_ns
    if fresh:
        return orientation != 1
    raw = read_any_mask(source, job.by_color)
    values = _lookup(job.table)[raw]
    if (values < 0).any():
        row, column = np.argwhere(values < 0)[0]
        what = _describe(int(raw[row, column]), job.by_color)
        raise FsslibError(
            f"mask {source} holds {what} at row {row}, column {column}, which classes.yaml does "
            "not define: name it or correct the mask"
        )
    mask = values.astype(np.uint8)
    if job.exif == "stored":
        mask = turn(mask, orientation)
    if mask.shape != (height, width):
        hint = "replace one of them"
        if mask.shape == (width, height) and orientation >= 5:
            hint = "the photograph has an EXIF rotation, use --exif stored if masks ignore it"
        raise FsslibError(
            f"mask {source} is {mask.shape[1]}x{mask.shape[0]} px, its photograph "
            f"{job.pair.image} {width}x{height} px: {hint}"
        )
    put(job.target, encode_mask(mask))
    return orientation != 1


def _values_of(task: tuple[Path, bool]) -> list[int]:
    raw = read_any_mask(*task)
    return [int(v) for v in np.unique(raw)]


def discover_classes(
    pairs: Sequence[Pair], by_color: bool, processes: int, on_progress: Progress
) -> ClassesFile:
    """Name classes from the masks alone: `class_7` for index 7, `#00ff00` for a colour.

    Black is background; 255 and VOC's cream are ignored.

    Raises:
        FsslibError: more values than classes can be, or masks of 0 and 255 alone.
    """
    seen: set[int] = set()
    tasks = [(pair.mask, by_color) for pair in pairs]
    for done, values in enumerate(map_in_processes(_values_of, tasks, processes), start=1):
        seen.update(values)
        on_progress("masks searched for classes", done, len(tasks))
        if by_color and len(seen) > MAX_CLASS_ID + 2:
            raise FsslibError(
                f"the masks up to {pairs[done - 1].mask} hold more than {MAX_CLASS_ID} colours, "
                "as smoothed edges do: list the classes' colours in --classes"
            )
    if by_color:
        plain = sorted(seen - {_as_int(BLACK), _as_int(CREAM)})[:MAX_CLASS_ID]
        classes = {i: f"#{raw:06x}" for i, raw in enumerate(plain, start=1)}
        colors: dict[Color, int] = {
            (raw >> 16, raw >> 8 & 255, raw & 255): i for i, raw in enumerate(plain, start=1)
        }
        return ClassesFile(classes, colors | {BLACK: BACKGROUND, CREAM: IGNORE})
    if seen <= {BACKGROUND, IGNORE}:
        raise FsslibError(
            "the masks hold only 0 and 255, background and ignore: give classes ids of 1 to 254"
        )
    return ClassesFile({i: f"class_{i}" for i in sorted(seen - {BACKGROUND, IGNORE})})


def make_folds(file: ClassesFile, folds: int | None) -> tuple[tuple[tuple[int, ...], ...], str]:
    """Listed folds, or contiguous runs; and the name of the rule."""
    if file.novel is not None:
        if folds is not None:
            raise FsslibError("--folds and novel in classes.yaml exclude each other: drop one")
        return file.novel, "listed"
    number = folds or file.folds or min(4, len(file.classes))
    if not 2 <= number <= len(file.classes):
        raise FsslibError(
            f"{len(file.classes)} classes cannot make {number} folds, each needs a novel and a "
            "base class: change --folds or name more classes"
        )
    return tuple(tuple(f) for f in balanced_folds(list(file.classes), number)), "contiguous"


def split_ids(ids: Sequence[str], options: FolderOptions) -> dict[str, list[str]]:
    """Ids of train and val: from both lists, or drawn by a hash of seed and id.

    Raises:
        FsslibError: one list without the other, faulty or overlapping lists, an empty split.
    """
    if (options.train_list is None) != (options.val_list is None):
        raise FsslibError("--train and --val go together: give both lists or none")
    if options.train_list is None or options.val_list is None:
        if not 0 < options.val_share < 1:
            raise FsslibError(f"--val-share {options.val_share} is not between 0 and 1")
        order = sorted(ids, key=lambda i: hashlib.blake2b(f"{options.seed}:{i}".encode()).digest())
        cut = min(max(1, round(len(ids) * options.val_share)), len(ids) - 1)
        if cut < 1:
            raise FsslibError(f"{len(ids)} images do not split into train and val: add images")
        return {"train": sorted(order[cut:]), "val": sorted(order[:cut])}
    splits = {}
    for split, path in (("train", options.train_list), ("val", options.val_list)):
        splits[split], problems = read_list(path)
        unknown = sorted(set(splits[split]) - set(ids))
        if unknown:
            problems.append(
                f"{path}: {unknown[0]!r} has no photograph with a mask ({len(unknown)})"
            )
        if problems:
            raise FsslibError(problems[0])
    both = sorted(set(splits["train"]) & set(splits["val"]))
    if both:
        raise FsslibError(f"image {both[0]!r} is in --train and --val: remove it from one")
    return splits


def prepare_folder(
    images: Path,
    masks: Path,
    classes: Path | None,
    out: Path,
    options: FolderOptions | None = None,
    processes: int = 1,
    on_progress: Progress = silent,
) -> tuple[FolderReport, Manifest]:
    """Build a dataset folder from own images and masks; an interrupted run is continued.

    Args:
        images: folder of photographs.
        masks: folder of index or colour masks with the photographs' names.
        classes: `classes.yaml` (`classes_file`); None names the classes from the masks.
        out: folder to make.
        options: see `FolderOptions`.
        processes: that convert masks.
        on_progress: see `building.Progress`.

    Raises:
        FsslibError: what is wrong with which file.
    """
    options = options or FolderOptions()
    if options.exif not in ("displayed", "stored"):
        raise FsslibError(f"--exif {options.exif!r} is neither displayed nor stored")
    pairs, lone = pair_files(images, masks, options.mask_suffix)
    splits = split_ids([p.id for p in pairs], options)
    inputs = {
        "dataset": "folder",
        "version": VERSION,
        "images": str(images.resolve()),
        "masks": str(masks.resolve()),
        "classes": content_digest(classes.read_bytes()) if classes and classes.exists() else None,
        "options": {k: str(v) for k, v in asdict(options).items()},
    }
    with staged_folder(out, inputs) as staging:
        chosen = set(splits["train"]) | set(splits["val"])
        used = [p for p in pairs if p.id in chosen]
        report = _build(used, classes, staging, options, processes, on_progress, splits, len(lone))
        manifest = verify(staging, out, "folder", processes, on_progress)
    return report, manifest


def _build(
    pairs: Sequence[Pair],
    classes: Path | None,
    staging: Path,
    options: FolderOptions,
    processes: int,
    on_progress: Progress,
    splits: Mapping[str, list[str]],
    unlabelled: int,
) -> FolderReport:
    report = FolderReport(len(splits["train"]), len(splits["val"]), unlabelled=unlabelled)
    file = read_classes_file(classes) if classes is not None else None
    by_color = bool(file.colors) if file is not None else is_colored(pairs[0].mask)
    if file is None:
        file = discover_classes(pairs, by_color, processes, on_progress)
    elif not by_color:
        colored = next((p.mask for p in pairs if is_colored(p.mask)), None)
        if colored is not None:
            raise FsslibError(
                f"mask {colored} holds colours: give every class its color in {classes}"
            )
    report.masks = "colour" if by_color else "index"
    folds, rule = make_folds(file, options.folds)
    values = {v: v for v in (BACKGROUND, IGNORE, *file.classes)}
    table = {_as_int(c): v for c, v in file.colors.items()} if by_color else values
    _prune(staging, {p.id for p in pairs})
    jobs = [
        _Job(p, staging / MASK_FOLDER / f"{p.id}.png", tuple(table.items()), by_color, options.exif)
        for p in pairs
    ]
    for done, turned in enumerate(map_in_processes(_convert, jobs, processes), start=1):
        report.turned += turned
        on_progress("masks", done, len(jobs))
    placed = Counter(place(p.image, staging / IMAGE_FOLDER / p.image.name) for p in pairs)
    for split, ids in splits.items():
        put_list(staging, split, ids)
    facts = asdict(report)
    del facts["placed"]  # says how this disk is, not what the dataset is
    write_description(staging, Description("folder", dict(file.classes), folds, rule, facts))
    report.placed = dict(placed)
    return report


def _prune(staging: Path, ids: set[str]) -> None:
    """Remove what an interrupted run made of files that are gone since."""
    for folder in (IMAGE_FOLDER, MASK_FOLDER):
        (staging / folder).mkdir(exist_ok=True)
        for path in (staging / folder).iterdir():
            if os.path.splitext(path.name)[0] not in ids:  # noqa: PTH122
                path.unlink()
