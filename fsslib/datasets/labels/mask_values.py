"""What the values of masks mean: class ids, colours, or one class on a background."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fsslib.data.folds import BACKGROUND, IGNORE
from fsslib.datasets.counting import map_in_processes
from fsslib.datasets.sources.building import Progress
from fsslib.datasets.sources.own_masks import read_any_mask
from fsslib.errors import FsslibError

MANY = 8
"""Values without an area from which on they count as smoothed edges."""

FILLS = 0.1
"""Share of a value's pixels whose four neighbours have the same value, from which on it fills an
area. Objects reach 0.5 and more, the values of a smoothed edge hardly any."""

GRAY = 0x010101
"""Factor between a gray value and its colour."""


@dataclass
class ValueCounts:
    """Pixels of each value in masks.

    Attributes:
        pixels: value -> pixels.
        inner: value -> pixels whose four neighbours have the value, too.
        palette: whether a mask is stored with a palette, so that values are no brightness.
        touching: whether background 0 lies beside 255 anywhere.
    """

    pixels: Counter[int] = field(default_factory=Counter)
    inner: Counter[int] = field(default_factory=Counter)
    palette: bool = False
    touching: bool = False

    def add(self, other: "ValueCounts") -> None:
        """Add those of another mask."""
        self.pixels += other.pixels
        self.inner += other.inner
        self.palette |= other.palette
        self.touching |= other.touching

    def fills(self, value: int) -> bool:
        """Whether a value fills areas."""
        return self.inner[value] > FILLS * self.pixels[value]

    def thin(self) -> list[int]:
        """Values that fill no area, ascending."""
        return sorted(v for v in self.pixels if not self.fills(v))


def count_values(task: tuple[Path, bool]) -> ValueCounts:
    """Count the values of one mask; the task is its path and whether colours decide."""
    path, by_color = task
    values = read_any_mask(path, by_color)
    return ValueCounts(
        _counted(values),
        _counted(values[1:-1, 1:-1][_same(values)]),
        not by_color and _has_palette(path),
        not by_color and _beside(values, BACKGROUND, IGNORE),
    )


def count_all(
    paths: Sequence[Path], by_color: bool, processes: int, on_progress: Progress
) -> ValueCounts:
    """Count the values of all masks.

    Raises:
        FsslibError: an unreadable mask, or more than 4096 colours, as photographs have.
    """
    found = ValueCounts()
    tasks = [(path, by_color) for path in paths]
    for done, part in enumerate(map_in_processes(count_values, tasks, processes), start=1):
        found.add(part)
        on_progress("masks searched for classes", done, len(tasks))
        if len(found.pixels) > 4096:
            raise FsslibError(
                f"the masks up to {paths[done - 1]} hold more than 4096 colours, as photographs "
                "do: give a folder of masks, or list the classes' colours in --classes"
            )
    return found


def as_gray(counts: ValueCounts) -> ValueCounts | None:
    """Counts of colours as counts of gray values, or None where a colour is not gray."""
    if any(color % GRAY for color in counts.pixels):
        return None
    return ValueCounts(
        Counter({color // GRAY: n for color, n in counts.pixels.items()}),
        Counter({color // GRAY: n for color, n in counts.inner.items()}),
    )


def binary_cut(counts: ValueCounts) -> int | None:
    """From which value on masks of one class show it, or None where they are no such masks.

    Masks of 0 and 255 are, and so are gray ones in which only 0 and one bright value fill areas
    and the values between are those of smoothed edges. These are cut at half.
    """
    values = set(counts.pixels)
    top = max(values)
    if values <= {0, 255} and top == 255:
        return 128
    filling = {value for value in values if counts.fills(value)}
    smooth = len(values) - len(filling) >= MANY and filling <= {0, top} and top in filling
    return (top + 1) // 2 if smooth and top >= 128 and not counts.palette else None


def refuse_smooth(counts: ValueCounts, what: str) -> None:
    """Raise where many values fill no area: the edges of several classes were smoothed.

    Raises:
        FsslibError: they do.
    """
    thin = counts.thin()
    if len(thin) >= MANY and sum(map(counts.fills, counts.pixels)) >= 1:
        raise FsslibError(
            f"{len(thin)} of the masks' {len(counts.pixels)} {what} fill no area, as smoothed "
            "edges do: save the masks without anti-aliasing, or list the classes in --classes"
        )


def looks_turned(counts: ValueCounts) -> bool:
    """Whether 255 looks like the background and 0 like a class, as after `reduce_zero_label`."""
    if not counts.pixels[IGNORE]:
        return False
    most = 2 * counts.pixels[IGNORE] > counts.pixels.total()
    return most or not counts.touching


def _counted(values: npt.NDArray[np.int32]) -> Counter[int]:
    found, numbers = np.unique(values, return_counts=True)
    return Counter(dict(zip(found.tolist(), numbers.tolist(), strict=True)))


def _same(values: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Where the four neighbours are alike, of the pixels inside the border."""
    middle = values[1:-1, 1:-1]
    same: npt.NDArray[np.bool_] = (
        (values[:-2, 1:-1] == middle)
        & (values[2:, 1:-1] == middle)
        & (values[1:-1, :-2] == middle)
        & (values[1:-1, 2:] == middle)
    )
    return same


def _beside(values: npt.NDArray[np.int32], one: int, other: int) -> bool:
    """Whether two values lie side by side."""
    for a, b in ((values[:, 1:], values[:, :-1]), (values[1:], values[:-1])):
        if (((a == one) & (b == other)) | ((a == other) & (b == one))).any():
            return True
    return False


def _has_palette(path: Path) -> bool:
    from fsslib.data.images import open_mask

    with open_mask(path) as image:
        return image.mode == "P"


Table = Mapping[int, int]


def binary_table(cut: int, by_color: bool) -> Table:
    """Raw value -> 1 from `cut` on, else 0; of gray colours where masks are stored as colours."""
    return {v * (GRAY if by_color else 1): int(v >= cut) for v in range(256)}


def zero_is_class_table() -> Table:
    """Raw value -> class id where 0 is the first class and 255 the background."""
    return {**{v: v + 1 for v in range(IGNORE - 1)}, IGNORE: BACKGROUND}
