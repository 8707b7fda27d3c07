"""Options that take several values, which Typer does not know."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import typer
from typer.core import TyperCommand

from fsslib.datasets.labels.single import SUFFIXES, read_support_labels


class ManyValues(TyperCommand):
    """Lets an option that may be repeated take several values at once: `--images a b`."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Repeat the option's name before every further value, then parse as usual."""
        many = {o for p in self.params if getattr(p, "multiple", False) for o in p.opts}
        expanded: list[str] = []
        option, values = None, 0
        for arg in args:
            if arg.startswith("-"):
                option, values = (arg if arg in many else None), 0
            elif option is not None:
                if values:
                    expanded.append(option)
                values += 1
            expanded.append(arg)
        return super().parse_args(ctx, expanded)


def a_number(value: float | None) -> float | None:
    """The value, unless it is NaN, which passes the bounds of older releases of Typer.

    Raises:
        typer.BadParameter: it is.
    """
    if value is not None and math.isnan(value):
        raise typer.BadParameter("nan is not a number: give one within the range")
    return value


SUPPORT = "--support"
UNNAMED = "object"
"""Class of a support without a name."""


@dataclass(frozen=True)
class SupportOption:
    """One `--support [NAME] PHOTOGRAPH MASK`."""

    name: str
    photograph: Path
    mask: Path


class WithSupports(ManyValues):
    """A command with `--support [NAME] PHOTOGRAPH MASK`, two or three values each time."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Join the values of each `--support` into one, then parse as usual."""
        return super().parse_args(ctx, list(_joined(args)))


def _joined(args: list[str]) -> Iterator[str]:
    rest = [part for arg in args for part in _split_equals(arg)]
    while rest:
        arg = rest.pop(0)
        yield arg
        if arg == SUPPORT:
            values = []
            while rest and not rest[0].startswith("-"):
                values.append(rest.pop(0))
            yield json.dumps(values)


def _split_equals(arg: str) -> list[str]:
    """`--support=a` -> `--support a`; anything else as it is."""
    return [SUPPORT, arg.removeprefix(f"{SUPPORT}=")] if arg.startswith(f"{SUPPORT}=") else [arg]


def parse_support(joined: str) -> SupportOption:
    """The option of values that `WithSupports` joined.

    Raises:
        typer.BadParameter: another number of values than two or three.
    """
    values = json.loads(joined)
    if len(values) not in (2, 3):
        shown = " ".join(values) or "nothing"
        raise typer.BadParameter(
            f"got {len(values)} values ({shown}), expected [NAME] PHOTOGRAPH MASK: give --support "
            "once for each photograph"
        )
    name, photograph, mask = values if len(values) == 3 else (UNNAMED, *values)
    return SupportOption(name, Path(photograph), Path(mask))


def class_name(support: SupportOption) -> str:
    """The class of a support: NAME, or without it the only label of an annotation file.

    Raises:
        FsslibError: no NAME, and the file cannot be read or holds several labels.
    """
    if support.name != UNNAMED or support.mask.suffix.lower() not in SUFFIXES:
        return support.name
    return read_support_labels(support.mask, support.photograph).choose(None)
