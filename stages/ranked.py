"""The best and the worst of a fold's first episodes, predicted anew for a report."""

from collections.abc import Mapping

from fsslib.episode_files import check_episodes, load_episodes
from fsslib.episode_pictures import episode_panel
from fsslib.evaluation import manifest_readers, predict_episode
from fsslib.html_report.ranking import best_and_worst, different_queries, episode_iou
from fsslib.resizing import readers_at
from stages import paths
from stages.common import Bar

# Not made public there: `evaluate` would count as changed and run again for every result.
from stages.evaluate import _index, _rectification
from stages.inputs import open_manifest
from stages.memory import memory_budget
from stages.params import EvaluateParams, Params, stage_params
from stages.precision import run_precision
from stages.trained import trained_encode


def ranked_episodes(fold: int, everything: Params, most: int) -> tuple[int, Mapping[str, bytes]]:
    """Predict up to `most` episodes as `evaluate` does; how many, and two pictures as PNG."""
    params, runtime = stage_params(EvaluateParams, everything), everything.runtime
    manifest, drawn = open_manifest(), load_episodes(paths.episodes(fold))
    check_episodes(drawn, manifest)
    precision = run_precision(params.precision, runtime)
    encode, trained, device = trained_encode(fold, params.ema, precision, params.long_side, runtime)
    index = _index(fold, params, memory_budget(runtime) // 2) if params.rectify_fg else None
    rectification = _rectification(params, trained.background, index).to(device)
    readers = manifest_readers(manifest)
    if params.resize is not None:
        readers = readers_at(*readers, params.resize)
    episodes = different_queries(drawn.episodes, most)
    with Bar(f"Episodes of fold {fold}", len(episodes)) as bar:
        predicted = [
            predict_episode(encode, *readers, episode, rectification, workers=runtime.workers)
            for episode in bar.count(episodes)
        ]
    ious = [
        episode_iou(mask, readers[1](episode.query), episode.class_ids[0])
        for episode, mask in zip(episodes, predicted, strict=True)
    ]
    named = zip(("best", "worst"), best_and_worst(ious), strict=True)
    return len(episodes), {
        name: episode_panel(
            *readers, [episodes[i] for i in order], [predicted[i] for i in order], manifest.classes
        )
        for name, order in named
        if order
    }
