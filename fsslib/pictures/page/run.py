"""Reads what a run left for a fold; a missing part is None, and the page says so."""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fsslib.errors import FsslibError
from fsslib.files.storage import read_json

Curve = list[tuple[float, float]]
"""Step and value, in the order of the steps; steps without a finite value are left out."""

CURVES = (
    "loss", "episode", "pseudo", "episode_iou", "pseudo_accuracy", "base_accuracy", "agreement",
    "lr",
)  # fmt: skip
PICTURES = ("training", "clusters", "pseudo", "episodes")


@dataclass(frozen=True)
class FoldRun:
    """Results of one fold.

    Attributes:
        fold: number of the fold.
        metrics: what `evaluate` wrote; None if it has not run.
        clusters: what the sub-clusters consist of; None if `cluster` has not run.
        curves: name -> curve of training; only the curves that training has written.
        pictures: name -> content of the file; only the files that exist.
        ranked: number of episodes from which the pictures `best` and `worst` were picked; 0
            without these pictures.
    """

    fold: int
    metrics: Mapping[str, Any] | None
    clusters: Mapping[str, Any] | None
    curves: Mapping[str, Curve]
    pictures: Mapping[str, bytes]
    ranked: int = 0

    @property
    def empty(self) -> bool:
        """Whether nothing of the fold has run."""
        return not (self.metrics or self.clusters or self.curves or self.pictures)


def read_fold(fold: int, results: Path, curves: Path, cluster_report: Path) -> FoldRun:
    """Gather the existing results of a fold.

    Args:
        fold: number of the fold.
        results: folder of the fold's results, with metrics.json and the pictures.
        curves: folder of training's TSV files, one per curve.
        cluster_report: JSON file about the sub-clusters.

    Raises:
        FsslibError: a file exists but cannot be read.
    """
    files = {name: results / f"{name}.png" for name in PICTURES}
    return FoldRun(
        fold,
        _json(results / "metrics.json", f"run `fss evaluate --fold {fold}`"),
        _json(cluster_report, f"run `fss cluster --fold {fold}`"),
        {name: read_curve(p) for name in CURVES if (p := curves / f"{name}.tsv").is_file()},
        {name: path.read_bytes() for name, path in files.items() if path.is_file()},
    )


def read_curve(path: Path) -> Curve:
    """Return step and value of each line of a TSV file with one heading line.

    Raises:
        FsslibError: a line is not two numbers.
    """
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream, delimiter="\t"))[1:]
    try:
        points = [(float(step), float(value)) for step, value in rows]
    except ValueError:
        raise FsslibError(f"{path}: a line is not a step and a number: train anew") from None
    return [(step, value) for step, value in points if math.isfinite(value)]


def _json(path: Path, remedy: str) -> Mapping[str, Any] | None:
    found: Mapping[str, Any] | None = read_json(path, remedy) if path.is_file() else None
    return found
