"""What `fss data` prints: tables of classes and folds, findings, and what a preparation did."""

import sys
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table

from fsslib.data.manifest import Manifest
from fsslib.data.unread import describe_unread, unread_files
from fsslib.datasets.sources.check import CheckReport
from fsslib.datasets.sources.folder import FolderReport
from fsslib.datasets.sources.tables import MIN_PIXELS, ClassRow, FoldRow, class_rows, fold_rows

from .common import say

SHOWN = 20
"""Number of findings of one kind that are printed without --all."""


def say_placed(placed: dict[str, int]) -> None:
    """Say how photographs were brought in."""
    say("photographs: " + ", ".join(f"{n} by {how}" for how, n in sorted(placed.items())))


def say_folder(
    report: FolderReport, manifest: Manifest, labels: Path, images: Path, out: Path
) -> None:
    """Say what `fss data folder` found and made, and what comes next."""
    names = list(manifest.classes.values())
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    say(f"{labels}: {KIND_NAMES.get(report.masks, report.masks)}, classes: {shown}")
    for note in report.notes:
        say(note if note.startswith("warning") else f"note: {note}")
    say(
        f"{out}: {report.train} training and {report.val} validation images; "
        f"{report.unlabelled} photographs without a label are left out (name their folder "
        f"in 'unlabeled:' to mine them); {report.turned} photographs have an EXIF rotation"
    )
    say_placed(report.placed)
    unread = unread_files(images, LABEL_SUFFIXES.get(report.masks, ()), below=True)
    if unread:
        say(describe_unread(unread))
    if len(names) == 1:
        say(
            "next: one class is enough for 'fss predict --support PHOTO LABEL'; training needs "
            "two classes or more"
        )
    else:
        say(
            f"next: 'fss preset own-photographs --data-root {out}' writes settings for it into "
            "params.yaml, then 'dvc repro'"
        )


LABEL_SUFFIXES = {
    "labelme": (".json",), "coco": (".json",), "label-studio": (".json",),
    "yolo": (".txt", ".yaml", ".yml"), "cvat": (".txt",), "roboflow": (".csv",),
}  # fmt: skip
"""Of label files that may lie among the photographs."""

KIND_NAMES = {
    "index": "index masks", "colour": "colour masks", "binary": "binary masks",
    "labelme": "LabelMe", "coco": "COCO JSON", "label-studio": "Label Studio JSON",
    "yolo": "YOLO segmentation", "cvat": "CVAT segmentation masks", "roboflow": "Roboflow masks",
}  # fmt: skip
"""Kinds of labels as people call them."""


def _console() -> Console:
    # Without a terminal (a log, a file), rich would cut the tables to 80 columns.
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else 120, highlight=False)


def print_tables(manifest: Manifest) -> None:
    """Print the per-class and per-fold tables of a manifest."""
    _print_rows(class_rows(manifest), fold_rows(manifest), manifest.folds_rule)


def _print_rows(classes: list[ClassRow], folds: list[FoldRow], rule: str) -> None:
    console = _console()
    table = Table(title="Classes")
    for name in ("id", "class", "fold", "train images", "train px", "val images",
                 f"val >= {MIN_PIXELS} px", "val px", ""):  # fmt: skip
        table.add_column(name, justify="left" if name in ("class", "") else "right")
    for c in classes:
        table.add_row(
            str(c.id), c.name, ", ".join(map(str, c.folds)), str(c.train_images),
            str(c.train_pixels), str(c.val_images), str(c.val_large), str(c.val_pixels),
            "too small" if c.too_small else "",
        )  # fmt: skip
    console.print(table)
    table = Table(title=f"Folds ({rule})")
    for name in ("fold", "novel classes", "labelled train", "with novel class", "remaining",
                 "val pairs", "val images"):  # fmt: skip
        table.add_column(name, justify="left" if name == "novel classes" else "right")
    for f in folds:
        table.add_row(
            str(f.fold), ", ".join(f.novel), str(f.labelled), str(f.with_novel),
            str(f.remaining), str(f.val_pairs), str(f.val_images),
        )  # fmt: skip
    console.print(table)


def print_report(report: CheckReport, limit: int | None) -> None:
    """Print what a check found."""
    _print_rows(report.classes, report.folds, report.folds_rule)
    print(f"dataset: {report.dataset} at {report.root}")
    print("listed: " + ", ".join(f"{n} {split}" for split, n in report.listed.items()))
    print("photographs: " + _modes(report.image_modes))
    print("masks: " + _modes(report.mask_modes))
    if report.sizes is not None:
        (h, w), (tall, wide) = report.sizes
        print(f"sizes: {w}x{h} to {wide}x{tall} px")
    print(f"with an EXIF rotation: {report.turned}")
    print(f"training images without any class: {report.no_class}")
    print(f"files that no list names: {report.unlisted}")
    small = [c.name for c in report.classes if c.too_small]
    if small:
        print(f"too small for five-shot episodes: {', '.join(small)}")
    for (level, kind), number in sorted(report.counts().items()):
        plural = "" if number == 1 else "s"
        print(f"{number} {level}{plural}: {kind}")
        found = [f.message for f in report.findings if (f.level, f.kind) == (level, kind)]
        for message in found[:limit]:
            print(f"  {message}")
        if limit is not None and number > limit:
            print(f"  and {number - limit} more: --all prints them")


def _modes(modes: Counter[str]) -> str:
    return ", ".join(f"{n} {mode}" for mode, n in modes.most_common()) or "none"
