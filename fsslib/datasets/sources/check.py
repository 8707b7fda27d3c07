"""Checking a dataset folder: everything that is wrong with it, in one run."""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fsslib.data.folds import IGNORE
from fsslib.data.images import decode_mask, decode_photograph
from fsslib.data.manifest import ImageRecord, Manifest, load_manifest
from fsslib.data.palette import voc_palette
from fsslib.datasets.counting import (
    Measured,
    count_values,
    map_in_processes,
    read_bytes,
)
from fsslib.datasets.description import read_description
from fsslib.datasets.layout import Entry, Layout, find_layout
from fsslib.datasets.scan import (
    check_classes,
    class_problem,
    describe_dataset,
    size_problem,
    to_record,
)
from fsslib.datasets.sources.pascal import OFFICIAL, OFFICIAL_PAIR_IMAGES, OFFICIAL_PAIRS
from fsslib.datasets.sources.tables import ClassRow, FoldRow, class_rows, fold_rows, without_class
from fsslib.errors import FsslibError


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong (`problem`) or odd (`warning`).

    Attributes:
        level: `problem` or `warning`.
        kind: `list or pair`, `image`, `mask`, `size or class id`, `palette`, `duplicate`,
            `content`, `numbers` or `changed`.
        message: one line: the file, what is wrong, what to do.
    """

    level: str
    kind: str
    message: str


@dataclass
class CheckReport:
    """All that a check found.

    Attributes:
        root: the folder.
        dataset: its kind.
        folds_rule: how its folds are made.
        listed: split -> number of listed images.
        findings: problems and warnings, in the order found.
        image_modes: photographs by format and mode, as `JPEG RGB`.
        mask_modes: masks by mode and palette.
        sizes: height and width of the smallest and the largest photograph, by area.
        turned: photographs with an EXIF rotation.
        unlisted: files that no list names.
        no_class: training images that hold no class at all.
        hashes: path of each photograph and mask -> SHA-256, None where it cannot be read.
        classes: per-class table of the sound images.
        folds: per-fold table of the sound images.
    """

    root: Path
    dataset: str
    folds_rule: str = ""
    listed: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    image_modes: Counter[str] = field(default_factory=Counter)
    mask_modes: Counter[str] = field(default_factory=Counter)
    sizes: tuple[tuple[int, int], tuple[int, int]] | None = None
    turned: int = 0
    unlisted: int = 0
    no_class: int = 0
    hashes: dict[str | None, str | None] = field(default_factory=dict)
    classes: list[ClassRow] = field(default_factory=list)
    folds: list[FoldRow] = field(default_factory=list)

    @property
    def problems(self) -> list[Finding]:
        """What makes the dataset unfit for use."""
        return [f for f in self.findings if f.level == "problem"]

    def counts(self) -> dict[tuple[str, str], int]:
        """(level, kind) -> number of findings."""
        return dict(Counter((f.level, f.kind) for f in self.findings))


@dataclass(frozen=True)
class _Inspected:
    """What one process found out about one pair; None where a file is missing or broken."""

    entry: Entry
    measured: Measured
    findings: tuple[Finding, ...] = ()
    image_mode: str | None = None
    mask_mode: str | None = None
    image_hash: str | None = None
    mask_hash: str | None = None
    orientation: int = 1


def palette_problem(palette: list[int], values: Mapping[int, int]) -> str | None:
    """Whether a palette contradicts the ids: index 3 shown in the VOC colour of class 7.

    A mask whose palette an image tool sorted anew looks right and holds wrong ids.
    """
    reference = voc_palette()
    colors = {tuple(reference[3 * i : 3 * i + 3]): i for i in range(255)}
    for value in sorted(set(values) - {IGNORE}):
        shown = tuple(palette[3 * value : 3 * value + 3])
        meant = colors.get(shown, value)
        if meant != value:
            return (
                f"shows index {value} in the VOC colour of class {meant}: its indices were sorted "
                "anew, convert it by colour with 'fss data folder'"
            )
    return None


def _palette_name(palette: list[int]) -> str:
    known = tuple(palette[:768]) == voc_palette()[: len(palette)]
    return "VOC palette" if known else "other palette"


def _inspect(task: tuple[Path, Entry]) -> _Inspected:
    root, entry = task
    findings: list[Finding] = []
    size = image_mode = mask_mode = count = image_hash = mask_hash = None
    orientation = 1
    if entry.image is not None:
        try:
            content = read_bytes("image", root / entry.image)
            photograph = decode_photograph(root / entry.image, content)
            size, image_mode = photograph.values.shape[:2], photograph.kind
            orientation = photograph.orientation
            image_hash = hashlib.sha256(content).hexdigest()
        except FsslibError as error:
            findings.append(Finding("problem", "image", str(error)))
    if entry.mask is not None:
        try:
            content = read_bytes("mask", root / entry.mask)
            mask_hash = hashlib.sha256(content).hexdigest()
            values, palette = decode_mask(root / entry.mask, content)
            count = count_values(values)
            mask_mode = f"P, {_palette_name(palette)}" if palette else "L, no palette"
            wrong = palette_problem(palette, count.pixels) if palette else None
            if wrong is not None:
                findings.append(Finding("problem", "palette", f"mask {entry.mask} {wrong}"))
            if set(count.pixels) == {IGNORE}:
                message = f"mask {entry.mask} holds ignored pixels alone"
                findings.append(Finding("warning", "content", message))
        except FsslibError as error:
            findings.append(Finding("problem", "mask", str(error)))
    shape = None if size is None else (size[0], size[1])
    measured = Measured(shape, count)
    return _Inspected(
        entry, measured, tuple(findings), image_mode, mask_mode, image_hash, mask_hash, orientation
    )


def _find_duplicates(inspected: list[_Inspected]) -> list[Finding]:
    """Photographs of equal bytes: a problem across the splits, a warning inside one."""
    groups: dict[str, list[Entry]] = {}
    for item in inspected:
        if item.image_hash is not None:
            groups.setdefault(item.image_hash, []).append(item.entry)
    findings = []
    for group in groups.values():
        if len(group) < 2:
            continue
        names = ", ".join(f"{e.image} ({e.split})" for e in group)
        if len({e.split for e in group}) > 1:
            why = "are one photograph in train and val, evaluation sees training images: drop one"
            findings.append(Finding("problem", "duplicate", f"{names} {why}"))
        else:
            findings.append(Finding("warning", "duplicate", f"{names} are one photograph"))
    return findings


def _official_numbers(report: CheckReport) -> list[Finding]:
    """Compare VOC's full validation set with the known numbers of its folds."""
    if report.dataset != "pascal" or report.listed.get("val") != OFFICIAL["val"]:
        return []
    findings = []
    for row in report.folds:
        found = (row.val_pairs, row.val_images)
        known = (OFFICIAL_PAIRS[row.fold], OFFICIAL_PAIR_IMAGES[row.fold])
        if found != known:
            findings.append(
                Finding(
                    "warning",
                    "numbers",
                    f"fold {row.fold} has {found[0]} (image, class) pairs in {found[1]} images, "
                    f"VOC val has {known[0]} in {known[1]}: check the masks of val",
                )
            )
    return findings


