"""Own photographs and annotations as a dataset: masks, LabelMe, COCO, YOLO and others."""

import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from fsslib.data.folds import balanced_folds
from fsslib.data.manifest import Manifest
from fsslib.datasets.counting import content_digest, map_in_processes
from fsslib.datasets.description import Description, write_description
from fsslib.datasets.labels.detect import MASK_FORMATS, MASKS, Found, detect
from fsslib.datasets.labels.label_set import noted
from fsslib.datasets.labels.mask_reading import MaskOptions
from fsslib.datasets.labels.mask_source import MaskSource
from fsslib.datasets.labels.shape_source import ShapeSource
from fsslib.datasets.labels.source import Converted, Job, Plan, Source
from fsslib.datasets.layout import IMAGE_FOLDER
from fsslib.datasets.sources.building import (
    PLAN_FILE,
    Progress,
    fingerprint,
    place,
    put,
    put_list,
    silent,
    staged_folder,
    verify,
)
from fsslib.datasets.sources.classes_file import ClassesFile, read_classes_file
from fsslib.datasets.sources.splitting import split_ids
from fsslib.errors import FsslibError

VERSION = 2
MASK_FOLDER = "SegmentationClass"


@dataclass(frozen=True)
class FolderOptions:
    """How own files are to be read.

    Attributes:
        format: of the annotations (`labels.detect.FORMATS`), or None to find it out.
        name: of the class where there is only one.
        zero_is_class: whether value 0 of index masks is a class and 255 the background.
        mask_suffix: that mask names add to image names (`_mask` for `a.jpg` and `a_mask.png`).
        exif: which pixels masks lie on: `displayed` (EXIF rotation applied, as viewers and most
            annotation tools do) or `stored`.
        val_share: of the images, drawn by `seed` when no lists are given.
        seed: of that draw, which depends on each id alone.
        train_list: list of training ids, or None.
        val_list: list of validation ids, or None.
        folds: how many folds to make, or None; `classes.yaml` may say so, too.
    """

    format: str | None = MASKS
    name: str | None = None
    zero_is_class: bool = False
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
        masks: kind of annotations that was found: `index`, `colour`, `binary`, `coco`, ...
        unlabelled: photographs without an annotation, left out.
        turned: photographs with an EXIF rotation.
        placed: how the photographs were brought in -> number.
        notes: what was decided or left out, one line each.
    """

    train: int = 0
    val: int = 0
    masks: str = "index"
    unlabelled: int = 0
    turned: int = 0
    placed: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def make_folds(file: ClassesFile, folds: int | None) -> tuple[tuple[tuple[int, ...], ...], str]:
    """Listed folds, or contiguous runs; and the name of the rule.

    A single class is novel in the only fold: it can be looked for, but not trained with.
    """
    if file.novel is not None:
        if folds is not None:
            raise FsslibError("--folds and novel in classes.yaml exclude each other: drop one")
        return file.novel, "listed"
    if len(file.classes) == 1 and folds is None:
        return (tuple(file.classes),), "single"
    number = folds or file.folds or min(4, len(file.classes))
    if not 2 <= number <= len(file.classes):
        raise FsslibError(
            f"{len(file.classes)} classes cannot make {number} folds, each needs a novel and a "
            "base class: change --folds or name more classes"
        )
    return tuple(tuple(f) for f in balanced_folds(list(file.classes), number)), "contiguous"


def open_source(images: Path, labels: Path, options: FolderOptions) -> Source:
    """Find out the format of annotations and list their photographs.

    Raises:
        FsslibError: see `labels.detect` and the reader of the format.
    """
    # A folder that the user calls one of masks is taken as it is.
    plain = options.format == MASKS
    found = Found(MASKS, labels) if plain else detect(labels, options.format)
    if found.kind in MASK_FORMATS:
        of_masks = MaskOptions(
            options.mask_suffix, options.exif, options.name, options.zero_is_class
        )
        return MaskSource(found, images, of_masks)
    for option, given in (
        ("--zero-is-class", options.zero_is_class),
        ("--mask-suffix", options.mask_suffix),
    ):
        if given:
            raise FsslibError(f"{option} is for masks, {labels} is {found.kind}: leave it out")
    return ShapeSource(found, images, options.exif, options.name)


def prepare_folder(
    images: Path,
    labels: Path,
    classes: Path | None,
    out: Path,
    options: FolderOptions | None = None,
    processes: int = 1,
    on_progress: Progress = silent,
) -> tuple[FolderReport, Manifest]:
    """Build a dataset folder from own photographs and labels; an interrupted run is continued.

    Args:
        images: folder of photographs.
        labels: folder of masks with the photographs' names, or annotations of a format of
            `labels.detect.FORMATS`.
        classes: `classes.yaml` (`classes_file`); None takes the names from the labels.
        out: folder to make.
        options: see `FolderOptions`.
        processes: that convert labels.
        on_progress: see `building.Progress`.

    Raises:
        FsslibError: what is wrong with which file.
    """
    options = options or FolderOptions()
    if options.exif not in ("displayed", "stored"):
        raise FsslibError(f"--exif {options.exif!r} is neither displayed nor stored")
    source = open_source(images, labels, options)
    listing = source.listing
    splits = split_ids(list(listing.images), options, listing.splits)
    inputs = {
        "dataset": "folder",
        "version": VERSION,
        "images": str(images.resolve()),
        "labels": str(labels.resolve()),
        "files": [fingerprint(path) for path in listing.files],
        "classes": content_digest(classes.read_bytes()) if classes and classes.exists() else None,
        "options": {k: str(v) for k, v in asdict(options).items()},
    }
    with staged_folder(out, inputs) as staging:
        file = read_classes_file(classes) if classes is not None else None
        used = sorted(set(splits["train"]) | set(splits["val"]))
        plan = source.plan(used, file, processes, on_progress)
        folds = make_folds(file or ClassesFile(plan.classes), options.folds)
        made = _write_masks(plan, used, staging, processes, on_progress)
        held = {i: found.large for i, found in made.items()}
        splits = split_ids(list(listing.images), options, listing.splits, held)
        report = _build(source, plan, folds, splits, made, staging)
        manifest = verify(staging, out, "folder", processes, on_progress)
    return report, manifest


def _write_masks(
    plan: Plan, ids: Sequence[str], staging: Path, processes: int, on_progress: Progress
) -> dict[str, Converted]:
    """Write the mask of each image; what an interrupted run made of the same reading is kept."""
    _prune(staging, set(ids), plan.key)
    jobs = [plan.job(i, staging / MASK_FOLDER / f"{i}.png") for i in ids]
    made = {}
    for done, converted in enumerate(map_in_processes(_run, jobs, processes)):
        made[ids[done]] = converted
        on_progress("masks", done + 1, len(jobs))
    return made


def _build(
    source: Source,
    plan: Plan,
    folds: tuple[tuple[tuple[int, ...], ...], str],
    splits: Mapping[str, list[str]],
    made: Mapping[str, Converted],
    staging: Path,
) -> FolderReport:
    """Write photographs, lists and the description."""
    listing = source.listing
    report = FolderReport(len(splits["train"]), len(splits["val"]), plan.kind)
    report.unlabelled, report.notes = len(listing.unlabelled), list(plan.notes)
    report.turned = sum(converted.turned for converted in made.values())
    empty = [where for converted in made.values() for where in converted.empty]
    if empty:
        report.notes.append(noted("shapes that cover no pixel", empty))
    images = listing.images
    placed = Counter(
        place(images[i], staging / IMAGE_FOLDER / f"{i}{images[i].suffix}") for i in made
    )
    for split, listed in splits.items():
        put_list(staging, split, listed)
    facts = asdict(report)
    del facts["placed"]  # says how this disk is, not what the dataset is
    write_description(staging, Description("folder", dict(plan.classes), *folds, facts))
    report.placed = dict(placed)
    return report


def _run(job: Job) -> Converted:
    return job()


def _prune(staging: Path, ids: set[str], key: str) -> None:
    """Remove what an interrupted run made of lost files, or by another reading of values."""
    decided = staging / PLAN_FILE
    if not decided.exists() or decided.read_text(encoding="utf-8") != key:
        shutil.rmtree(staging / MASK_FOLDER, ignore_errors=True)
        put(decided, key.encode())
    for folder in (IMAGE_FOLDER, MASK_FOLDER):
        (staging / folder).mkdir(exist_ok=True)
        for path in (staging / folder).iterdir():
            if os.path.splitext(path.name)[0] not in ids:  # noqa: PTH122
                path.unlink()
