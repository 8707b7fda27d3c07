"""What a manifest holds, by class and by fold: plain numbers for reports."""

from collections.abc import Sequence
from dataclasses import dataclass

from fsslib.data.folds import BACKGROUND, IGNORE
from fsslib.data.manifest import ImageRecord, Manifest

MIN_PIXELS = 2048
"""Smallest area (px) that counts as large: the rule of OSLSM's lists on VOC."""

MIN_TRAIN, MIN_VAL = 2, 6
"""A base class needs a support and a query, a novel class five supports and a query."""


@dataclass(frozen=True)
class ClassRow:
    """One class: images and pixels in both splits.

    Attributes:
        id: mask value.
        name: of the class.
        folds: those that hold it back.
        train_images: that hold at least one pixel of it.
        val_images: likewise.
        val_large: validation images with at least `MIN_PIXELS` px of it.
        train_pixels: in all.
        val_pixels: in all.
    """

    id: int
    name: str
    folds: tuple[int, ...]
    train_images: int
    val_images: int
    val_large: int
    train_pixels: int
    val_pixels: int

    @property
    def too_small(self) -> bool:
        """Whether episodes of this class cannot be drawn in training or evaluation."""
        return self.train_images < MIN_TRAIN or self.val_large < MIN_VAL


@dataclass(frozen=True)
class FoldRow:
    """One fold: what its training and evaluation can use.

    Attributes:
        fold: index.
        novel: names of the novel classes.
        labelled: training images with a base class.
        with_novel: of these, how many hold a novel class, unlabelled in their background.
        remaining: training images without any base class, used without labels at most.
        val_pairs: (image, novel class) pairs of val with at least `MIN_PIXELS` px.
        val_images: distinct images of those pairs.
    """

    fold: int
    novel: tuple[str, ...]
    labelled: int
    with_novel: int
    remaining: int
    val_pairs: int
    val_images: int


def _images(records: Sequence[ImageRecord], class_id: int, at_least: int = 1) -> int:
    return sum(r.pixels.get(class_id, 0) >= at_least for r in records)


def _pixels(records: Sequence[ImageRecord], class_id: int) -> int:
    return sum(r.pixels.get(class_id, 0) for r in records)


def class_rows(manifest: Manifest) -> list[ClassRow]:
    """One row a class, in id order of the manifest."""
    return [
        ClassRow(
            class_id,
            name,
            tuple(i for i, fold in enumerate(manifest.folds) if class_id in fold),
            _images(manifest.train, class_id),
            _images(manifest.val, class_id),
            _images(manifest.val, class_id, MIN_PIXELS),
            _pixels(manifest.train, class_id),
            _pixels(manifest.val, class_id),
        )
        for class_id, name in manifest.classes.items()
    ]


def fold_rows(manifest: Manifest) -> list[FoldRow]:
    """One row a fold."""
    rows = []
    for fold, novel in enumerate(manifest.folds):
        labelled = manifest.labelled(fold)
        large = [_images([r], c, MIN_PIXELS) for r in manifest.val for c in novel]
        per_image = [r.has_any(novel, MIN_PIXELS) for r in manifest.val]
        rows.append(
            FoldRow(
                fold,
                tuple(manifest.classes[c] for c in novel),
                len(labelled),
                sum(r.has_any(novel) for r in labelled),
                len(manifest.train) - len(labelled),
                sum(large),
                sum(per_image),
            )
        )
    return rows


def without_class(records: Sequence[ImageRecord]) -> int:
    """Images that hold background and ignored pixels alone."""
    return sum(set(r.pixels) <= {BACKGROUND, IGNORE} for r in records)
