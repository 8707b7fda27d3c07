"""Building a manifest from a VOC-layout folder; every mask is read once, every problem is named."""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from fsslib.data.folds import (
    BACKGROUND,
    COCO_CLASSES,
    IGNORE,
    MAX_CLASS_ID,
    PASCAL_CLASSES,
    contiguous_folds,
    strided_folds,
)
from fsslib.data.manifest import ImageRecord, Manifest
from fsslib.datasets.counting import Measured, load_cache, measure_pairs, save_cache
from fsslib.datasets.description import read_description
from fsslib.datasets.layout import SPLITS, Entry, find_layout
from fsslib.errors import FsslibError

COCO_FOLDS = {"contiguous": contiguous_folds, "strided": strided_folds}


def check_classes(classes: Mapping[int, str], folds: Sequence[Sequence[int]]) -> None:
    """Raise `FsslibError` unless ids are 1 to 254 and every fold has novel and base ids.

    A dataset with one class is accepted too. Its class is novel in every fold, so training on it is
    impossible.
    """
    for class_id, name in classes.items():
        if not 1 <= class_id <= MAX_CLASS_ID:
            raise FsslibError(
                f"class {name!r} has id {class_id}, expected 1 to {MAX_CLASS_ID} "
                "(0 is background, 255 ignore): give it another id"
            )
    if not folds:
        raise FsslibError("no fold is listed: list at least one with a novel and a base class")
    for index, fold in enumerate(folds):
        unknown = sorted(set(fold) - set(classes))
        if unknown:
            raise FsslibError(f"fold {index} names class {unknown[0]}, which has no name: add it")
        if not fold or 1 < len(classes) == len(set(fold)):
            raise FsslibError(
                f"fold {index} has {len(fold)} of {len(classes)} classes, a fold needs at least "
                "one novel and one base class: list the folds otherwise"
            )


def size_problem(entry: Entry, measured: Measured) -> str | None:
    """One line that says how photograph and mask differ in size, or None."""
    if measured.mask is None or measured.image_size is None:
        return None
    mask, (height, width) = measured.mask, measured.image_size
    if (mask.height, mask.width) == (height, width):
        return None
    sizes = (
        f"mask {entry.mask} is {mask.width}x{mask.height} px, its image {entry.image} is "
        f"{width}x{height} px"
    )
    if (mask.height, mask.width) == (width, height):
        return f"{sizes} with any EXIF rotation applied: rotate the mask or remove the EXIF tag"
    return f"{sizes}: replace one of them"


def class_problem(entry: Entry, measured: Measured, classes: Mapping[int, str]) -> str | None:
    """One line that names the undefined class ids of a mask, or None."""
    values = measured.mask.pixels if measured.mask is not None else {}
    unknown = [v for v in values if v not in classes and v not in (BACKGROUND, IGNORE)]
    if not unknown:
        return None
    ids = f"class id {unknown[0]}" if len(unknown) == 1 else f"class ids {_ranges(unknown)}"
    return (
        f"mask {entry.mask} holds {ids}, defined are {_ranges(classes)}: name the class or "
        "correct the mask"
    )


def record_problem(entry: Entry, measured: Measured, classes: Mapping[int, str]) -> str | None:
    """One line that describes the problem of a measured pair, or None."""
    if measured.problem is not None:
        return measured.problem
    return size_problem(entry, measured) or class_problem(entry, measured, classes)


def _ranges(ids: Iterable[int]) -> str:
    """Format ids as ranges: `1-20` for 1 to 20, `1-3, 7` for 1, 2, 3, 7."""
    runs: list[list[int]] = []
    for i in sorted(ids):
        if runs and i == runs[-1][-1] + 1:
            runs[-1].append(i)
        else:
            runs.append([i])
    return ", ".join(str(r[0]) if len(r) == 1 else f"{r[0]}-{r[-1]}" for r in runs)


def to_record(entry: Entry, measured: Measured) -> ImageRecord:
    """Make the manifest's record of a pair that has no problem."""
    assert entry.image is not None
    assert entry.mask is not None
    assert measured.mask is not None
    mask = measured.mask
    return ImageRecord(entry.id, entry.image, entry.mask, mask.height, mask.width, mask.pixels)


