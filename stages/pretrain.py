"""`pretrain`: the stand-in for ImageNet weights, from rendered scenes; its output is in git."""

import time
from pathlib import Path
from typing import Annotated

import torch
import typer

from fsslib.data.pretraining_scenes import PRETRAINING_CLASSES, render_examples
from fsslib.pretraining import pretrain, save_weights
from stages import paths
from stages.common import Bar, command, make_app, say

MARGIN = 8
"""Px that a scene is larger than a training crop."""


@command
def main(
    out: Annotated[Path, typer.Option(help="File to write.")] = paths.PRETRAINED,
    images: Annotated[int, typer.Option(min=64, help="Scenes to render.")] = 5000,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the scenes.")] = 16,
    seed: Annotated[int, typer.Option(min=0, help="Of scenes, first weights and order.")] = 0,
    crop: Annotated[int, typer.Option(min=32, help="Side of the training crops in px.")] = 112,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads; the bytes depend on it.")] = 1,
) -> None:
    """Train the ResNet-18 of `weights: procedural` on rendered scenes.

    Their classes are disjoint from the benchmark's twenty. Nothing is read; minutes on two cores.
    The file is in git, so that nobody has to run this: it is here to show how it was made.
    """
    start = time.monotonic()
    torch.set_num_threads(threads)
    with Bar("Rendering scenes", images) as bar:
        examples = render_examples(images, crop + MARGIN, seed, bar.advance, threads)
    pictures, masks = (torch.from_numpy(array) for array in examples)
    with Bar("Pretraining", epochs * images) as bar:
        encoder = pretrain(
            pictures,
            masks,
            len(PRETRAINING_CLASSES),
            epochs,
            seed,
            crop=crop,
            on_step=lambda count, loss: bar.advance(count, f"loss {loss:.3f}"),
        )
    made_by = {
        "recipe": "python -m stages.pretrain",
        "images": str(images),
        "epochs": str(epochs),
        "seed": str(seed),
        "crop": str(crop),
        "threads": str(threads),
        "classes": ", ".join(PRETRAINING_CLASSES),
        "task": "cosine classification of every location on rendered scenes",
    }
    save_weights(encoder, out, made_by)
    say(f"{out}: {out.stat().st_size / 1e6:.1f} MB in {(time.monotonic() - start) / 60:.1f} min")


app = make_app(main)

if __name__ == "__main__":
    app()
