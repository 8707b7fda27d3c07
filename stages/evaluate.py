"""`evaluate`: scores the frozen episodes by mIoU and encodes each distinct image once."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from fsslib.encoders.base import parameter_count
from fsslib.evaluation.episode_files import episodes_hash
from fsslib.evaluation.protocol import Evaluation
from fsslib.evaluation.summary import fold_metrics
from fsslib.files.storage import write_bytes, write_json
from fsslib.pictures.episodes import episode_panel, sample_episodes

from .support import paths
from .support.common import FoldOption, command, make_app, project_root, say
from .support.inputs import chosen_folds, read_params
from .support.params import (
    EvaluateParams,
    Params,
)
from .support.scoring import Scoring, evaluate_shown, open_scoring

EpisodesOption = Annotated[
    Path | None,
    typer.Option(help="Episode file to score instead of data/episodes/<fold>/episodes.json."),
]


@command
def main(fold: FoldOption = None, episodes: EpisodesOption = None) -> None:
    """Score every seed and number of shots of a fold in one run (eq. 5, 7, 8 and 9).

    Reads w, beta, top_n, search, rectify_fg, rectify_bg, ema, precision, long_side, resize,
    refine, refine_radius, refine_eps and boundary_iou from params.yaml, data/prepare/, and the
    fold's data/episodes/, data/train/ and data/index/.
    Writes results/folds/<fold>/metrics.json and episodes.png, and
    data/evaluate/<fold>/timing.json. A DVC experiment also writes its times to
    data/evaluate/experiments/<name>/<fold>/timing.json in the project.
    It always scores the final encoder. No checkpoint is chosen by the scores of novel classes.
    """
    everything = read_params()
    for number in chosen_folds(fold, everything):
        _evaluate(number, everything, episodes)


def _evaluate(fold: int, everything: Params, given: Path | None) -> None:
    scoring = open_scoring(fold, everything, given)
    drawn, readers = scoring.episodes, (scoring.images, scoring.masks)
    result = evaluate_shown(
        f"fold {fold}",
        scoring.encode,
        readers,
        drawn,
        scoring.rectification,
        refining=scoring.refining,
        boundary=scoring.params.boundary_iou,
        memory_bytes=scoring.memory_bytes,
        feeding=scoring.feeding,
    )
    chosen = sample_episodes(drawn)
    started = time.perf_counter()
    predictions = [scoring.predict(episode) for episode in chosen]
    cold = len(chosen) / (time.perf_counter() - started)
    metrics = _metrics(result, scoring)
    out = paths.fold_results(fold)
    write_json(out / "metrics.json", metrics)
    panel = episode_panel(*readers, chosen, predictions, scoring.manifest.classes)
    write_bytes(out / "episodes.png", panel)
    for path in _timing_paths(fold):
        write_json(path, _timing(result, cold))
    _report(fold, metrics, result, cold)


def _timing_paths(fold: int) -> list[Path]:
    """Paths of the times: in the working folder and, for a DVC experiment, also in the project.

    The path in the project contains the experiment's name. A queued experiment runs in a copy of
    the project, which DVC removes together with the times in it.
    """
    name = os.environ.get("DVC_EXP_NAME")  # DVC sets it in every experiment
    return [paths.timing(fold), *([project_root() / paths.timing(fold, name)] if name else [])]


def _metrics(result: Evaluation, scoring: Scoring) -> dict[str, Any]:
    """Content of metrics.json, without times, so that the same run writes the same bytes."""
    params, drawn, manifest = scoring.params, scoring.episodes, scoring.manifest
    return {
        "fold": drawn.fold,
        "dataset": drawn.dataset,
        "folds_rule": manifest.folds_rule,
        "protocol": drawn.protocol,
        "ways": drawn.ways,
        "precision": scoring.precision,
        "long_side": params.long_side,
        "resize": params.resize,
        "search": params.search,
        **_refined(params),
        "episode_list": episodes_hash(drawn)[:16],
        "images": result.images,
        "parameters": parameter_count(scoring.encoder),
        **fold_metrics(result.counts, manifest.classes),
    }


def _refined(params: EvaluateParams) -> dict[str, object]:
    """What refined the masks; nothing for results of the paper's protocol."""
    if params.refine == "none":
        return {}
    keys = {"refine_radius": params.refine_radius, "refine_eps": params.refine_eps}
    return {"refine": params.refine, **keys}


def _timing(result: Evaluation, cold: float) -> dict[str, object]:
    return {
        "episodes": result.episodes,
        "images": result.images,
        "encodings": result.encodings,
        "seconds": round(result.seconds, 2),
        "encode_seconds": round(result.encode_seconds, 2),
        "episodes_per_second": round(result.episodes / result.seconds, 1),
        "cold_episodes_per_second": round(cold, 1),
    }


def _report(fold: int, metrics: Mapping[str, Any], result: Evaluation, cold: float) -> None:
    for shot, values in metrics.items():
        if shot.startswith("shot"):
            edges = f" boundary IoU {values['boundary_iou']}" if "boundary_iou" in values else ""
            say(f"fold {fold} {shot}: mIoU {values['miou']} FB-IoU {values['fb_iou']}{edges}")
    say(
        f"fold {fold}: {result.episodes} episodes from {result.encodings} encodings, "
        f"{result.episodes / result.seconds:.0f} episodes/s (cold {cold:.1f}/s), "
        f"encoder of {metrics['parameters'] / 1e6:.1f} M parameters"
    )


app = make_app(main)

if __name__ == "__main__":
    app()
