"""Class names and folds of the benchmarks (section 4.1; partition of PANet)."""

PASCAL_CLASSES = (
    "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike "
    "person pottedplant sheep sofa train tvmonitor"
).split()

IGNORE = 255
"""Mask value of pixels that count neither as a class nor as background."""

BACKGROUND = 0
"""Mask value of the background."""


def contiguous_folds(class_ids: list[int], folds: int = 4) -> list[list[int]]:
    """Split classes into `folds` runs of equal length (PASCAL-5i; COCO-20i after PANet).

    Args:
        class_ids: in the dataset's order; their number is a multiple of `folds`.
        folds: how many.
    """
    size, rest = divmod(len(class_ids), folds)
    if rest:
        raise ValueError(f"{len(class_ids)} classes do not split evenly into {folds} folds")
    return [class_ids[i * size : (i + 1) * size] for i in range(folds)]


def strided_folds(class_ids: list[int], folds: int = 4) -> list[list[int]]:
    """Every `folds`-th class in one fold (COCO-20i after HSNet and BAM)."""
    return [class_ids[i::folds] for i in range(folds)]
