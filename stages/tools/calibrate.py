"""`calibrate`: fits a model's threshold between present and absent on base classes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from fsslib.data.images import read_image, read_mask
from fsslib.data.manifest import Manifest
from fsslib.encoders.running import one_thread_each
from fsslib.errors import FsslibError
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
from fsslib.prediction.models import MODEL
from fsslib.prediction.presence import (
    FALSE_ABSENT,
    Presence,
    Rates,
    choose_threshold,
    fit_presence,
    measure_rates,
)
from fsslib.prediction.segmenter import MAX_SIDE, Segmenter
from fsslib.prediction.typical import Typical
from stages.support import paths
from stages.support.common import Bar, command, make_app, say
from stages.support.inputs import open_manifest
from stages.support.model_options import (
    CPUS,
    BackboneOption,
    Background,
    Device,
    IndexFolder,
    Workers,
    open_segmenter,
)

Fold = Annotated[int, typer.Option(min=0, help="Fold whose base classes are used.")]
Calibrated = Annotated[
    str | None,
    typer.Option(
        help="What is calibrated instead of data/train/FOLD: a trained model or its folder, "
        "weights, or, with --out, 'installed', 'imagenet' or timm:NAME."
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        help="Calibration to write, NAME.presence.json, instead of one beside the model; "
        "'fss predict --calibration' reads it."
    ),
]
Trials = Annotated[int, typer.Option(min=10, help="Photographs with and without, a class.")]
Shots = Annotated[int, typer.Option(min=1, help="Supports a trial.")]
MinPixels = Annotated[int, typer.Option(min=1, help="Least size of the class, where there is one.")]
FalseAbsent = Annotated[
    float,
    typer.Option(min=0, max=0.99, help="Share of photographs with the class to call absent."),
]
Seed = Annotated[int, typer.Option(min=0, help="Of the draw.")]


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
    workers: Workers = CPUS,
) -> None:
    """Fit when `fss predict` calls a class present, on training images and base classes alone.

    Reads data/prepare/ and the model. Writes MODEL.presence.json beside the model, or --out: the
    curve from score to probability, the threshold and how often it errs; MODEL.presence.safetensors
    holds what features are like in general. Predict uses both. Novel classes are never asked for.
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
    """The curve, and the errors of the threshold that goes with it."""
    present = [trial.present for trial in drawn]
    presence = fit_presence(scores, present)
    threshold = choose_threshold(presence, scores, present, false_absent)
    return presence, measure_rates(presence, scores, present, threshold)


def _beside(model: Path) -> Path:
    """Where a model's own calibration lies."""
    path = model / MODEL if model.is_dir() else model
    if not path.is_file():
        raise FsslibError(
            f"{path} is no file, so nothing lies beside it: give --model a file, or --out"
        )
    return presence_path(path)


def _score(
    segmenter: Segmenter, manifest: Manifest, drawn: Sequence[Trial], workers: int
) -> tuple[list[float], Typical]:
    """The score of each trial, and what is typical of the supports' photographs."""
    records = {record.id: record for record in manifest.train}
    images = len({i for t in drawn for s in t.episode.supports for i in s})
    images += len({t.episode.query for t in drawn})
    with Bar("Calibrating", images) as bar:
        return score_trials(
            lambda i: segmenter.feature(
                read_image(manifest.image_path(records[i]), records[i].size)
            ),
            lambda i: read_mask(manifest.mask_path(records[i]), records[i].size),
            drawn,
            segmenter.rectification,
            workers=workers,
            score=prediction_score,
            on_progress=lambda done, total: bar.advance(),
        )


app = make_app(main)

if __name__ == "__main__":
    app()
