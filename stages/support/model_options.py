"""Options that choose the model, shared by `predict`, `demo` and other commands."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from fsslib.encoders.work import Feeding
from fsslib.evaluation.refining import Refine
from fsslib.files.model_names import is_hub_address
from fsslib.prediction.hub_models import fetch_model
from fsslib.prediction.segmenter import Segmenter

from .common import say
from .feeding import make_feeding
from .params import Runtime
from .workers import gpu_workers

INSTALLED = "installed"
"""The default model of these commands."""

ModelOption = Annotated[
    str,
    typer.Option(
        help="Model to use: 'installed' (ImageNet weights that pip installed), a trained model or "
        "its folder, weights (.pth, .safetensors), or timm:NAME, hf://USER/NAME or 'imagenet' "
        "(all downloaded). 'fss models' lists the available ones."
    ),
]
BackboneOption = Annotated[
    str | None,
    typer.Option(help="Backbone for plain or installed weights, such as resnet50 or timm:NAME."),
]
CalibrationOption = Annotated[
    Path | None,
    typer.Option(
        help="Calibration written by 'fss calibrate', to use instead of the model's own. It "
        "decides whether a class is present."
    ),
]
IndexFolder = Annotated[
    Path | None,
    typer.Option(
        help="Region index of the model (data/index/FOLD), to rectify the foreground (eq. 8 and 9)."
    ),
]
Background = Annotated[
    bool, typer.Option(help="Rectify with the model's global background (eq. 7), if it has one.")
]
RefineOption = Annotated[
    Refine,
    typer.Option(help="Edges of masks: 'guided' by the photograph, or 'none', as in the paper."),
]
Device = Annotated[str, typer.Option(help="Device: auto, cpu or cuda.")]
Workers = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=256,
        help="Threads, one photograph each; on a GPU, processes that read and write. Default: all "
        "cores, at most 8; on a GPU all but one, at most 16.",
    ),
]
MOST_THREADS = 8


def pinned_model(model: str) -> str:
    """The same value, but a model on the hub with its commit, which is told to the user.

    Raises:
        FsslibError: see `fsslib.prediction.hub_models.fetch_model`.
    """
    if not is_hub_address(model):
        return model
    pinned = str(fetch_model(model).address)
    if pinned != model:
        say(f"{model} is {pinned} now: that address will always give this model")
    return pinned


def open_segmenter(model: str, **options: Any) -> Segmenter:  # noqa: ANN401 - as `Segmenter.load`
    """Load a model, and tell the user if it was trained on rendered images only.

    Args:
        model: the same values as in `Segmenter.load`.
        options: the other arguments of `Segmenter.load`.

    Raises:
        FsslibError: see `Segmenter.load`.
    """
    segmenter = Segmenter.load(model, **options)
    seen = segmenter.trained_on
    if seen is not None and seen.rendered:
        say(
            f"{model} was trained on {seen}, not on photographs: leave --model out to take the "
            "installed encoder, or train on photographs"
        )
    return segmenter


def option_feeding(segmenter: Segmenter, workers: int | None) -> Feeding:
    """How photographs get to the encoder, with `--workers` as given."""
    if workers is None:
        gpu = segmenter.encode.device.type == "cuda"
        workers = gpu_workers() if gpu else min(MOST_THREADS, os.cpu_count() or 1)
    runtime = Runtime(device="auto", workers=workers, memory_gb=None)
    return make_feeding(segmenter.encode, runtime)
