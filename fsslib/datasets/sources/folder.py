"""Own images and masks as a dataset: index or colour masks, any classes up to id 254."""

import hashlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from fsslib.data.folds import BACKGROUND, IGNORE, balanced_folds
from fsslib.data.images import PHOTO_SUFFIXES
from fsslib.data.manifest import Manifest, check_id
from fsslib.datasets.counting import content_digest, map_in_processes
from fsslib.datasets.description import Description, write_description
from fsslib.datasets.layout import IMAGE_FOLDER, index_folder, read_list
from fsslib.datasets.sources.building import (
    Progress,
    place,
    put_list,
    silent,
    staged_folder,
    verify,
)
from fsslib.datasets.sources.classes_file import ClassesFile, read_classes_file
from fsslib.datasets.sources.own_masks import (
    Job,
    Pair,
    as_int,
    convert,
    discover_classes,
    is_colored,
)
from fsslib.errors import FsslibError

VERSION = 1
MASK_FOLDER = "SegmentationClass"


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
    table = {as_int(c): v for c, v in file.colors.items()} if by_color else values
    _prune(staging, {p.id for p in pairs})
    jobs = [
        Job(p, staging / MASK_FOLDER / f"{p.id}.png", tuple(table.items()), by_color, options.exif)
        for p in pairs
    ]
    for done, turned in enumerate(map_in_processes(convert, jobs, processes), start=1):
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
