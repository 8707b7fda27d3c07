"""`evaluate`: mIoU of the frozen episodes, each distinct image encoded once."""

from pathlib import Path
from typing import Annotated, Any

import typer

from fsslib.data.manifest import Manifest
from fsslib.encoder import parameter_count
from fsslib.episode_files import check_episodes, episodes_hash, load_episodes
from fsslib.episodes import EpisodeSet
from fsslib.errors import FsslibError
from fsslib.evaluation import Evaluation, evaluate, manifest_readers
from fsslib.pictures import episode_panel, sample_episodes
from fsslib.region_index import load_index
from fsslib.report import fold_metrics
from fsslib.resizing import readers_at
from fsslib.storage import write_bytes, write_json
from stages import paths
from stages.common import Bar, FoldOption, command, make_app, say
from stages.encoders import trained_encode
from stages.inputs import chosen_folds, open_manifest, read_params
from stages.memory import memory_budget
from stages.params import EvaluateParams, Params, stage_params

EpisodesOption = Annotated[
    Path | None,
    typer.Option(help="Episode file to score instead of data/episodes/<fold>/episodes.json."),
]


@command
def main(fold: FoldOption = None, episodes: EpisodesOption = None) -> None:
    """Score every seed and number of shots of a fold in one run (eq. 5, 7, 8 and 9).

    Reads w, beta, top_n, sigma, rectify_fg, rectify_bg, ema, precision and resize from params.yaml,
    data/prepare/, data/episodes/, data/train/ and data/index/ of the fold. Writes
    results/folds/<fold>/metrics.json and episodes.png, and data/evaluate/<fold>/timing.json.
    Always the final encoder: no checkpoint is chosen by the scores of novel classes.
    """
    everything = read_params()
    for number in chosen_folds(fold, everything):
        _evaluate(number, everything, episodes)


def _evaluate(fold: int, everything: Params, given: Path | None) -> None:
    params = stage_params(EvaluateParams, everything)
    manifest = open_manifest()
    drawn = load_episodes(given or paths.episodes(fold))
    if drawn.fold != fold:
        raise FsslibError(f"{given} is of fold {drawn.fold}, not {fold}: give --fold {drawn.fold}")
    check_episodes(drawn, manifest)
    encode, trained, device = trained_encode(fold, params.ema, params.precision, everything.runtime)
    index = load_index(paths.region_index(fold)) if params.rectify_fg else None
    background = trained.background if params.rectify_bg else None
    if params.rectify_bg and background is None:
        raise FsslibError("rectify_bg: true, but the model has no global background: set m below 1")
    read_image, read_mask = manifest_readers(manifest)
    if params.resize is not None:
        read_image, read_mask = readers_at(read_image, read_mask, params.resize)
    settings: dict[str, Any] = {
        "global_background": None if background is None else background.to(device),
        "index": None if index is None else index.to(device),
        "w": params.w,
        "beta": params.beta,
        "top_n": params.top_n,
        "sigma": params.sigma,
    }
    images = {i for e in drawn.episodes for way in e.supports for i in way}
    queries = {e.query for e in drawn.episodes}
    with Bar(f"Evaluating fold {fold}", len(images) + len(queries)) as bar:
        result = evaluate(
            encode,
            read_image,
            read_mask,
            drawn.episodes,
            drawn.novel,
            memory_bytes=memory_budget(everything.runtime),
            on_progress=lambda phase, done, total: bar.advance(1, phase),
            **settings,
        )
    out = paths.fold_results(fold)
    metrics = _metrics(result, drawn, manifest, params)
    chosen = sample_episodes(drawn)
    panel = episode_panel(encode, read_image, read_mask, chosen, dict(manifest.classes), settings)
    write_json(out / "metrics.json", metrics)
    write_bytes(out / "episodes.png", panel)
    write_json(paths.timing(fold), _timing(result, parameter_count(trained.encoder)))
    for shot, values in metrics.items():
        if shot.startswith("shot"):
            say(f"fold {fold} {shot}: mIoU {values['miou']} FB-IoU {values['fb_iou']}")


def _metrics(
    result: Evaluation, drawn: EpisodeSet, manifest: Manifest, params: EvaluateParams
) -> dict[str, Any]:
    return {
        "fold": drawn.fold,
        "dataset": drawn.dataset,
        "folds_rule": manifest.folds_rule,
        "protocol": drawn.protocol,
        "ways": drawn.ways,
        "precision": params.precision,
        "resize": params.resize,
        "episode_list": episodes_hash(drawn)[:16],
        "encodings": result.images,
        **fold_metrics(result.counts, manifest.classes),
    }


def _timing(result: Evaluation, parameters: int) -> dict[str, object]:
    seconds = result.encode_seconds + result.score_seconds
    return {
        "episodes": result.episodes,
        "images": result.images,
        "encodings": result.encodings,
        "encode_seconds": round(result.encode_seconds, 2),
        "score_seconds": round(result.score_seconds, 2),
        "episodes_per_second": round(result.episodes / seconds, 1),
        "encoder_parameters": parameters,
    }


app = make_app(main)

if __name__ == "__main__":
    app()
