"""Class names and folds of the benchmarks (section 4.1; partition of PANet)."""

from collections.abc import Sequence
from itertools import pairwise

PASCAL_CLASSES = [
    "aeroplane", "bicycle", "bird", "boat", "bottle",
    "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person",
    "pottedplant", "sheep", "sofa", "train", "tvmonitor",
]  # fmt: skip


COCO_CATEGORIES: dict[int, str] = {
    1: "person", 2: "bicycle", 3: "car", 4: "motorcycle", 5: "airplane", 6: "bus", 7: "train",
    8: "truck", 9: "boat", 10: "traffic light", 11: "fire hydrant", 13: "stop sign",
    14: "parking meter", 15: "bench", 16: "bird", 17: "cat", 18: "dog", 19: "horse", 20: "sheep",
    21: "cow", 22: "elephant", 23: "bear", 24: "zebra", 25: "giraffe", 27: "backpack",
    28: "umbrella", 31: "handbag", 32: "tie", 33: "suitcase", 34: "frisbee", 35: "skis",
    36: "snowboard", 37: "sports ball", 38: "kite", 39: "baseball bat", 40: "baseball glove",
    41: "skateboard", 42: "surfboard", 43: "tennis racket", 44: "bottle", 46: "wine glass",
    47: "cup", 48: "fork", 49: "knife", 50: "spoon", 51: "bowl", 52: "banana", 53: "apple",
    54: "sandwich", 55: "orange", 56: "broccoli", 57: "carrot", 58: "hot dog", 59: "pizza",
    60: "donut", 61: "cake", 62: "chair", 63: "couch", 64: "potted plant", 65: "bed",
    67: "dining table", 70: "toilet", 72: "tv", 73: "laptop", 74: "mouse", 75: "remote",
    76: "keyboard", 77: "cell phone", 78: "microwave", 79: "oven", 80: "toaster", 81: "sink",
    82: "refrigerator", 84: "book", 85: "clock", 86: "vase", 87: "scissors", 88: "teddy bear",
    89: "hair drier", 90: "toothbrush",
}  # fmt: skip
"""COCO's category ids (1 to 90 with gaps) -> names, in COCO's order."""

COCO_CLASSES = list(COCO_CATEGORIES.values())
"""The 80 names; entry i is class id i + 1 in this project's masks."""

IGNORE = 255
"""Mask value of pixels that count neither as a class nor as background."""

BACKGROUND = 0
"""Mask value of the background."""

MAX_CLASS_ID = 254
"""Largest class id that a mask can hold beside background and ignore."""


def contiguous_folds(class_ids: list[int], folds: int = 4) -> list[list[int]]:
    """Split classes into `folds` runs of equal length (PASCAL-5i; COCO-20i after PANet).

    Args:
        class_ids: class ids in the dataset's order; their number is a multiple of `folds`.
        folds: number of folds.
    """
    size, rest = divmod(len(class_ids), folds)
    if rest:
        raise ValueError(f"{len(class_ids)} classes do not split evenly into {folds} folds")
    return [class_ids[i * size : (i + 1) * size] for i in range(folds)]


def strided_folds(class_ids: list[int], folds: int = 4) -> list[list[int]]:
    """Put every `folds`-th class into the same fold (COCO-20i after HSNet and BAM)."""
    return [class_ids[i::folds] for i in range(folds)]


def balanced_folds(class_ids: Sequence[int], folds: int) -> list[list[int]]:
    """Split classes into runs whose lengths differ by at most one, longer runs first.

    The user's own datasets are split in this way.

    Args:
        class_ids: class ids in the dataset's order.
        folds: number of folds, from 1 to the number of classes.
    """
    if not 1 <= folds <= len(class_ids):
        raise ValueError(f"{len(class_ids)} classes do not fill {folds} folds")
    size, longer = divmod(len(class_ids), folds)
    starts = [i * size + min(i, longer) for i in range(folds + 1)]
    return [list(class_ids[a:b]) for a, b in pairwise(starts)]
