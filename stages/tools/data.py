"""`fss data`: makes datasets from official archives and own files, and checks any of them."""

import os
from pathlib import Path
from typing import Annotated

import typer

from fsslib.datasets.labels.detect import FORMATS
from fsslib.datasets.layout import count_listed
from fsslib.datasets.sources.check import Finding, check_dataset
from fsslib.datasets.sources.coco import prepare_coco
from fsslib.datasets.sources.folder import FolderOptions, prepare_folder
from fsslib.datasets.sources.pascal import prepare_pascal
from fsslib.errors import FsslibError

from ..support import paths
from ..support.common import Bar, command, project_root, say
from ..support.data_report import SHOWN, print_report, print_tables, say_folder, say_placed
from ..support.inputs import read_params
from ..support.options import ManyValues
from ..support.outside import changed_since

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Prepare and check datasets.",
)

Processes = Annotated[
    int, typer.Option(min=1, max=256, help="Processes that decode images and masks.")
]
Out = Annotated[Path, typer.Option(help="Folder to make; must not exist or be empty.")]
CPUS = min(8, os.cpu_count() or 1)
KINDS = ", ".join(FORMATS)


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


@app.command(cls=ManyValues)
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
    train_list: Annotated[
        list[Path] | None,
        typer.Option(
            help="Training images instead of the merged list: plain ids, PFENet's or HSNet's "
            "lines; several files are joined. With --val-list."
        ),
    ] = None,
    val_list: Annotated[
        list[Path] | None, typer.Option(help="Validation images, likewise.")
    ] = None,
    ids: Annotated[
        Path | None,
        typer.Option(help="Both lists in one file, 'train ID' or 'val ID' a line."),
    ] = None,
    processes: Processes = CPUS,
) -> None:
    """Make PASCAL-5i from the official archives: VOC 2012, and SBD merged into its train set.

    Train is VOC train and SBD without VOC val (10 582 images), val is VOC val (1 449); where both
    have an image, VOC's own mask is taken. --train-list and --val-list make the splits of another
    repository instead, --ids those of a file such as data/voc-sample.txt. An interrupted run goes
    on where it stopped.
    """
    with Steps() as steps:
        report, manifest = prepare_pascal(
            voc, sbd, out, processes, steps, train_list or (), val_list or (), ids
        )
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
    say_placed(report.placed)
    _next(out, "coco")


Labels = Annotated[
    Path | None,
    typer.Option(
        help="Annotations: a folder of masks, of LabelMe or YOLO files, an export of CVAT or "
        "Roboflow, or a JSON file of COCO or Label Studio."
    ),
]
Masks = Annotated[
    Path | None,
    typer.Option(help="Folder of masks with the photographs' names, instead of --labels."),
]
Format = Annotated[
    str | None, typer.Option("--format", help=f"What --labels are, when not found out: {KINDS}.")
]
Name = Annotated[str | None, typer.Option(help="Name of the class where masks show only one.")]
Classes = Annotated[
    Path | None,
    typer.Option(help="classes.yaml: names, colours, novel classes (see docs/data.md)."),
]
ZeroIsClass = Annotated[
    bool, typer.Option(help="Index masks in which 0 is a class and 255 the background.")
]
MaskSuffix = Annotated[str, typer.Option(help="What mask names add to image names, such as _mask.")]
Exif = Annotated[
    str,
    typer.Option(help="Pixels under the labels: displayed (EXIF rotation applied) or stored."),
]
TrainList = Annotated[Path | None, typer.Option(help="List of training ids, with --val.")]
ValList = Annotated[Path | None, typer.Option(help="List of validation ids.")]
ValShare = Annotated[
    float, typer.Option(min=0, max=1, help="Share drawn for validation without lists.")
]


@app.command()
@command
def folder(
    images: Annotated[Path, typer.Option(help="Folder of photographs.")],
    out: Out,
    labels: Labels = None,
    masks: Masks = None,
    format_: Format = None,
    name: Name = None,
    classes: Classes = None,
    zero_is_class: ZeroIsClass = False,
    mask_suffix: MaskSuffix = "",
    exif: Exif = "displayed",
    train: TrainList = None,
    val: ValList = None,
    val_share: ValShare = 0.2,
    seed: Annotated[int, typer.Option(min=0, help="Seed of that draw.")] = 0,
    folds: Annotated[int | None, typer.Option(min=2, help="Number of folds to make.")] = None,
    processes: Processes = CPUS,
) -> None:
    """Make a dataset from own photographs and labels of any common format.

    fss data folder --images photos --labels labels --out data/mine

    The format is found out and said. Classes keep the names that the labels give them, unless
    --classes says otherwise. What is left out is counted and named. Writes a folder in VOC layout
    with dataset.json.
    """
    if (labels is None) == (masks is None):
        raise FsslibError("give --labels, or --masks for a folder of masks, and not both")
    if masks is not None and format_ is not None:
        raise FsslibError("--format goes with --labels: --masks are masks")
    options = FolderOptions(
        "masks" if masks is not None else format_, name, zero_is_class, mask_suffix, exif,
        val_share, seed, train, val, folds,
    )  # fmt: skip
    given = labels or masks
    assert given is not None
    with Steps() as steps:
        report, manifest = prepare_folder(images, given, classes, out, options, processes, steps)
    print_tables(manifest)
    say_folder(report, manifest, given, images, out)


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

    Prints per-class and per-fold tables. Names photographs and masks that changed since the last
    `dvc repro`, if the folder is data_root of params.yaml. Exit code 1 when there is a problem.
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
    told = changed_since(root, report.hashes)
    report.findings += [Finding("warning", "changed", text) for text in told]
    print_report(report, None if show_all else SHOWN)
    problems = len(report.problems)
    warnings = len(report.findings) - problems
    if problems or (strict and warnings):
        raise FsslibError(f"{root}: {problems} problems, {warnings} warnings: see above")
    say(f"{root}: no problems, {warnings} warnings")


def _next(out: Path, dataset: str) -> None:
    say(f"next: set dataset: {dataset} and data_root: {out} in params.yaml")


if __name__ == "__main__":
    app()
