"""PASCAL-5i: VOC 2012 joined with the Semantic Boundaries Dataset (section 4.1)."""

import dataclasses
import io
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.io import loadmat

from fsslib.data.folds import PASCAL_CLASSES, contiguous_folds
from fsslib.data.manifest import Manifest
from fsslib.datasets.description import Description, write_description
from fsslib.datasets.layout import IMAGE_FOLDER, MASK_FOLDERS
from fsslib.datasets.sources.archives import iter_members
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
from fsslib.datasets.sources.list_files import (
    Splits,
    check_listed,
    parse_voc_lists,
    read_ids,
    read_splits,
)
from fsslib.errors import FsslibError
from fsslib.files.storage import json_digest

VERSION = 1
MASK_FOLDER = MASK_FOLDERS[1]
OFFICIAL = {"train": 10_582, "val": 1_449}
"""Images of the merged lists."""

OFFICIAL_VOC_TRAIN = 1_464
VOC_MASKS, SBD_MASKS = 2_913, 11_355
"""In the official archives; progress is shown against them."""

OFFICIAL_PAIRS = (365, 467, 734, 357)
"""(image, class) pairs of val with at least `MIN_PIXELS` px of a novel class, per fold."""

OFFICIAL_PAIR_IMAGES = (364, 445, 592, 336)
MIN_PIXELS = 2048

_VOC_LIST = re.compile(r"(?:^|/)(ImageSets|ImageSets/Segmentation)/(train|val)\.txt$")
_VOC_MASK = re.compile(r"(^|/)SegmentationClass/[^/.][^/]*\.png$")
_VOC_IMAGE = re.compile(r"(^|/)JPEGImages/[^/.][^/]*\.jpg$")
_SBD_MASK = re.compile(r"(^|/)cls/[^/.][^/]*\.mat$")
_SBD_IMAGE = re.compile(r"(^|/)img/[^/.][^/]*\.jpg$")


@dataclass
class PascalReport:
    """What a preparation made.

    Attributes:
        train: number of training images.
        val: number of validation images.
        from_voc: training masks of VOC.
        from_sbd: training masks of SBD.
        both: training images that both have; VOC's mask was taken.
        held_out: SBD images left out because they are in VOC val.
        notes: departures from the official numbers, one line each.
    """

    train: int = 0
    val: int = 0
    from_voc: int = 0
    from_sbd: int = 0
    both: int = 0
    held_out: int = 0
    notes: list[str] = field(default_factory=list)


def _stem(name: str) -> str:
    return PurePosixPath(name).stem


def decode_sbd(content: bytes, name: str) -> npt.NDArray[np.uint8]:
    """Class mask of an SBD file: `GTcls.Segmentation`.

    Returns:
        (H, W) uint8, 0 background, 1 to 20 in VOC order.

    Raises:
        FsslibError: not a MATLAB file of that structure, or class ids beyond 20.
    """
    try:
        values = np.asarray(loadmat(io.BytesIO(content))["GTcls"]["Segmentation"][0, 0])
    except Exception as error:  # loadmat raises whatever damaged bytes lead it to
        reason = " ".join(str(error).split()) or type(error).__name__
        raise FsslibError(
            f"SBD mask {name} has no readable GTcls.Segmentation ({reason}): "
            "download the SBD archive again"
        ) from None
    if values.ndim != 2 or values.size == 0 or values.dtype.kind not in "uif":
        raise FsslibError(
            f"SBD mask {name} has shape {values.shape} of {values.dtype}, expected "
            "(H, W) integers: download the SBD archive again"
        )
    if not np.isin(values, np.arange(len(PASCAL_CLASSES) + 1)).all():
        raise FsslibError(
            f"SBD mask {name} holds class ids beyond {len(PASCAL_CLASSES)}: "
            "download the SBD archive again"
        )
    return values.astype(np.uint8)


def _read_voc(
    voc: Path, staging: Path, wanted: Collection[str] | None, report: Progress
) -> tuple[dict[tuple[str, str], bytes], set[str]]:
    """Take VOC's masks of `wanted` (None: all) into `staging`.

    Returns:
        (folder, split) -> content of each list, and the ids of all masks.
    """
    lists: dict[tuple[str, str], bytes] = {}
    masks: set[str] = set()
    for member in iter_members(voc, lambda n: bool(_VOC_LIST.search(n) or _VOC_MASK.search(n))):
        listed = _VOC_LIST.search(member.name)
        name = PurePosixPath(member.name).name
        place = (listed[1], listed[2]) if listed else None
        if place in lists or _stem(name) in masks:
            raise FsslibError(f"{voc} holds {name} in two places: give the folder VOC2012 itself")
        if place is not None:
            lists[place] = member.read()
            continue
        target = staging / MASK_FOLDER / name
        masks.add(target.stem)
        if (wanted is None or target.stem in wanted) and not is_done(target):
            put(target, member.read())
        report("VOC masks", len(masks), VOC_MASKS)
    return lists, masks


def _read_sbd(
    sbd: Path, staging: Path, taken: set[str], wanted: Collection[str] | None, report: Progress
) -> set[str]:
    """Convert SBD's masks of `wanted` (None: all) but not of `taken`; returns the ids of all."""
    ids = set()
    for member in iter_members(sbd, lambda n: bool(_SBD_MASK.search(n))):
        image_id = _stem(member.name)
        ids.add(image_id)
        target = staging / MASK_FOLDER / f"{image_id}.png"
        wants = image_id not in taken and (wanted is None or image_id in wanted)
        if wants and not is_done(target):
            put(target, encode_mask(decode_sbd(member.read(), f"{sbd}:{member.name}")))
        report("SBD masks", len(ids), SBD_MASKS)
    if not ids:
        raise FsslibError(
            f"{sbd} has no cls/*.mat: give the archive benchmark.tgz or its unpacked folder"
        )
    return ids


