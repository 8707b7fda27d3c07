"""`evaluate`: mIoU of the frozen episodes, each distinct image encoded once."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from torch import Tensor

from fsslib.data.manifest import Manifest
from fsslib.encoder import parameter_count
from fsslib.encoding import Precision
from fsslib.episode_files import check_episodes, episodes_hash, load_episodes
from fsslib.episode_pictures import episode_panel, sample_episodes
from fsslib.episodes import EpisodeSet
from fsslib.errors import FsslibError
from fsslib.evaluation import Evaluation, evaluate, manifest_readers, predict_episode
from fsslib.rectification import Rectification
from fsslib.regions import SearchIndex
from fsslib.report import fold_metrics
from fsslib.resizing import readers_at
from fsslib.storage import write_bytes, write_json
from fsslib.stored_index import load_index
from stages import paths
from stages.common import Bar, FoldOption, command, make_app, project_root, say
from stages.inputs import chosen_folds, open_manifest, read_params
from stages.memory import memory_budget
from stages.params import EvaluateParams, Params, stage_params
from stages.precision import run_precision
from stages.trained import trained_encode

EpisodesOption = Annotated[
    Path | None,
    typer.Option(help="Episode file to score instead of data/episodes/<fold>/episodes.json."),
]


@command
def main(fold: FoldOption = None, episodes: EpisodesOption = None) -> None:
    """Score every seed and number of shots of a fold in one run (eq. 5, 7, 8 and 9).

    Reads w, beta, top_n, search, rectify_fg, rectify_bg, ema, precision, long_side and resize
    from params.yaml, data/prepare/, data/episodes/, data/train/ and data/index/ of the fold. Writes
    results/folds/<fold>/metrics.json and episodes.png, and data/evaluate/<fold>/timing.json, a copy
    of which lies in data/evaluate/experiments/<name>/ for an experiment of DVC's.
    Always the final encoder: no checkpoint is chosen by the scores of novel classes.
    """
    everything = read_params()
    for number in chosen_folds(fold, everything):
        _evaluate(number, everything, episodes)


def _evaluate(fold: int, everything: Params, given: Path | None) -> None:
    params, runtime = stage_params(EvaluateParams, everything), everything.runtime
    manifest = open_manifest()
    drawn = load_episodes(given or paths.episodes(fold))
    if drawn.fold != fold:
        raise FsslibError(f"{given} is of fold {drawn.fold}, not {fold}: give --fold {drawn.fold}")
    check_episodes(drawn, manifest)
    precision = run_precision(params.precision, runtime)
    encode, trained, device = trained_encode(fold, params.ema, precision, params.long_side, runtime)
    budget = memory_budget(runtime)
    index = _index(fold, params, budget // 2) if params.rectify_fg else None
    rectification = _rectification(params, trained.background, index).to(device)
    readers = manifest_readers(manifest)
    if params.resize is not None:
        readers = readers_at(*readers, params.resize)
    images = {i for e in drawn.episodes for way in e.supports for i in way}
    queries = {e.query for e in drawn.episodes}
    with Bar(f"Evaluating fold {fold}", len(images) + len(queries)) as bar:
        result = evaluate(
            encode,
            *readers,
            drawn.episodes,
            drawn.novel,
            rectification,
            memory_bytes=budget - (index.memory_bytes if index else 0),
            workers=runtime.workers,
            on_progress=lambda phase, done, total: bar.advance(1, phase),
        )
    chosen = sample_episodes(drawn)
    started = time.perf_counter()
    predictions = [
        predict_episode(encode, *readers, episode, rectification, workers=runtime.workers)
        for episode in chosen
    ]
    cold = len(chosen) / (time.perf_counter() - started)
    parameters = parameter_count(trained.encoder)
    metrics = _metrics(result, drawn, manifest, params, precision, parameters)
    out = paths.fold_results(fold)
    write_json(out / "metrics.json", metrics)
    panel = episode_panel(*readers, chosen, predictions, manifest.classes)
    write_bytes(out / "episodes.png", panel)
    for path in _timing_paths(fold):
        write_json(path, _timing(result, cold))
    _report(fold, metrics, result, cold)


def _timing_paths(fold: int) -> list[Path]:
    """In the working folder and, for an experiment of DVC's, by its name in the project.

    A queued experiment runs in a copy of the project that DVC removes, times included.
    """
    name = os.environ.get("DVC_EXP_NAME")  # DVC sets it in every experiment
    return [paths.timing(fold), *([project_root() / paths.timing(fold, name)] if name else [])]


def _index(fold: int, params: EvaluateParams, memory_bytes: int) -> SearchIndex:
    """The fold's region index, in memory when it fits."""
    index = load_index(paths.region_index(fold), memory_bytes)
    if params.search == "exact":
        return index
    from fsslib.ivf_search import ivf_index  # needs faiss, an optional extra

    return ivf_index(index)


def _rectification(
    params: EvaluateParams, background: Tensor | None, index: SearchIndex | None
) -> Rectification:
    if params.rectify_bg and background is None:
        raise FsslibError("rectify_bg: true, but the model has no global background: set m below 1")
    return Rectification(
        background if params.rectify_bg else None,
        params.w,
        index,
        params.top_n,
        params.beta,
    )


def _metrics(
    result: Evaluation,
    drawn: EpisodeSet,
    manifest: Manifest,
    params: EvaluateParams,
    precision: Precision,
    parameters: int,
) -> dict[str, Any]:
    """No times: the same run writes the same bytes."""
    return {
        "fold": drawn.fold,
        "dataset": drawn.dataset,
        "folds_rule": manifest.folds_rule,
        "protocol": drawn.protocol,
        "ways": drawn.ways,
        "precision": precision,
        "long_side": params.long_side,
        "resize": params.resize,
        "search": params.search,
        "episode_list": episodes_hash(drawn)[:16],
        "images": result.images,
        "parameters": parameters,
        **fold_metrics(result.counts, manifest.classes),
    }


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
            say(f"fold {fold} {shot}: mIoU {values['miou']} FB-IoU {values['fb_iou']}")
    say(
        f"fold {fold}: {result.episodes} episodes from {result.encodings} encodings, "
        f"{result.episodes / result.seconds:.0f} episodes/s (cold {cold:.1f}/s), "
        f"encoder of {metrics['parameters'] / 1e6:.1f} M parameters"
    )


app = make_app(main)

if __name__ == "__main__":
    app()
