"""What a preparation needs of annotations, whatever their format."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from fsslib.data.folds import BACKGROUND, IGNORE
from fsslib.data.images import UInt8
from fsslib.datasets.sources.building import Progress
from fsslib.datasets.sources.classes_file import ClassesFile
from fsslib.datasets.sources.tables import MIN_PIXELS


@dataclass(frozen=True)
class Converted:
    """What converting one annotation found.

    Attributes:
        turned: whether the photograph has an EXIF rotation.
        empty: shapes that cover no pixel.
        large: classes with enough pixels to be scored.
    """

    turned: bool
    empty: tuple[str, ...] = ()
    large: tuple[int, ...] = ()


def large_classes(mask: UInt8) -> tuple[int, ...]:
    """Classes of a mask with at least `MIN_PIXELS`, ascending."""
    counts = np.bincount(mask.ravel(), minlength=IGNORE + 1)
    return tuple(c for c in range(BACKGROUND + 1, IGNORE) if counts[c] >= MIN_PIXELS)


class Job(Protocol):
    """One mask to write, in a process of its own."""

    def __call__(self) -> Converted:
        """Write it."""


@dataclass(frozen=True)
class Plan:
    """How annotations become masks.

    Attributes:
        kind: what was found, for people: `index`, `colour`, `binary`, `labelme`, ...
        classes: class id -> name.
        job: image id and target file -> the job that writes the mask.
        notes: what was left out or decided, one line each.
        key: stands for the reading of values; masks of another reading are made again.
    """

    kind: str
    classes: Mapping[int, str]
    job: Callable[[str, Path], Job]
    notes: Sequence[str] = ()
    key: str = ""


@dataclass
class Listing:
    """Photographs with annotations.

    Attributes:
        images: image id -> photograph, in sorted order.
        unlabelled: photographs without an annotation.
        splits: image id -> `train` or `val`, where the annotations say so.
        files: of the annotations; a change of one starts an interrupted preparation anew.
    """

    images: dict[str, Path]
    unlabelled: list[Path]
    splits: dict[str, str] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)


class Source(Protocol):
    """Annotations of one format."""

    listing: Listing

    def plan(
        self,
        used: Sequence[str],
        classes: ClassesFile | None,
        processes: int,
        on_progress: Progress,
    ) -> Plan:
        """Decide on classes and values.

        Args:
            used: image ids of both splits.
            classes: of the user's `classes.yaml`, or None.
            processes: that read masks.
            on_progress: see `building.Progress`.

        Raises:
            FsslibError: annotations that say nothing clear.
        """