def scan_voc(
    root: Path,
    dataset: str,
    classes: Mapping[int, str],
    folds: Sequence[Sequence[int]],
    folds_rule: str,
    processes: int = 1,
    on_progress: Callable[[int], None] | None = None,
    cache: Path | None = None,
    splits: Sequence[str] = SPLITS,
) -> Manifest:
    """Build the manifest of a VOC-layout folder.

    Sizes of photographs come from their headers. Masks are decoded once, and their counts are
    cached by content in `cache`, also when the scan is interrupted.

    Args:
        root: folder with `JPEGImages`, `SegmentationClass` (or `SegmentationClassAug`) and
            `ImageSets/{train,val}.txt` (or `ImageSets/Segmentation/`).
        dataset: name for the manifest.
        classes: class id (1 to 254) -> name.
        folds: novel class ids of each fold.
        folds_rule: how the folds were made.
        processes: number of processes that read masks.
        on_progress: called with 1 after every image (`layout.count_listed` gives the total).
        cache: file that caches counts; None for no cache.
        splits: splits to read; files of the others are not opened, and they have no records.

    Raises:
        FsslibError: the first problem by id, with the number of other problems.
    """
    check_classes(classes, folds)
    layout = find_layout(root)
    if layout.problems:
        raise _first(list(layout.problems), root)
    problems: list[str] = []
    records: dict[str, list[ImageRecord]] = {"train": [], "val": []}
    entries = tuple(e for e in layout.entries if e.split in splits)
    with closing(_measured(root, entries, processes, cache)) as found:
        for entry, measured in found:
            problem = record_problem(entry, measured, classes)
            if problem is not None:
                problems.append(problem)
            else:
                records[entry.split].append(to_record(entry, measured))
            if on_progress is not None:
                on_progress(1)
    if problems:
        raise _first(problems, root)
    return Manifest(
        dataset=dataset,
        folds_rule=folds_rule,
        root=root,
        classes=dict(classes),
        folds=tuple(tuple(fold) for fold in folds),
        train=tuple(records["train"]),
        val=tuple(records["val"]),
    )


def _measured(
    root: Path, entries: Sequence[Entry], processes: int, cache: Path | None
) -> Generator[tuple[Entry, Measured], None, None]:
    """Yield each entry with its measurements; new counts are always cached, also after an error."""
    known, fresh = load_cache(cache), {}
    pairs = [(root / (e.image or ""), root / (e.mask or "")) for e in entries]
    try:
        for entry, measured in zip(entries, measure_pairs(pairs, known, processes), strict=True):
            if measured.mask is not None and measured.digest not in known:
                fresh[measured.digest] = measured.mask
            yield entry, measured
    finally:
        if cache is not None and fresh:
            save_cache(cache, known | fresh)


def _first(problems: list[str], root: Path) -> FsslibError:
    rest = len(problems) - 1
    more = f" ({rest} more problems: 'fss data check {root}' lists them)" if rest else ""
    return FsslibError(problems[0] + more)


def describe_dataset(
    dataset: str, root: Path, coco_folds: str = "contiguous"
) -> tuple[dict[int, str], list[list[int]], str]:
    """Return the classes, the folds and the fold rule of a dataset.

    Args:
        dataset: `pascal`, `coco` or `folder`.
        root: folder of the dataset. A `dataset.json` in it must name the same dataset; it is
            required for `folder`.
        coco_folds: `contiguous` (PANet, the paper) or `strided` (HSNet, BAM).

    Raises:
        FsslibError: the dataset or the rule is unknown, or the folder holds another dataset.
    """
    if dataset not in ("pascal", "coco", "folder"):
        raise FsslibError(f"dataset {dataset!r} is not one of pascal, coco, folder")
    found = read_description(root, required=dataset == "folder")
    if found is not None and found.dataset != dataset:
        raise FsslibError(
            f"{root} holds the dataset {found.dataset!r}, not {dataset!r}: "
            f"set dataset to {found.dataset}"
        )
    if dataset == "folder":
        assert found is not None
        return dict(found.classes), [list(f) for f in found.folds], found.folds_rule
    if dataset == "pascal":
        classes = dict(enumerate(PASCAL_CLASSES, start=1))
        return classes, contiguous_folds(list(classes)), "contiguous"
    if coco_folds not in COCO_FOLDS:
        raise FsslibError(f"coco_folds: {coco_folds!r} is not one of {', '.join(COCO_FOLDS)}")
    classes = dict(enumerate(COCO_CLASSES, start=1))
    return classes, COCO_FOLDS[coco_folds](list(classes)), coco_folds


def load_dataset(
    dataset: str,
    root: Path,
    processes: int = 1,
    on_progress: Callable[[int], None] | None = None,
    cache: Path | None = None,
    coco_folds: str = "contiguous",
    splits: Sequence[str] = SPLITS,
) -> Manifest:
    """Build the manifest of a prepared dataset.

    See `describe_dataset` for `dataset`, `root` and `coco_folds`, and `scan_voc` for the other
    arguments. Errors are those of both functions.
    """
    classes, folds, rule = describe_dataset(dataset, root, coco_folds)
    return scan_voc(root, dataset, classes, folds, rule, processes, on_progress, cache, splits)
