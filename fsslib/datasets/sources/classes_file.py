"""`classes.yaml` of an own dataset: names, ids, colours of colour masks, and folds.

```yaml
classes:
  1: cat                             # id: name, for index masks
  2: {name: dog, color: "#00ff00"}   # with its colour, for colour masks
background: "#000000"                # of colour masks; black unless given
ignore: "#e0e0c0"                    # of colour masks; VOC's cream unless given
novel:                               # the classes that each fold holds back, by name or id;
  - [cat]                            # without it the folds are made
  - [dog]
folds: 2                             # how many to make; 4, or one a class when there are fewer
```
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from fsslib.data.folds import BACKGROUND, IGNORE, MAX_CLASS_ID
from fsslib.errors import FsslibError

Color = tuple[int, int, int]
KEYS = ("classes", "background", "ignore", "novel", "folds")
BLACK: Color = (0, 0, 0)
CREAM: Color = (224, 224, 192)


@dataclass(frozen=True)
class ClassesFile:
    """What `classes.yaml` says.

    Attributes:
        classes: class id -> name.
        colors: colour -> mask value, background and ignore included; empty for index masks.
        novel: listed folds, or None.
        folds: how many folds to make, or None.
    """

    classes: Mapping[int, str]
    colors: Mapping[Color, int] = field(default_factory=dict)
    novel: tuple[tuple[int, ...], ...] | None = None
    folds: int | None = None


def parse_color(value: object, where: str) -> Color:
    """`"#00ff00"` or `[0, 255, 0]` as three ints of 0 to 255."""
    if isinstance(value, str) and re.fullmatch(r"#?[0-9a-fA-F]{6}", value):
        number = int(value.removeprefix("#"), 16)
        return (number >> 16, (number >> 8) & 255, number & 255)
    if isinstance(value, list) and len(value) == 3:
        red, green, blue = value
        if all(type(v) is int and 0 <= v <= 255 for v in value):
            return (red, green, blue)
    raise FsslibError(f"{where}: colour {value!r} is neither '#rrggbb' nor three of 0 to 255")


def _read(path: Path) -> dict[str, Any]:
    try:
        raw = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise FsslibError(f"{path} does not exist: give the file that names the classes") from None
    except (OSError, ValueError, RecursionError, YAMLError) as error:
        problem = " ".join(str(error).split())
        raise FsslibError(f"{path} is not readable YAML: {problem}") from None
    if not isinstance(raw, dict) or not raw.get("classes"):
        raise FsslibError(f"{path} names no classes: write 'classes:' with one 'id: name' a line")
    unknown = [key for key in raw if key not in KEYS]
    if unknown:
        raise FsslibError(f"{path}: unknown key {unknown[0]!r}: it may hold {', '.join(KEYS)}")
    return raw


def _parse_class(path: Path, class_id: object, value: object) -> tuple[int, str, Color | None]:
    where = f"{path}: classes: {class_id}"
    if type(class_id) is not int or not 1 <= class_id <= MAX_CLASS_ID:
        raise FsslibError(f"{where}: an id is a whole number of 1 to {MAX_CLASS_ID}")
    color = None
    if isinstance(value, dict):
        if not set(value) <= {"name", "color"} or "name" not in value:
            raise FsslibError(f"{where}: expected a name, or 'name' and 'color'")
        color = parse_color(value["color"], where) if "color" in value else None
        value = value["name"]
    if isinstance(value, (dict, list)) or value is None or not str(value).strip():
        raise FsslibError(f"{where}: {value!r} is not a name")
    return class_id, str(value).strip(), color


def _parse_colors(
    path: Path, raw: Mapping[str, Any], given: Mapping[int, Color | None]
) -> dict[Color, int]:
    if not any(given.values()):
        return {}
    bare = [c for c, color in given.items() if color is None]
    if bare:
        raise FsslibError(f"{path}: class {bare[0]} has no color, others have: give every one")
    colors: dict[Color, int] = {}
    extra = {
        BACKGROUND: parse_color(raw["background"], "background") if "background" in raw else BLACK,
        IGNORE: parse_color(raw["ignore"], "ignore") if "ignore" in raw else CREAM,
    }
    for value, color in [*given.items(), *extra.items()]:
        assert color is not None
        if color in colors and value in given:
            raise FsslibError(f"{path}: classes {colors[color]} and {value} have one colour")
        if color not in colors:
            colors[color] = value
        elif ("ignore" in raw and value == IGNORE) or ("background" in raw and value == BACKGROUND):
            raise FsslibError(f"{path}: background or ignore has the colour of {colors[color]}")
    return colors


def _parse_novel(
    path: Path, raw: object, classes: Mapping[int, str]
) -> tuple[tuple[int, ...], ...]:
    ids = {name: class_id for class_id, name in classes.items()}
    if not isinstance(raw, list) or not raw:
        raise FsslibError(f"{path}: novel: expected a list of classes a fold")
    listed = raw if all(isinstance(fold, list) for fold in raw) else [raw]
    folds = []
    for index, fold in enumerate(listed):
        found = []
        for name in fold:
            class_id = name if type(name) is int and name in classes else ids.get(str(name))
            if class_id is None or class_id in found:
                why = "is there twice" if class_id else "is no class"
                raise FsslibError(f"{path}: novel: fold {index}: {name!r} {why}: list each once")
            found.append(class_id)
        if not found or len(found) == len(classes):
            raise FsslibError(
                f"{path}: novel: fold {index} holds {len(found)} of {len(classes)} classes: "
                "leave at least one base and one novel class"
            )
        folds.append(tuple(found))
    return tuple(folds)


def read_classes_file(path: Path) -> ClassesFile:
    """Read `classes.yaml` (or JSON, which is YAML).

    Raises:
        FsslibError: the key and value at fault, in one line.
    """
    raw = _read(path)
    items = raw["classes"]
    if isinstance(items, list):
        items = dict(enumerate(items, start=1))
    if not isinstance(items, dict):
        raise FsslibError(f"{path}: classes: expected 'id: name' lines or a list of names")
    parsed = [_parse_class(path, class_id, value) for class_id, value in items.items()]
    classes = {class_id: name for class_id, name, _ in sorted(parsed, key=lambda p: p[0])}
    names = list(classes.values())
    twice = [n for n in names if names.count(n) > 1]
    if twice:
        raise FsslibError(f"{path}: classes: two are named {twice[0]!r}: rename one")
    folds = raw.get("folds")
    if folds is not None and (type(folds) is not int or not 2 <= folds <= len(classes)):
        raise FsslibError(f"{path}: folds: {folds!r} is not a number of 2 to {len(classes)}")
    if folds is not None and "novel" in raw:
        raise FsslibError(f"{path}: folds and novel exclude each other: remove one")
    return ClassesFile(
        classes=classes,
        colors=_parse_colors(path, raw, {c: color for c, _, color in sorted(parsed)}),
        novel=_parse_novel(path, raw["novel"], classes) if "novel" in raw else None,
        folds=folds,
    )
