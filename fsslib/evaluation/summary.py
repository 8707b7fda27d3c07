"""Turns counts into the numbers of `metrics.json`.

The numbers are rounded percentages, with keys in a fixed order and without times.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fsslib.errors import FsslibError
from fsslib.evaluation.metrics import Counts, Float64, Summary, summarise

DIGITS = 3
"""Decimals of a percentage. The oracle tests require results to a thousandth of a point."""

COMMON = ("dataset", "folds_rule", "protocol", "ways", "precision", "resize", "search")
"""Settings in which folds must agree to be averaged."""

REFINED = ("refine", "refine_radius", "refine_eps")
"""The same, of results that are not the paper's protocol. Other results do not hold these keys."""

BOUNDARY_SEEDS = "boundary_iou_seeds"
"""Key of the boundary IoU of each seed, in results where it was measured."""


def fold_metrics(counts: Mapping[int, Counts], names: Mapping[int, str]) -> dict[str, Any]:
    """Return the metrics of one fold; the same counts give the same bytes.

    Args:
        counts: number of shots -> pixel counts of the fold's seeds.
        names: class id -> name, for at least the classes that were counted.

    Returns:
        `{"shot1": {...}, "shot5": {...}}`, see `shot_metrics`.
    """
    return {f"shot{n}": shot_metrics(c, names) for n, c in sorted(counts.items())}


def shot_metrics(counts: Counts, names: Mapping[int, str]) -> dict[str, Any]:
    """Return the metrics of one number of shots.

    Returns:
        `miou` (mean over seeds of the mean over drawn classes), `miou_std` (sample deviation over
        seeds), `miou_ci95` (half width of the 95 % t-interval), `fb_iou`, `fb_iou_std`,
        `fb_iou_ci95`, `classes` (name -> mean over seeds of its IoU), `episodes` (name -> number
        over all seeds), `seeds`, `miou_seeds` and `fb_iou_seeds` in the order of `seeds`, and
        `not_drawn` (names of classes without an episode, which are left out of every mean). IoUs
        are in percent, and None if nothing was measured. If boundary regions were counted, also
        `boundary_iou`, its spread and `boundary_iou_seeds`.
    """
    miou, fb_iou = counts.miou() * 100, counts.fb_iou() * 100
    per_class = counts.class_iou() * 100
    episodes = counts.episodes.sum(axis=0)
    return {
        **_spread("miou", summarise(miou)),
        **_spread("fb_iou", summarise(fb_iou)),
        "classes": {
            names[c]: _round(summarise(per_class[:, i]).mean)
            for i, c in enumerate(counts.class_ids)
            if episodes[i]
        },
        "episodes": {names[c]: int(episodes[i]) for i, c in enumerate(counts.class_ids)},
        "seeds": list(counts.seeds),
        "miou_seeds": [_round(v) for v in miou],
        "fb_iou_seeds": [_round(v) for v in fb_iou],
        "not_drawn": [names[c] for i, c in enumerate(counts.class_ids) if not episodes[i]],
        **(_boundary(counts.boundary_iou() * 100) if counts.boundary_union.any() else {}),
    }


def _boundary(values: Sequence[float] | Float64) -> dict[str, Any]:
    spread: dict[str, Any] = _spread("boundary_iou", summarise(values))
    return {**spread, BOUNDARY_SEEDS: [_round(v) for v in values]}


LISTS = ("seeds", "miou_seeds", "fb_iou_seeds", "not_drawn")
TABLES = ("classes", "episodes")


def require_metrics(content: Any, path: Path) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    """Check the metrics of a fold, as read from its file, and return them.

    Raises:
        FsslibError: the file is another one, or it was changed by hand.
    """
    shots = {k: v for k, v in content.items() if k.startswith("shot")} if _is(content, dict) else {}
    for shot in shots.values():
        whole = _is(shot, dict) and "miou" in shot
        whole = whole and all(_is(shot.get(key), list) for key in LISTS)
        whole = whole and all(_is(shot.get(key), dict) for key in TABLES)
        if not whole or not all(_is(v, float | int | None) for v in _numbers(shot)):
            shots = {}
    if not shots:
        raise FsslibError(f"{path} holds no metrics of a fold: run the stage 'evaluate' again")
    return dict(content)


def _is(value: object, kind: Any) -> bool:  # noqa: ANN401 - a type or a union of types
    return isinstance(value, kind)


def _numbers(shot: Mapping[str, Any]) -> list[object]:
    tables = [*shot["classes"].values(), *shot["episodes"].values()]
    return [*shot["miou_seeds"], *shot["fb_iou_seeds"], *tables]


