"""The paper's ablations and our sweeps as lists of named changes to the params."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fsslib.errors import FsslibError
from fsslib.experiments import paper
from fsslib.experiments.paper import Published

PLAIN = {"mine": False, "rectify_fg": False, "rectify_bg": False, "ema": False}
FULL = {"mine": True, "rectify_fg": True, "rectify_bg": True, "ema": True}
"""Settings with every switch of the method off (PLAIN, the paper's baseline) and on (FULL)."""


@dataclass(frozen=True)
class Experiment:
    """One row of a table.

    Attributes:
        name: name of the experiment in DVC, the same every time.
        label: label of the row.
        changes: top-level key of `params.yaml` -> value that replaces the one in the file.
        published: the paper's row, if it has one.
    """

    name: str
    label: str
    changes: Mapping[str, Any]
    published: Published | None = None


@dataclass(frozen=True)
class Sweep:
    """Experiments that belong together.

    Attributes:
        name: name as the user gives it.
        title: title on one line.
        experiments: rows in the table's order.
        timed: whether the rows are compared by time; they must then not run in parallel.
        shots: number of shots of each row, if each row has its own (table 7).
    """

    name: str
    title: str
    experiments: Sequence[Experiment]
    timed: bool = False
    shots: Sequence[int] | None = None

    def keys(self) -> frozenset[str]:
        """Top-level keys that the sweep changes."""
        return frozenset(key for e in self.experiments for key in e.changes)


VALUES: Mapping[str, Sequence[float]] = {
    "beta": (0, 0.1, 0.2, 0.3, 0.5),
    "w": (0, 0.5, 0.8, 0.9, 1),
    "m": (0.9, 0.99, 0.999, 0.9999),
    "top_n": (1, 2, 4, 8, 16),
    "sigma": (5, 10, 20, 40),
}
"""Values around the paper's (0.2, 0.9, 0.999, 4, 20), which the paper states without a table."""

NEEDED = {
    "beta": {"rectify_fg": True},
    "top_n": {"rectify_fg": True},
    "w": {"rectify_bg": True},
    "m": {"rectify_bg": True},
}
"""Settings without which a value of the key changes nothing."""

NAMES = ("table3", "table4", "table5", "table6", "table7", "table8", "refine", *VALUES)


def find_sweep(name: str, images: str | None = None) -> Sweep:
    """Return the sweep of the given name.

    Args:
        name: one of `NAMES`.
        images: folder of unlabelled photographs that replaces table 5's ImageNet.

    Raises:
        FsslibError: there is no such sweep, or a folder is given but the sweep uses none.
    """
    if images is not None and name != "table5":
        raise FsslibError(f"--images {images}: {name} uses no folder of images, leave it out")
    if name == "table5":
        return _table5(images)
    if name in VALUES:
        return _one_key(name)
    if name in TABLES:
        return TABLES[name]
    raise FsslibError(f"{name!r} is no sweep: choose one of {', '.join(NAMES)}")


def _row(
    table: str, name: str, label: str, changes: Mapping[str, Any], published: Published | None
) -> Experiment:
    return Experiment(f"{table}-{name}", label, changes, published)


def _table3() -> Sweep:
    """Build table 3.

    The weight average is used together with mining, as in the paper (its tables 3 and 6 agree).
    """
    rows: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("baseline", "baseline", {}),
        ("fg", "FG", {"rectify_fg": True}),
        ("bg", "BG", {"rectify_bg": True}),
        ("mine", "Mine", {"mine": True, "ema": True}),
        ("fg-bg", "FG + BG", {"rectify_fg": True, "rectify_bg": True}),
        ("fg-bg-mine", "FG + BG + Mine", FULL),
    )
    return Sweep(
        "table3",
        "Table 3: each part of the method",
        [_row("table3", n, label, PLAIN | on, paper.TABLE3[n]) for n, label, on in rows],
    )


