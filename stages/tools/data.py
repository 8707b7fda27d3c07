"""`fss data`: datasets from official archives and own files, and the check of any of them."""

import os
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from fsslib.data.manifest import Manifest
from fsslib.datasets.layout import count_listed
from fsslib.datasets.sources.check import CheckReport, check_dataset
from fsslib.datasets.sources.coco import prepare_coco
from fsslib.datasets.sources.folder import FolderOptions, prepare_folder
from fsslib.datasets.sources.pascal import prepare_pascal
from fsslib.datasets.sources.tables import MIN_PIXELS, ClassRow, FoldRow, class_rows, fold_rows
from fsslib.errors import FsslibError
from stages.support import paths
from stages.support.common import Bar, command, project_root, say
from stages.support.inputs import read_params
from stages.support.options import ManyValues

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Prepare and check datasets.",
)

SHOWN = 20
"""Findings of one kind that are printed without --all."""

Processes = Annotated[
    int, typer.Option(min=1, max=256, help="Processes that decode images and masks.")
]
Out = Annotated[Path, typer.Option(help="Folder to make; must not exist or be empty.")]
CPUS = min(8, os.cpu_count() or 1)


class Steps:
    """Progress of several steps, one bar after the other."""

    def __init__(self) -> None:
        self._what, self._done = "", 0
        self._bar: Bar | None = None

    def __enter__(self) -> "Steps":
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._bar.__exit__(*exc)

    def __call__(self, what: str, done: int, total: int | None) -> None:
        """Show that `done` of `total` units of `what` are done."""
        if what != self._what or self._bar is None:
            if self._bar is not None:
                self._bar.__exit__(None, None, None)
            self._what, self._done = what, 0
            self._bar = Bar(what[:1].upper() + what[1:], total or 0).__enter__()
        self._bar.advance(done - self._done)
        self._done = done


@app.command()
@command
def pascal(
    voc: Annotated[
        Path, typer.Option(help="VOCtrainval_11-May-2012.tar, or the folder unpacked from it.")
    ],
    out: Out,
    sbd: Annotated[
        Path | None,
        typer.Option(help="benchmark.tgz of SBD, or the folder unpacked from it; may be absent."),
    ] = None,
    processes: Processes = CPUS,
) -> None:
    """Make PASCAL-5i from the official archives: VOC 2012, and SBD merged into its train set.

    Train is VOC train and SBD without VOC val (10 582 images), val is VOC val (1 449); where both
    have an image, VOC's own mask is taken. An interrupted run goes on where it stopped.
    """
    with Steps() as steps:
        report, manifest = prepare_pascal(voc, sbd, out, processes, steps)
    print_tables(manifest)
    say(
        f"{out}: {report.train} training images ({report.from_voc} masks of VOC, "
        f"{report.from_sbd} of SBD, {report.both} in both), {report.val} validation images "
        f"({report.held_out} of them in SBD, held out of train)"
    )
    for note in report.notes:
        say(f"note: {note}")
    _next(out, "pascal")


@app.command(cls=ManyValues)
@command
def coco(
    images: Annotated[
        list[Path],
        typer.Option(help="Folder of photographs (train2014 val2014, or 2017)."),
    ],
    annotations: Annotated[list[Path], typer.Option(help="instances_*.json, one a split.")],
    out: Out,
    processes: Processes = CPUS,
) -> None:
    """Make COCO-20i from the official photographs and instance annotations.

    A pixel belongs to the smallest instance that covers it; crowds lie below all instances.
    Photographs are hard links, symbolic links or copies, the first that the disk allows.
    """
    with Steps() as steps:
        report, manifest = prepare_coco(images, annotations, out, processes, steps)
    print_tables(manifest)
    say(
        f"{out}: {report.train} training and {report.val} validation images, "
        f"{report.instances} instances, {report.crowds} crowds, {report.empty} images without any; "
        f"{report.turned} masks turned as their photographs' EXIF tag says"
    )
    _say_placed(report.placed)
    _next(out, "coco")