def _describe(
    root: Path, dataset: str | None, coco_folds: str
) -> tuple[str, dict[int, str], list[list[int]], str]:
    """Kind, classes, folds and their rule."""
    described = read_description(root)
    if dataset is None and described is None and (root / "manifest.json").is_file():
        made = load_manifest(root / "manifest.json")
        return made.dataset, dict(made.classes), [list(f) for f in made.folds], made.folds_rule
    kind = dataset or (described.dataset if described is not None else "pascal")
    return kind, *describe_dataset(kind, root, coco_folds)


def check_dataset(
    root: Path,
    dataset: str | None = None,
    coco_folds: str = "contiguous",
    processes: int = 1,
    on_progress: Callable[[int], None] | None = None,
) -> CheckReport:
    """Decode every photograph and mask under `root` and report all that is wrong.

    Args:
        root: VOC-layout folder.
        dataset: `pascal`, `coco` or `folder`; None takes it from `dataset.json` or the
            `manifest.json` of the embedded benchmark, else `pascal`.
        coco_folds: as in `scan.describe_dataset`.
        processes: that decode.
        on_progress: called with 1 after every listed image.

    Raises:
        FsslibError: `root` has no layout to check (a folder is missing), or its `dataset.json`
            contradicts `dataset`.
    """
    layout = find_layout(root)
    kind, classes, folds, rule = _describe(root, dataset, coco_folds)
    report = CheckReport(root, kind, rule)
    report.findings += [Finding("problem", "list or pair", p) for p in layout.problems]
    report.listed = dict(Counter(e.split for e in layout.entries))
    report.unlisted = len(layout.unlisted)
    try:
        check_classes(classes, folds)
    except FsslibError as error:
        report.findings.append(Finding("problem", "class or fold", str(error)))
        return report
    inspected = []
    for item in map_in_processes(_inspect, [(root, e) for e in layout.entries], processes):
        inspected.append(item)
        if on_progress is not None:
            on_progress(1)
    manifest = _collect(report, inspected, layout, classes, folds)
    report.classes, report.folds = class_rows(manifest), fold_rows(manifest)
    report.no_class = without_class(manifest.train)
    report.findings += _find_duplicates(inspected) + _official_numbers(report)
    return report


def _collect(
    report: CheckReport,
    inspected: list[_Inspected],
    layout: Layout,
    classes: dict[int, str],
    folds: list[list[int]],
) -> Manifest:
    """Fill the report from the inspected pairs; returns the manifest of the sound ones."""
    sound: dict[str, list[ImageRecord]] = {"train": [], "val": []}
    sizes = []
    for item in inspected:
        report.findings += item.findings
        report.hashes |= {item.entry.image: item.image_hash, item.entry.mask: item.mask_hash}
        report.image_modes.update([item.image_mode] if item.image_mode else [])
        report.mask_modes.update([item.mask_mode] if item.mask_mode else [])
        report.turned += item.orientation != 1
        if item.measured.image_size is not None:
            sizes.append(item.measured.image_size)
        wrong = [
            size_problem(item.entry, item.measured),
            class_problem(item.entry, item.measured, classes),
        ]
        found = [Finding("problem", "size or class id", w) for w in wrong if w is not None]
        report.findings += found
        if not found and item.measured.image_size is not None and item.measured.mask is not None:
            sound[item.entry.split].append(to_record(item.entry, item.measured))
    if sizes:
        sizes.sort(key=lambda s: (s[0] * s[1], s))
        report.sizes = (sizes[0], sizes[-1])
    return Manifest(
        dataset=report.dataset,
        folds_rule=report.folds_rule,
        root=layout.root,
        classes=classes,
        folds=tuple(tuple(f) for f in folds),
        train=tuple(sound["train"]),
        val=tuple(sound["val"]),
    )
