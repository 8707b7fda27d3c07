"""Which model a command predicts with: what `predict`, `calibrate` and `export` share."""

import os
from pathlib import Path
from typing import Annotated

import typer

from fsslib.errors import FsslibError
from fsslib.models import MODEL
from stages import paths

TRAINED = paths.trained(0).parent

ModelOption = Annotated[
    Path | None,
    typer.Option(
        help="Trained model or its folder, or weights (.pth, .safetensors), or 'imagenet'. Without "
        "it the first fold under data/train that is trained."
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


def default_model() -> Path:
    """The first fold under `data/train` that has a model.

    Raises:
        FsslibError: there is none.
    """
    folds = sorted(p for p in TRAINED.glob("[0-9]*") if (p / MODEL).is_file())
    if not folds:
        raise FsslibError(
            f"no trained model under {TRAINED}: run 'dvc repro' in the project's folder, or give "
            "--model with a trained model, weights or 'imagenet'"
        )
    return min(folds, key=lambda p: (len(p.name), p.name))