def common_head(folds: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the settings that all folds share, by the keys in `COMMON` and `REFINED`.

    A missing key counts as the value None. Keys of `REFINED` are returned where they are set.

    Raises:
        FsslibError: two folds differ, so their mean would have no meaning.
    """
    (first, *others) = folds
    for key in (*COMMON, *REFINED):
        for fold in others:
            ours, theirs = folds[first].get(key), folds[fold].get(key)
            if ours != theirs:
                raise FsslibError(
                    f"folds: fold {first} was evaluated with {key} {ours}, fold {fold} with "
                    f"{theirs}: run 'evaluate' for every fold"
                )
    head = folds[first]
    return {key: head.get(key) for key in COMMON} | {k: head[k] for k in REFINED if k in head}


def overall_metrics(folds: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """Average folds: first each seed's mIoU over the folds, then mean and spread over the seeds.

    Args:
        folds: fold -> its `fold_metrics`, as read from its file.

    Returns:
        The same keys as `shot_metrics`, with the classes of all folds together, and `folds`
        (fold -> mIoU).

    Raises:
        FsslibError: there are no folds, or they have different shots or seeds.
    """
    if not folds:
        raise FsslibError("folds: none to average, evaluate at least one")
    shots = [[key for key in fold if key.startswith("shot")] for fold in folds.values()]
    if any(keys != shots[0] for keys in shots):
        raise FsslibError("folds: evaluated with different shots: run 'evaluate' for every fold")
    return {key: _average({f: m[key] for f, m in sorted(folds.items())}) for key in shots[0]}


REFERENCES = ("pretrained", "baseline")
"""The references that a result is compared with, see `overall_references`."""


def overall_references(
    folds: Mapping[int, Mapping[str, Any]], references: Mapping[int, Mapping[str, Any]]
) -> dict[str, dict[str, float | None]]:
    """Return the mean mIoU of pretrained encoder and baseline, and the gain of the folds over them.

    Args:
        folds: fold -> its metrics, as read from its file.
        references: fold -> what the stage `reference` wrote for it.

    Returns:
        Number of shots -> `pretrained`, `baseline` and `gain` in percent. The gain is the folds'
        mean minus the better of both references. Empty if a fold was not compared, or was refined:
        references never are.

    Raises:
        FsslibError: a reference was scored on other episodes than its fold.
    """
    if not all(name in references[fold] for fold in folds for name in REFERENCES):
        return {}
    if any(REFINED[0] in metrics for metrics in folds.values()):
        return {}
    for fold, metrics in folds.items():
        if references[fold].get("episode_list") != metrics.get("episode_list"):
            raise FsslibError(
                f"folds: the reference of fold {fold} was scored on other episodes: run the stage "
                "'reference' again"
            )
    parts = {n: overall_metrics({f: references[f][n] for f in folds}) for n in REFERENCES}
    found = {}
    for shot, ours in overall_metrics(folds).items():
        scores = {name: parts[name][shot]["miou"] for name in REFERENCES}
        known = [score for score in (ours["miou"], *scores.values()) if score is not None]
        gain = known[0] - max(known[1:]) if len(known) == 3 else None
        found[shot] = {**scores, "gain": _round(gain)}
    return found


def _average(folds: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """Compute `overall_metrics` for one number of shots."""
    parts = list(folds.values())
    seeds = parts[0]["seeds"]
    if any(part["seeds"] != seeds for part in parts):
        raise FsslibError("folds: evaluated with different seeds: run 'evaluate' for every fold")
    miou = _mean_columns([part["miou_seeds"] for part in parts])
    fb_iou = _mean_columns([part["fb_iou_seeds"] for part in parts])
    measured = all(BOUNDARY_SEEDS in part for part in parts)
    return {
        **_spread("miou", summarise(miou)),
        **_spread("fb_iou", summarise(fb_iou)),
        "folds": {str(fold): part["miou"] for fold, part in folds.items()},
        "classes": {name: iou for part in parts for name, iou in part["classes"].items()},
        "episodes": {name: n for part in parts for name, n in part["episodes"].items()},
        "seeds": list(seeds),
        "miou_seeds": [_round(v) for v in miou],
        "fb_iou_seeds": [_round(v) for v in fb_iou],
        "not_drawn": [name for part in parts for name in part["not_drawn"]],
        **(_boundary(_mean_columns([part[BOUNDARY_SEEDS] for part in parts])) if measured else {}),
    }


def _mean_columns(rows: Sequence[Sequence[float | None]]) -> list[float]:
    """Return the mean over folds of each seed; NaN for a seed that some fold could not measure."""
    columns = zip(*rows, strict=True)
    return [sum(float("nan") if v is None else v for v in column) / len(rows) for column in columns]


def _spread(name: str, summary: Summary) -> dict[str, float | None]:
    return {
        name: _round(summary.mean),
        f"{name}_std": _round(summary.std),
        f"{name}_ci95": _round(summary.ci95),
    }


def _round(value: float | None) -> float | None:
    """Round to `DIGITS`; None and NaN (nothing measured) become None, which JSON can hold."""
    return None if value is None or value != value else round(float(value), DIGITS)
