"""`reference`: scores the pretrained encoder and the plain baseline, for comparison."""

from typing import Any

from fsslib.data.manifest import Manifest
from fsslib.encoders.running import PhotographEncoder
from fsslib.evaluation.episode_files import episodes_hash
from fsslib.evaluation.episodes import EpisodeSet
from fsslib.evaluation.summary import fold_metrics
from fsslib.files.storage import write_json
from fsslib.ranks import read_ranks

from .support import paths
from .support.common import FoldOption, make_app, shared_command
from .support.encoders import initial_encode
from .support.feeding import make_feeding
from .support.fold_training import Outputs, train_fold
from .support.inputs import chosen_folds, open_manifest, read_params
from .support.memory import memory_budget
from .support.params import (
    Params,
    ReferenceParams,
    Runtime,
    TrainParams,
)
from .support.params_file import (
    stage_params,
)
from .support.precision import run_precision
from .support.scoring import evaluate_shown, open_episodes, open_readers
from .support.trained import trained_encode


@shared_command
def main(fold: FoldOption = None) -> None:
    """Score the pretrained encoder and the baseline on the same episodes as the result.

    Reads baseline_lr, sigma, training, precision, resize, backbone, weights, seed and long_side
    from params.yaml, data/prepare/ and data/episodes/<fold>/. The baseline trains on episodes
    alone, as long as the full method, at the learning rate baseline_lr, without mining and without
    the global background. Its averaged weights are scored. No prototype is rectified.
    Writes data/reference/<fold>/: scores.json and model.safetensors, the baseline. With
    `baseline_lr: null`, nothing is trained or scored, and scores.json holds only the fold's number.
    """
    everything = read_params()
    for number in chosen_folds(fold, everything):
        _reference(number, everything)


def _reference(fold: int, everything: Params) -> None:
    params, runtime = stage_params(ReferenceParams, everything), everything.runtime
    out, found = paths.reference(fold), dict[str, Any]()
    if params.baseline_lr is not None:
        model = out / paths.model(fold).name
        # Training comes first: encoding sets one thread per image for the rest of the process.
        train_fold(fold, _baseline(params, everything), runtime, Outputs(model))
        if not read_ranks().leads:
            return
        manifest = open_manifest()
        drawn, precision = open_episodes(fold, manifest), run_precision(params.precision, runtime)
        encodes = {
            "pretrained": initial_encode(params, precision, runtime),
            "baseline": trained_encode(model, True, precision, params.long_side, runtime)[0],
        }
        found = {"episode_list": episodes_hash(drawn)[:16], "baseline_lr": params.baseline_lr}
        for name, encode in encodes.items():
            found[name] = _score(f"{name} fold {fold}", encode, manifest, drawn, params, runtime)
    if read_ranks().leads:
        write_json(out / "scores.json", {"fold": fold, **found})


def _baseline(params: ReferenceParams, everything: Params) -> TrainParams:
    """Params of training on episodes alone; keys that it does not read have the paper's values."""
    training = params.training.model_copy(update={"lr": params.baseline_lr, "picture_every": 0})
    return TrainParams.model_validate(
        {
            **stage_params(TrainParams, everything).model_dump(),
            **{"mine": False, "miner": "clusters", "pseudo_weight": 1, "m": 0.999},
            **{"unlabeled": ["train"], "rectify_bg": False, "training": training.model_dump()},
        }
    )


def _score(
    title: str,
    encode: PhotographEncoder,
    manifest: Manifest,
    drawn: EpisodeSet,
    params: ReferenceParams,
    runtime: Runtime,
) -> dict[str, Any]:
    """Metrics of every seed and number of shots, without rectification."""
    result = evaluate_shown(
        title,
        encode,
        open_readers(manifest, params.resize),
        drawn,
        memory_bytes=memory_budget(runtime),
        feeding=make_feeding(encode, runtime),
    )
    return fold_metrics(result.counts, manifest.classes)


app = make_app(main)

if __name__ == "__main__":
    app()
