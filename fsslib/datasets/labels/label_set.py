"""What a reader of annotations finds: photographs with shapes, names, and what it left out."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from fsslib.data.folds import BACKGROUND
from fsslib.datasets.labels.shapes import Shape
from fsslib.errors import FsslibError

LISTED = 3
"""Entries that a note names before it only counts."""


@dataclass(frozen=True)
class LabelledImage:
    """A photograph and its shapes.

    Attributes:
        image: path of the photograph.
        source: file that holds the annotation, for messages.
        height: px as annotated; None where the file does not say.
        width: likewise.
        shapes: none for a photograph that shows only background.
        split: `train` or `val` where the annotation says so.
    """

    image: Path
    source: Path
    height: int | None
    width: int | None
    shapes: tuple[Shape, ...]
    split: str | None = None


@dataclass
class LabelSet:
    """What was read.

    Attributes:
        kind: name of the format.
        images: in a fixed order.
        names: names of classes in the order of their ids, background and ignore excluded.
        left_out: what was not taken, by reason.
        fixed: labels with a fixed mask value, such as LabelMe's `__ignore__`.
    """

    kind: str
    images: list[LabelledImage]
    names: list[str]
    left_out: dict[str, list[str]] = field(default_factory=dict)
    fixed: dict[str, int] = field(default_factory=dict)

    def leave_out(self, reason: str, where: str) -> None:
        """Remember an entry that was not taken."""
        self.left_out.setdefault(reason, []).append(where)

    def used(self) -> set[str]:
        """Labels of shapes whose outline is known, those with a fixed value excluded.

        A label `background`, in any case, stands for mask value 0.

        Raises:
            FsslibError: a label that cannot be printed in one line.
        """
        found = {s.label for i in self.images for s in i.shapes if not s.vague}
        odd = sorted(label for label in found if not label.isprintable())
        if odd:
            raise FsslibError(f"label {odd[0]!r:.80} has control characters: rename it")
        self.fixed |= {label: BACKGROUND for label in found if label.lower() == "background"}
        return found - set(self.fixed)

    def notes(self) -> list[str]:
        """One line for each reason, with the number and the first entries."""
        return [noted(reason, entries) for reason, entries in self.left_out.items()]


def noted(reason: str, entries: Iterable[str]) -> str:
    """`3 shapes left out (2 points enclose no area): a, b, c`, counted and named."""
    found = list(entries)
    shown = ", ".join(found[:LISTED])
    more = f" and {len(found) - LISTED} more" if len(found) > LISTED else ""
    return f"{len(found)} left out ({reason}): {shown}{more}"


def doubles(names: Iterable[str]) -> list[str]:
    """Names that occur more than once, sorted."""
    return sorted(name for name, number in Counter(names).items() if number > 1)