@app.command()
@command
def folder(
    images: Annotated[Path, typer.Option(help="Folder of photographs.")],
    masks: Annotated[Path, typer.Option(help="Folder of masks with the photographs' names.")],
    out: Out,
    classes: Annotated[
        Path | None,
        typer.Option(help="classes.yaml: names, colours, novel classes (see docs/data.md)."),
    ] = None,
    mask_suffix: Annotated[
        str, typer.Option(help="What mask names add to image names, such as _mask.")
    ] = "",
    exif: Annotated[
        str,
        typer.Option(help="Pixels that masks lie on: displayed (EXIF rotation applied) or stored."),
    ] = "displayed",
    train: Annotated[Path | None, typer.Option(help="List of training ids, with --val.")] = None,
    val: Annotated[Path | None, typer.Option(help="List of validation ids.")] = None,
    val_share: Annotated[
        float, typer.Option(min=0, max=1, help="Share drawn for validation without lists.")
    ] = 0.2,
    seed: Annotated[int, typer.Option(min=0, help="Of that draw.")] = 0,
    folds: Annotated[int | None, typer.Option(min=2, help="How many folds to make.")] = None,
    processes: Processes = CPUS,
) -> None:
    """Make a dataset from own photographs and index or colour masks.

    Classes are those of --classes, else every value or colour found. Classes too small for
    episodes are reported.
    """
    options = FolderOptions(mask_suffix, exif, val_share, seed, train, val, folds)
    with Steps() as steps:
        report, manifest = prepare_folder(images, masks, classes, out, options, processes, steps)
    print_tables(manifest)
    say(
        f"{out}: {report.train} training and {report.val} validation images with {report.masks} "
        f"masks; {report.unlabelled} photographs without a mask are left out (name their folder "
        f"in 'unlabeled:' to mine them); {report.turned} photographs have an EXIF rotation"
    )
    _say_placed(report.placed)
    _next(out, "folder")


@app.command()
@command
def check(
    root: Annotated[
        Path | None,
        typer.Argument(help="VOC-layout folder; without it, the dataset of params.yaml."),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(help="pascal, coco or folder; without it, what dataset.json says, or pascal."),
    ] = None,
    coco_folds: Annotated[str, typer.Option(help="contiguous or strided.")] = "contiguous",
    strict: Annotated[bool, typer.Option(help="Fail on warnings, too.")] = False,
    show_all: Annotated[
        bool, typer.Option("--all", help=f"Print every finding, not {SHOWN} of each kind.")
    ] = False,
    processes: Processes = CPUS,
) -> None:
    """Decode every listed photograph and mask and report all that is wrong, in one run.

    Prints per-class and per-fold tables. Exit code 1 when there is a problem.
    """
    if root is None:
        params = read_params()
        if params.dataset == "procedural":
            root = paths.PREPARE
        else:
            root, dataset = project_root() / str(params.data_root), params.dataset
            coco_folds = params.coco_folds
    with Bar("Checking", count_listed(root)) as bar:
        report = check_dataset(root, dataset, coco_folds, processes, bar.advance)
    print_report(report, None if show_all else SHOWN)
    problems = len(report.problems)
    warnings = len(report.findings) - problems
    if problems or (strict and warnings):
        raise FsslibError(f"{root}: {problems} problems, {warnings} warnings: see above")
    say(f"{root}: no problems, {warnings} warnings")


def _next(out: Path, dataset: str) -> None:
    say(f"next: set dataset: {dataset} and data_root: {out} in params.yaml")


def _say_placed(placed: dict[str, int]) -> None:
    say("photographs: " + ", ".join(f"{n} by {how}" for how, n in sorted(placed.items())))


def _console() -> Console:
    # Tables are for people and for logs: no terminal means wide enough, not 80 columns.
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


if __name__ == "__main__":
    app()
