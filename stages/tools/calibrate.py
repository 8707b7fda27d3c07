"""`calibrate`: fits a model's threshold between present and absent on base classes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from fsslib.data.images import UInt8, read_image, read_mask
from fsslib.data.manifest import Manifest
from fsslib.encoders.running import one_thread_each
from fsslib.errors import FsslibError
from fsslib.files.model_names import MODEL
from fsslib.prediction.batched_trials import score_trials_in_batches
from fsslib.prediction.calibration import (
    MIN_PIXELS,
    Trial,
    draw_trials,
    prediction_score,
    score_trials,
)
from fsslib.prediction.calibration_files import (
    Calibration,
    presence_path,
    presence_settings,
    write_presence,
)
from fsslib.prediction.inputs import fitted
from fsslib.prediction.presence import (
    FALSE_ABSENT,
    Presence,
    Rates,
    choose_threshold,
    fit_presence,
    measure_rates,
)
from fsslib.prediction.publication import read_publication
from fsslib.prediction.segmenter import MAX_SIDE, Segmenter
from fsslib.prediction.typical import Typical

from ..support import paths
from ..support.common import Bar, command, make_app, say
from ..support.inputs import open_manifest
from ..support.model_options import (
    BackboneOption,
    Background,
    Device,
    IndexFolder,
    Workers,
    open_segmenter,
    option_feeding,
)

Fold = Annotated[int, typer.Option(min=0, help="Fold whose base classes are used.")]
Calibrated = Annotated[
    str | None,
    typer.Option(
        help="Model to calibrate instead of data/train/FOLD: a trained model or its folder, or "
        "weights. With --out, also 'installed', 'imagenet', timm:NAME or hf://USER/NAME."
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        help="Calibration file to write, NAME.presence.json, instead of one beside the model. "
        "'fss predict --calibration' reads it."
    ),
]
Trials = Annotated[
    int, typer.Option(min=10, help="Trials per class with the class, and as many without.")
]
Shots = Annotated[int, typer.Option(min=1, help="Supports per trial.")]
MinPixels = Annotated[
    int, typer.Option(min=1, help="Least pixels of the class, in photographs that show it.")
]
FalseAbsent = Annotated[
    float,
    typer.Option(
        min=0, max=0.99, help="Share of photographs with the class that may be called absent."
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the draw of trials.")]


@command
def main(
    fold: Fold = 0,
    model: Calibrated = None,
    backbone: BackboneOption = None,
    out: OutOption = None,
    trials: Trials = 30,
    shots: Shots = 1,
    min_pixels: MinPixels = MIN_PIXELS,
    false_absent: FalseAbsent = FALSE_ABSENT,
    seed: Seed = 0,
    index: IndexFolder = None,
    background: Background = True,
    device: Device = "auto",
    workers: Workers = None,
) -> None:
    """Fit the threshold from which `fss predict` calls a class present.

    It uses only training images and base classes, never novel classes. Reads data/prepare/, the
    training photographs and masks, and the model. Writes MODEL.presence.json beside the model, or
    --out: the curve from score to probability, the threshold and its error rates. Also writes
    MODEL.presence.safetensors: the mean and spread of features. `fss predict` uses both files.
    """
    one_thread_each()
    chosen = model or str(paths.trained(fold))
    if out is not None and not out.name.endswith(".presence.json"):
        raise FsslibError(f"--out {out}: the name has to end in .presence.json")
    segmenter = open_segmenter(
        chosen, backbone=backbone, index=index, background=background, device=device
    )
    target = out or _beside(Path(chosen))
    manifest = open_manifest()
    if not 0 <= fold < len(manifest.folds):
        raise FsslibError(f"--fold {fold} is not one of 0 to {len(manifest.folds) - 1}")
    base = manifest.base(fold)
    drawn = draw_trials(manifest.train, base, trials, seed, shots, min_pixels)
    scores, typical = _score(segmenter, manifest, drawn, workers)
    presence, rates = _fit(scores, drawn, false_absent)
    about = {
        "dataset": manifest.dataset,
        "fold": fold,
        "classes": [manifest.classes[c] for c in base],
        "trials": trials,
        "shots": shots,
        "min_pixels": min_pixels,
        "seed": seed,
        "max_side": MAX_SIDE,
    }
    settings = presence_settings(segmenter.rectification)
    calibration = Calibration(presence, rates.threshold, typical, str(target))
    write_presence(target, calibration, rates, segmenter.digest, settings, about)
    say(
        f"{target}: of {rates.positives} photographs with a base class "
        f"{100 * rates.false_absent:.1f} % are called absent, of {rates.negatives} without it "
        f"{100 * rates.false_present:.1f} % present (AUC {rates.auc:.3f})"
    )


def _fit(
    scores: Sequence[float], drawn: Sequence[Trial], false_absent: float
) -> tuple[Presence, Rates]:
    """Fit the curve, and measure the error rates of the threshold chosen on it."""
    present = [trial.present for trial in drawn]
    presence = fit_presence(scores, present)
    threshold = choose_threshold(presence, scores, present, false_absent)
    return presence, measure_rates(presence, scores, present, threshold)


def _beside(model: Path) -> Path:
    """Path of a model's own calibration, beside the model."""
    if read_publication(model) is not None:
        raise FsslibError(f"{model} is published, and its files stay as they are: give --out")
    path = model / MODEL if model.is_dir() else model
    if not path.is_file():
        raise FsslibError(
            f"{path} is no file, so nothing lies beside it: give --model a file, or --out"
        )
    return presence_path(path)


def _score(
    segmenter: Segmenter, manifest: Manifest, drawn: Sequence[Trial], workers: int | None
) -> tuple[list[float], Typical]:
    """Score each trial, and measure which features are typical of the supports' photographs."""
    records = {record.id: record for record in manifest.train}
    images = len({i for t in drawn for s in t.episode.supports for i in s})
    images += len({t.episode.query for t in drawn})
    feeding = option_feeding(segmenter, workers)

    def photograph(image_id: str) -> UInt8:
        return read_image(manifest.image_path(records[image_id]), records[image_id].size)

    def mask(image_id: str) -> UInt8:
        return read_mask(manifest.mask_path(records[image_id]), records[image_id].size)

    with Bar("Calibrating", images) as bar:

        def told(done: int, total: int) -> None:
            bar.advance()

        if not feeding.one_by_one:
            return score_trials_in_batches(
                segmenter.encode,
                lambda i: fitted(photograph(i), segmenter.max_side),
                mask,
                drawn,
                segmenter.rectification,
                feeding=feeding,
                on_progress=told,
            )
        return score_trials(
            lambda i: segmenter.feature(photograph(i)),
            mask,
            drawn,
            segmenter.rectification,
            workers=feeding.workers,
            score=prediction_score,
            on_progress=told,
        )


app = make_app(main)

if __name__ == "__main__":
    app()