def _table4() -> Sweep:
    """Build table 4, without rectification as in the paper.

    The paper's numbers of this table are those of row Mine in table 3.
    """
    mined = PLAIN | {"mine": True, "ema": True}
    rows = (
        ("none", "none", PLAIN, paper.TABLE3["baseline"]),
        ("cct", "CCT", mined | {"miner": "cct"}, paper.TABLE4["cct"]),
        ("simclr", "SimCLR", mined | {"miner": "simclr"}, paper.TABLE4["simclr"]),
        ("clusters", "mined clusters", mined | {"miner": "clusters"}, paper.TABLE4["clusters"]),
    )
    return Sweep(
        "table4",
        "Table 4: mining against consistency and a contrastive loss, all on the training set",
        [_row("table4", *row) for row in rows],
    )


def _table5(images: str | None) -> Sweep:
    """Build table 5; without a folder of images, the rows that need one are left out."""
    rows: list[tuple[str, str, dict[str, Any]]] = [
        ("none", "none", PLAIN | {"rectify_bg": True}),
        ("train", "training set", FULL | {"unlabeled": ["train"]}),
        ("train-remaining", "training set + remaining", FULL | _pool("train", "remaining")),
    ]
    if images is not None:
        rows.insert(1, ("images", "folder of images", FULL | _pool(images)))
        rows.insert(3, ("train-images", "training set + folder", FULL | _pool("train", images)))
    return Sweep(
        "table5",
        "Table 5: sources of unlabelled images (the paper's folder is a part of ImageNet)",
        [_row("table5", n, label, changes, paper.TABLE5[n]) for n, label, changes in rows],
    )


def _pool(*sources: str) -> dict[str, Any]:
    return {"unlabeled": list(sources)}


def _table6() -> Sweep:
    both = {"rectify_fg": True, "rectify_bg": True}
    rows = (
        ("baseline", "baseline", PLAIN),
        ("baseline-ema", "baseline, EMA", PLAIN | {"ema": True}),
        ("fg-bg", "FG + BG", PLAIN | both),
        ("fg-bg-ema", "FG + BG, EMA", PLAIN | both | {"ema": True}),
        ("full", "full", FULL | {"ema": False}),
        ("full-ema", "full, EMA", FULL),
    )
    return Sweep(
        "table6",
        "Table 6: moving average of the weights",
        [_row("table6", n, label, changes, paper.TABLE6[n]) for n, label, changes in rows],
    )


def _table7() -> Sweep:
    alone = FULL | {"baseline_lr": None}  # other episodes would need a new baseline
    rows = [
        _row("table7", f"{n}-shot", f"{n}-shot", alone | {"shots": [n]}, paper.TABLE7[f"{n}-shot"])
        for n in (1, 5)
    ]
    return Sweep("table7", "Table 7: episodes a second and parameters", rows, True, (1, 5))


def _table8() -> Sweep:
    rows = [
        _row("table8", f"k-{k}", f"K = {k}", FULL | {"k": k}, published)
        for k, published in paper.TABLE8.items()
    ]
    return Sweep("table8", "Table 8: K of K-Means", rows)


def _refine() -> Sweep:
    """Build our comparison of masks with and without refinement, which the paper does not have."""
    rows = (("none", "not refined"), ("guided", "guided filter"))
    return Sweep(
        "refine",
        "Refinement of the masks by the photograph (not in the paper)",
        [_row("refine", n, label, {"refine": n, "boundary_iou": True}, None) for n, label in rows],
    )


def _one_key(key: str) -> Sweep:
    needed = NEEDED.get(key, {})
    rows = [_row(key, f"{v}", f"{key} = {v}", {key: v, **needed}, None) for v in VALUES[key]]
    return Sweep(key, f"Sweep over {key}", rows)


FIXED = (_table3(), _table4(), _table6(), _table7(), _table8(), _refine())
TABLES = {sweep.name: sweep for sweep in FIXED}
