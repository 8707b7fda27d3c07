"""Names and colours that come with masks of annotation tools: CVAT and Roboflow."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fsslib.data.folds import BACKGROUND, IGNORE, MAX_CLASS_ID
from fsslib.datasets.labels.label_set import doubles
from fsslib.datasets.sources.classes_file import BLACK, CREAM, Color
from fsslib.errors import FsslibError

ROBOFLOW_FILE = "_classes.csv"
ROBOFLOW_SUFFIX = "_mask"
CVAT_FILE = "labelmap.txt"
CVAT_FOLDER = "SegmentationClass"


@dataclass(frozen=True)
class ToolNames:
    """Names of mask values or colours.

    Attributes:
        file: that gives them.
        names: raw value, or `red << 16 | green << 8 | blue`, -> name of a class.
        fixed: raw value or colour -> mask value of background and ignore.
    """

    file: Path
    names: Mapping[int, str]
    fixed: Mapping[int, int] = field(default_factory=dict)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise FsslibError(f"{path} cannot be read ({error}): export it again") from None


def read_roboflow(path: Path) -> ToolNames:
    """Read `_classes.csv`: a header, then `value, name` a line.

    Raises:
        FsslibError: unreadable, a value beyond 254, or a double.
    """
    names, fixed = {}, {BACKGROUND: BACKGROUND, IGNORE: IGNORE}
    for number, row in enumerate(csv.reader(io.StringIO(_text(path))), start=1):
        cells = [cell.strip() for cell in row]
        if number == 1 or not any(cells):
            continue
        if len(cells) < 2 or not cells[0].isdigit() or int(cells[0]) > IGNORE or not cells[1]:
            raise FsslibError(f"{path}:{number} is no line 'value, name': correct it")
        value = int(cells[0])
        if cells[1].lower() == "background":
            fixed[value] = BACKGROUND
        elif value in names or not BACKGROUND < value <= MAX_CLASS_ID:
            raise FsslibError(
                f"{path}:{number} names value {value}, which is named already or not in 1 to "
                f"{MAX_CLASS_ID}: correct it"
            )
        else:
            names[value] = cells[1]
    return _checked(ToolNames(path, names, {v: m for v, m in fixed.items() if v not in names}))


def read_labelmap(path: Path) -> ToolNames:
    """Read CVAT's `labelmap.txt`: `name:red,green,blue:parts:actions` a line, `#` for comments.

    VOC's cream stands for ignored pixels where no class has it.

    Raises:
        FsslibError: unreadable, a malformed line, or a double.
    """
    names: dict[int, str] = {}
    fixed = {_number(BLACK): BACKGROUND, _number(CREAM): IGNORE}
    for number, line in enumerate(_text(path).splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        parts = line.split(":")
        try:
            red, green, blue = (int(v) for v in parts[1].split(","))
            if not all(0 <= v <= 255 for v in (red, green, blue)) or not parts[0].strip():
                raise ValueError(line)
        except (IndexError, ValueError):
            raise FsslibError(
                f"{path}:{number} is no line 'name:red,green,blue:parts:actions': correct it"
            ) from None
        color, name = _number((red, green, blue)), parts[0].strip()
        if name.lower() == "background":
            fixed[color] = BACKGROUND
        elif color in names:
            raise FsslibError(f"{path}:{number}: {names[color]} has this colour already: change it")
        else:
            names[color] = name
    return _checked(ToolNames(path, names, {c: m for c, m in fixed.items() if c not in names}))


def _checked(found: ToolNames) -> ToolNames:
    twice = doubles(found.names.values())
    if twice:
        raise FsslibError(f"{found.file}: two classes are named {twice[0]!r}: rename one")
    if not found.names:
        raise FsslibError(f"{found.file} names no class: add one a line")
    return found


def _number(color: Color) -> int:
    return color[0] << 16 | color[1] << 8 | color[2]
