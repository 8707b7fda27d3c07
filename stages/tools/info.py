"""`info`: describes a file that the pipeline wrote."""

from pathlib import Path
from typing import Annotated

import typer

from fsslib.experiments.info import describe_file
from fsslib.files.model_names import MODEL, is_hub_address

from ..support.common import command, make_app, say


@command
def main(
    file: Annotated[
        str,
        typer.Argument(
            help="File that a stage wrote, in any folder; a model's folder, or hf://USER/NAME."
        ),
    ],
) -> None:
    """Describe a file: kind, layout, shapes, and the params that made it, if it holds them.

    Reads models and weights (.safetensors), HDF5 files, zips of masks, episodes.json and
    manifest.json. Prints the description and writes nothing. A model on the Hugging Face Hub is
    downloaded into its cache.
    """
    for line in describe_file(_path(file)):
        typer.echo(line)


def _path(given: str) -> Path:
    """The file; of a folder or an address the model in it."""
    if is_hub_address(given):
        from fsslib.prediction.hub_models import fetch_model  # imports torch, which takes seconds

        fetched = fetch_model(given)
        say(str(fetched.address))
        return fetched.folder / MODEL
    path = Path(given)
    return path / MODEL if (path / MODEL).is_file() else path


app = make_app(main)

if __name__ == "__main__":
    app()
