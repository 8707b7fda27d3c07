"""`calibrate`: fits a model's threshold between present and absent on base classes."""

from pathlib import Path
from typing import Annotated

import typer

from fsslib.calibration import MIN_PIXELS, draw_trials, prediction_score, score_trials
from fsslib.data.images import read_image, read_mask
from fsslib.encoding import one_thread_each
from fsslib.errors import FsslibError
from fsslib.models import MODEL
from fsslib.presence import FALSE_ABSENT, choose_threshold, fit_presence, measure_rates
from fsslib.presence_files import (
    Calibration,
    presence_path,
    presence_settings,
    write_presence,
)
from fsslib.segmenter import MAX_SIDE, Segmenter
from stages import paths
from stages.common import Bar, command, make_app, say
from stages.inputs import open_manifest
from stages.models import CPUS, Background, Device, IndexFolder, Workers


@command
def main(
    fold: Annotated[int, typer.Option(min=0, help="Fold whose base classes are used.")] = 0,
    model: Annotated[
        Path | None,
        typer.Option(help="Trained model, its folder, or weights instead of data/train/FOLD."),
    ] = None,
    trials: Annotated[
        int, typer.Option(min=10, help="Photographs with and without, a class.")
    ] = 30,
    shots: Annotated[int, typer.Option(min=1, help="Supports a trial.")] = 1,
    min_pixels: Annotated[
        int, typer.Option(min=1, help="Least size of the class, where there is one.")
    ] = MIN_PIXELS,
    false_absent: Annotated[
        float,
        typer.Option(min=0, max=0.99, help="Share of photographs with the class to call absent."),
    ] = FALSE_ABSENT,
    seed: Annotated[int, typer.Option(min=0, help="Of the draw.")] = 0,
    index: IndexFolder = None,
    background: Background = True,
    device: Device = "auto",
    workers: Workers = CPUS,
) -> None:
    """Fit when `fss predict` calls a class present, on training images and base classes alone.

    Reads data/prepare/ and the model. Writes MODEL.presence.json beside the model: the curve from
    score to probability, the threshold and how often it errs; MODEL.presence.safetensors holds
    what features are like in general. Predict uses both. Novel classes are never asked for.
    """
    one_thread_each()
    chosen = model or paths.trained(fold)
    segmenter = Segmenter.load(chosen, index=index, background=background, device=device)
    path = chosen / MODEL if chosen.is_dir() else chosen
    if not path.is_file():
        raise FsslibError(f"{path} is no file, so nothing lies beside it: give --model a file")
    manifest = open_manifest()
    if not 0 <= fold < len(manifest.folds):
        raise FsslibError(f"--fold {fold} is not one of 0 to {len(manifest.folds) - 1}")
    records = {record.id: record for record in manifest.train}
    base = manifest.base(fold)
    drawn = draw_trials(manifest.train, base, trials, seed, shots, min_pixels)
    images = len({i for t in drawn for s in t.episode.supports for i in s})
    images += len({t.episode.query for t in drawn})
    with Bar("Calibrating", images) as bar:
        scores, typical = score_trials(
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
    present = [trial.present for trial in drawn]
    presence = fit_presence(scores, present)
    threshold = choose_threshold(presence, scores, present, false_absent)
    rates = measure_rates(presence, scores, present, threshold)
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
    target = presence_path(path)
    settings = presence_settings(segmenter.rectification)
    calibration = Calibration(presence, threshold, typical, str(target))
    write_presence(target, calibration, rates, segmenter.digest, settings, about)
    say(
        f"{target}: of {rates.positives} photographs with a base class "
        f"{100 * rates.false_absent:.1f} % are called absent, of {rates.negatives} without it "
        f"{100 * rates.false_present:.1f} % present (AUC {rates.auc:.3f})"
    )


app = make_app(main)

if __name__ == "__main__":
    app()
