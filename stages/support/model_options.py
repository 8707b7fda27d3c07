"""Which model a command predicts with: options that `predict`, `demo` and others share."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from fsslib.prediction.segmenter import Segmenter
from stages.support.common import say

INSTALLED = "installed"
"""The model of commands that are given none."""

ModelOption = Annotated[
    str,
    typer.Option(
        help="'installed' (ImageNet weights that came by pip), a trained model or its folder, "
        "weights (.pth, .safetensors), timm:NAME or 'imagenet' (downloaded). 'fss models' lists "
        "what is there."
    ),
]
BackboneOption = Annotated[
    str | None,
    typer.Option(help="Backbone of plain or installed weights, such as resnet50 or timm:NAME."),
]
CalibrationOption = Annotated[
    Path | None,
    typer.Option(
        help="File of 'fss calibrate' to tell present from absent by, instead of the model's own."
    ),
]
IndexFolder = Annotated[
    Path | None,
    typer.Option(help="Region index of the model (data/index/FOLD): rectifies by eq. 8 and 9."),
]
Background = Annotated[
    bool, typer.Option(help="Rectify by the model's global background (eq. 7), where it has one.")
]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Workers = Annotated[int, typer.Option(min=0, max=256, help="Threads that take a photograph each.")]
CPUS = min(8, os.cpu_count() or 1)


def open_segmenter(model: str, **options: Any) -> Segmenter:  # noqa: ANN401 - as `Segmenter.load`
    """Load a model and say, where it is so, that it has never seen a photograph.

    Args:
        model: as `Segmenter.load` takes it.
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