def _take_images(
    source: Path, pattern: re.Pattern[str], staging: Path, wanted: set[str], report: Progress
) -> set[str]:
    """Bring the photographs of `wanted` into `staging`; returns the ids that `source` lacks."""
    missing = set(wanted)
    for member in iter_members(source, lambda n: bool(pattern.search(n)) and _stem(n) in wanted):
        image_id = _stem(member.name)
        target = staging / IMAGE_FOLDER / f"{image_id}.jpg"
        if member.path is not None:
            place(member.path, target)
        elif not (is_done(target) and target.stat().st_size == member.size):
            put(target, member.read())
        missing.discard(image_id)
        report("photographs", len(wanted) - len(missing), len(wanted))
    return missing


def _write_lists(
    staging: Path, splits: Splits, voc_masks: set[str], sbd_ids: set[str]
) -> PascalReport:
    """Write the lists of both splits; masks that neither names are dropped."""
    train, val = set(splits["train"]), set(splits["val"])
    for path in (staging / MASK_FOLDER).glob("*.png"):
        if path.stem not in train | val:
            path.unlink()
    for split, chosen in (("train", train), ("val", val)):
        put_list(staging, split, sorted(chosen))
    return PascalReport(
        train=len(train),
        val=len(val),
        from_voc=len(train & voc_masks),
        from_sbd=len(train - voc_masks),
        both=len(train & voc_masks & sbd_ids),
        held_out=len(sbd_ids & val),
    )


def _notes(report: PascalReport, with_sbd: bool, own_lists: bool = False) -> list[str]:
    notes = []
    if own_lists:
        with_sbd = True  # the numbers to compare with
        notes.append("train and val are those of the given lists")
    if not with_sbd:
        notes.append(
            f"no --sbd: train is VOC's own {report.train} images, not the {OFFICIAL['train']} "
            "that published numbers use"
        )
    expected = OFFICIAL["train"] if with_sbd else OFFICIAL_VOC_TRAIN
    for split, found, official in (
        ("train", report.train, expected),
        ("val", report.val, OFFICIAL["val"]),
    ):
        if found != official:
            notes.append(f"{split} has {found} images, the official archives give {official}")
    return notes


def prepare_pascal(
    voc: Path,
    sbd: Path | None,
    out: Path,
    processes: int = 1,
    on_progress: Progress = silent,
    train_lists: Sequence[Path] = (),
    val_lists: Sequence[Path] = (),
    ids: Path | None = None,
) -> tuple[PascalReport, Manifest]:
    """Build the PASCAL-5i dataset folder from the official archives.

    Train is VOC train and all of SBD without VOC val; val is VOC val. Where both have an image,
    VOC's mask is taken. Lists, where given, say the images of train and val instead. An interrupted
    run is continued by the next one with the same arguments.

    Args:
        voc: `VOCtrainval_11-May-2012.tar`, or the folder unpacked from it.
        sbd: `benchmark.tgz`, or the folder unpacked from it; None for VOC alone.
        out: folder to make.
        processes: that verify the result.
        on_progress: see `building.Progress`.
        train_lists: files that list the training images, see `list_files.read_image_list`.
        val_lists: files that list the validation images; both or neither.
        ids: file that lists the images of both splits, see `list_files.read_ids`.

    Raises:
        FsslibError: a missing, damaged or hostile archive; a bad list; a listed image without
            mask or photograph.
    """
    given = read_splits(train_lists, val_lists)
    if ids is not None:
        if given is not None:
            raise FsslibError("--ids lists both splits: leave --train-list and --val-list out")
        given = read_ids(ids)
    inputs: dict[str, Any] = {"dataset": "pascal", "version": VERSION, "voc": fingerprint(voc)}
    inputs["sbd"] = fingerprint(sbd) if sbd is not None else None
    if given is not None:
        inputs["lists"] = json_digest(given)
    with staged_folder(out, inputs) as staging:
        report = _build(voc, sbd, staging, given, on_progress)
        manifest = verify(staging, out, "pascal", processes, on_progress)
    return report, manifest


def _build(
    voc: Path, sbd: Path | None, staging: Path, given: Splits | None, on_progress: Progress
) -> PascalReport:
    listed = None if given is None else {*given["train"], *given["val"]}
    lists, masks = _read_voc(voc, staging, listed, on_progress)
    splits = given or parse_voc_lists(voc, lists, masks)
    sbd_ids = _read_sbd(sbd, staging, masks, listed, on_progress) if sbd is not None else set()
    if given is None:
        splits = {**splits, "train": sorted({*splits["train"], *sbd_ids} - {*splits["val"]})}
    check_listed(splits, masks | sbd_ids, sbd is not None)
    wanted = {*splits["train"], *splits["val"]}
    missing = _take_images(voc, _VOC_IMAGE, staging, wanted, on_progress)
    if missing and sbd is not None:
        missing = _take_images(sbd, _SBD_IMAGE, staging, missing, on_progress)
    if missing:
        raise FsslibError(
            f"photograph {min(missing)}.jpg is in no archive ({len(missing)} in all): "
            "download them again"
        )
    report = _write_lists(staging, splits, masks, sbd_ids)
    report.notes = _notes(report, sbd is not None, given is not None)
    classes = dict(enumerate(PASCAL_CLASSES, start=1))
    folds = tuple(tuple(f) for f in contiguous_folds(list(classes)))
    write_description(
        staging, Description("pascal", classes, folds, "contiguous", dataclasses.asdict(report))
    )
    return report
