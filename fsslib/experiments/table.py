"""Tables of experiments beside the paper's numbers, as Markdown and as CSV."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fsslib.experiments.sweeps import Experiment

NOT_RUN = "not run"


@dataclass(frozen=True)
class Measured:
    """The numbers of an experiment: IoU in percent, None if nothing was measured.

    Attributes:
        folds: fold -> mIoU.
        mean: mean over the folds.
        std: standard deviation over the seeds.
        extras: column -> another number.
    """

    folds: Mapping[int, float | None]
    mean: float | None
    std: float | None
    extras: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """An experiment and its numbers.

    Attributes:
        experiment: see `Experiment`.
        measured: our numbers; None if the experiment has not been run.
        older_code: whether the numbers come from other code than the present one.
    """

    experiment: Experiment
    measured: Measured | None
    older_code: bool = False


@dataclass(frozen=True)
class Comparison:
    """A whole table.

    Attributes:
        name: name of the sweep.
        title: title without the quantity that is measured.
        what: the quantity that is measured, such as `1-shot mIoU`.
        folds: folds that have a column.
        rows: rows in order.
        departures: how the setting differs from the paper's; empty if numbers may be compared.
        extras: names of further columns.
    """

    name: str
    title: str
    what: str
    folds: Sequence[int]
    rows: Sequence[Row]
    departures: Sequence[str]
    extras: Sequence[str] = ()

    @property
    def published(self) -> bool:
        """Whether the paper gives a number for any row."""
        return any(row.experiment.published for row in self.rows)

    def notes(self) -> list[str]:
        """Return the sentences below the table that explain its marks."""
        found = []
        if self.published and self.departures:
            found.append(
                f"† Not the paper's setting: {'; '.join(self.departures)}. Its numbers cannot be "
                "compared with ours; the order of the rows can."
            )
        elif self.published:
            found.append("In brackets the paper's numbers: this is its setting.")
        if any(row.older_code for row in self.rows):
            found.append("\\* Run with other code than the present one.")
        if any(row.measured is None for row in self.rows):
            found.append(f"{NOT_RUN}: `fss sweep {self.name}` queues it.")
        return found


def comparison_markdown(table: Comparison) -> str:
    """Return title, table and notes.

    The columns are the folds, the mean, the deviation over seeds and the extras.
    """
    beside = table.published and bool(table.departures)
    head = ["", *(f"fold {f}" for f in table.folds), "mean", "± std", *table.extras]
    lines = [head + ["paper †"] * beside]
    lines.append(["---"] * len(lines[0]))
    for row in table.rows:
        cells = _cells(table, row)
        if beside:
            published = row.experiment.published
            cells.append("-" if published is None else f"{published.mean:.1f}")
        lines.append([row.experiment.label + "\\*" * row.older_code, *cells])
    text = "".join("| " + " | ".join(line) + " |\n" for line in lines)
    notes = "".join(f"\n{note}\n" for note in table.notes())
    return f"**{table.title}** ({table.what} in percent)\n\n{text}{notes}"


def comparison_csv(table: Comparison) -> str:
    """Return a row per experiment: our numbers, the paper's, and whether they may be compared."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    folds = [f"fold {f}" for f in table.folds]
    columns = [*folds, "mean", "std", *table.extras]
    theirs = [f"paper {c}" for c in (*folds, "mean", *table.extras)]
    writer.writerow(["experiment", "label", "status", *columns, *theirs, "paper's setting"])
    for row in table.rows:
        status = NOT_RUN if row.measured is None else "older code" if row.older_code else "done"
        names = [row.experiment.name, row.experiment.label, status]
        comparable = "no" if table.departures else "yes"
        published = [_number(v) for v in _published(table, row)]
        writer.writerow([*names, *map(_number, _ours(table, row)), *published, comparable])
    return stream.getvalue()


def _cells(table: Comparison, row: Row) -> list[str]:
    """Return our numbers, with the paper's in brackets if they may be compared."""
    if row.measured is None:
        folds = [""] * len(table.folds)
        return [*folds, NOT_RUN, "", *([""] * len(table.extras))]
    number, published = len(table.folds) + 1, _published(table, row)
    theirs = [*published[:number], None, *published[number:]]  # the paper has no deviation
    if table.departures:
        theirs = [None] * len(theirs)
    return [
        ("-" if ours is None else f"{ours:.2f}") + ("" if paper is None else f" ({paper:.1f})")
        for ours, paper in zip(_ours(table, row), theirs, strict=True)
    ]


def _ours(table: Comparison, row: Row) -> list[float | None]:
    """Return our folds, mean, deviation and extras."""
    found = row.measured
    if found is None:
        return [None] * (len(table.folds) + 2 + len(table.extras))
    extras = [found.extras.get(name) for name in table.extras]
    return [*(found.folds.get(f) for f in table.folds), found.mean, found.std, *extras]


def _published(table: Comparison, row: Row) -> list[float | None]:
    """Return the paper's folds, mean and extras."""
    known = row.experiment.published
    if known is None:
        return [None] * (len(table.folds) + 1 + len(table.extras))
    folds = dict(enumerate(known.folds))
    extras = [(known.extras or {}).get(name) for name in table.extras]
    return [*(folds.get(f) for f in table.folds), known.mean, *extras]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
