"""Decides how the values of masks become classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from fsslib.data.folds import BACKGROUND, IGNORE, MAX_CLASS_ID
from fsslib.datasets.labels.mask_values import (
    ValueCounts,
    as_gray,
    binary_cut,
    binary_table,
    count_all,
    looks_turned,
    refuse_smooth,
    zero_is_class_table,
)
from fsslib.datasets.labels.pairing import one_class_name
from fsslib.datasets.labels.tool_masks import CVAT_FILE, ToolNames
from fsslib.datasets.sources.building import Progress
from fsslib.datasets.sources.classes_file import BLACK, CREAM, ClassesFile
from fsslib.datasets.sources.own_masks import Pair, as_int, is_colored
from fsslib.errors import FsslibError

AFTER_FOLDER = "after its folder (--name gives another)"
TURNED = "0 is taken as the first class (id 1), 255 as the background (--zero-is-class)"


@dataclass(frozen=True)
class MaskReading:
    """How raw values become mask values.

    Attributes:
        by_color: whether colours decide.
        table: raw value or colour -> mask value.
        named_in: file that defines the classes, for messages.
    """

    by_color: bool
    table: tuple[tuple[int, int], ...]
    named_in: str = "classes.yaml"


@dataclass(frozen=True)
class MaskOptions:
    """What the user says of masks; see `FolderOptions`."""

    suffix: str = ""
    exif: str = "displayed"
    name: str | None = None
    zero_is_class: bool = False


Decided = tuple[str, Mapping[int, str], MaskReading]
"""Kind of masks, class id -> name, and the reading."""


@dataclass
class Decision:
    """Decides on classes and values of masks.

    Attributes:
        options: what the user says.
        folders: of photographs and masks; they may name the only class.
        tool: names that came with the masks, or None.
        notes: what was decided, for people.
    """

    options: MaskOptions
    folders: tuple[Path, Path]
    tool: ToolNames | None = None
    notes: list[str] = field(default_factory=list)

    def decide(
        self,
        pairs: Sequence[Pair],
        classes: ClassesFile | None,
        processes: int,
        on_progress: Progress,
    ) -> Decided:
        """Read the masks' values and decide; arguments and errors as `Source.plan`."""
        if classes is not None:
            return self._named(pairs, classes, processes, on_progress)
        cvat = self.tool is not None and self.tool.file.name == CVAT_FILE  # it lists colours
        by_color = cvat or is_colored(pairs[0].mask)
        counts = count_all([p.mask for p in pairs], by_color, processes, on_progress)
        return self._found(counts, by_color)

    def _named(
        self,
        pairs: Sequence[Pair],
        file: ClassesFile,
        processes: int,
        on_progress: Progress,
    ) -> Decided:
        """Classes as the user's file says."""
        if self.options.name is not None:
            raise FsslibError("--name and --classes exclude each other: drop one")
        if file.colors:
            table = {as_int(color): value for color, value in file.colors.items()}
            return "colour", file.classes, MaskReading(True, tuple(table.items()))
        if len(file.classes) == 1 and not self.options.zero_is_class:
            by_color = is_colored(pairs[0].mask)
            counts = count_all([p.mask for p in pairs], by_color, processes, on_progress)
            binary = _binary(counts, by_color)
            if binary is not None:
                (number,) = file.classes
                table = {raw: number * value for raw, value in binary.table}
                return "binary", file.classes, replace(binary, table=tuple(table.items()))
        colored = next((p.mask for p in pairs if is_colored(p.mask)), None)
        if colored is not None:
            raise FsslibError(
                f"mask {colored} holds colours: give every class its color in --classes"
            )
        table = {v: v for v in (BACKGROUND, IGNORE, *file.classes)}
        if self.options.zero_is_class:
            self.notes.append(TURNED)
            turned = zero_is_class_table()
            table = {raw: value for raw, value in turned.items() if value in table}
        return "index", file.classes, MaskReading(False, tuple(table.items()))

    def _found(self, counts: ValueCounts, by_color: bool) -> Decided:
        """Classes as the values themselves, or the tool's file, say."""
        if self.tool is not None:
            return self._by_tool(counts, by_color, self.tool)
        binary = None if self.options.zero_is_class else _binary(counts, by_color)
        if binary is not None:
            name = self.options.name or one_class_name(*self.folders)
            smooth = len(counts.pixels) > 2
            self.notes.append(
                f"one class, called {name!r}"
                + ("" if self.options.name else f" {AFTER_FOLDER}")
                + (f"; {len(counts.pixels)} gray values of smoothed edges were cut at half"
                   if smooth else "")
            )  # fmt: skip
            return "binary", {1: name}, binary
        if by_color:
            refuse_smooth(counts, "colours")
            return self._by_color(counts)
        if not counts.palette:
            refuse_smooth(counts, "values")
        return self._by_index(counts)

    def _by_index(self, counts: ValueCounts) -> Decided:
        table: Mapping[int, int] = {v: v for v in range(IGNORE + 1)}
        if self.options.zero_is_class:
            table = zero_is_class_table()
            self.notes.append(TURNED)
        elif looks_turned(counts):
            self.notes.append(
                "warning: 255, which is ignored, covers "
                f"{100 * counts.pixels[IGNORE] / counts.pixels.total():.0f} % of the masks: if it "
                "is the background and 0 a class, say --zero-is-class"
            )
        undefined = sorted(set(counts.pixels) - set(table))
        if undefined:
            raise FsslibError(f"masks hold value {undefined[0]}, ids go up to {MAX_CLASS_ID}")
        present = sorted({table[v] for v in counts.pixels} - {BACKGROUND, IGNORE})
        if not present:
            raise FsslibError(
                f"the masks hold only {' and '.join(map(str, sorted(counts.pixels)))}, background "
                "and ignore: mark the classes' pixels by values of 1 to 254"
            )
        names = {i: f"class_{i}" for i in present}
        if self.options.name is not None:
            if len(present) > 1:
                raise FsslibError(
                    f"--name {self.options.name} names one class, the masks hold {len(present)}: "
                    "name them in --classes"
                )
            names = {present[0]: self.options.name}
        elif present == [1] and not self.options.zero_is_class:
            names = {1: one_class_name(*self.folders)}
            self.notes.append(f"one class, called {names[1]!r} {AFTER_FOLDER}")
        return "index", names, MaskReading(False, tuple(table.items()))

    def _by_color(self, counts: ValueCounts) -> Decided:
        """Every colour is a class, except black for background and VOC's cream for ignore."""
        fixed = {as_int(BLACK): BACKGROUND, as_int(CREAM): IGNORE}
        plain = sorted(set(counts.pixels) - set(fixed))
        if len(plain) > MAX_CLASS_ID:
            raise FsslibError(
                f"the masks hold more than {MAX_CLASS_ID} colours, as smoothed edges do: list the "
                "classes' colours in --classes"
            )
        if not plain:
            raise FsslibError("the masks hold no colour but background: mark the classes' pixels")
        ids = {raw: i for i, raw in enumerate(plain, start=1)}
        names = {i: f"#{raw:06x}" for raw, i in ids.items()}
        if self.options.name is not None and len(ids) == 1:
            names = {1: self.options.name}
        return "colour", names, MaskReading(True, tuple((ids | fixed).items()))

    def _by_tool(self, counts: ValueCounts, by_color: bool, tool: ToolNames) -> Decided:
        """Names of the tool's file for the values that are there."""
        used = [raw for raw in tool.names if counts.pixels[raw]]
        absent = [name for raw, name in tool.names.items() if not counts.pixels[raw]]
        if not used:
            raise FsslibError(f"the masks hold no value of {tool.file}: check both")
        if absent:
            shown = ", ".join(absent[:5]) + (", ..." if len(absent) > 5 else "")
            self.notes.append(f"{len(absent)} classes of {tool.file.name} have no pixel: {shown}")
        ids = {raw: i if by_color else raw for i, raw in enumerate(used, start=1)}
        names = {ids[raw]: tool.names[raw] for raw in used}
        table = {**tool.fixed, **ids}
        kind = "cvat" if tool.file.name == CVAT_FILE else "roboflow"
        return kind, names, MaskReading(by_color, tuple(table.items()), str(tool.file))


def _binary(counts: ValueCounts, by_color: bool) -> MaskReading | None:
    """A reading of one class, where the values are those of binary masks."""
    gray = as_gray(counts) if by_color else counts
    cut = None if gray is None else binary_cut(gray)
    if cut is None:
        return None
    return MaskReading(by_color, tuple(binary_table(cut, by_color).items()))
