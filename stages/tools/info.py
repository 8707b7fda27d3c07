"""`info`: what one of the pipeline's files is."""

from pathlib import Path
from typing import Annotated

import typer

from fsslib.experiments.info import describe_file
from stages.support.common import command, make_app


@command
def main(
    file: Annotated[Path, typer.Argument(help="File that a stage wrote, anywhere.")],
) -> None:
    """Say what a file is: kind, layout, shapes, and the params that made it, where it holds them.

    Knows models and weights (.safetensors), HDF5, zips of masks, episodes.json and manifest.json.
    """
    for line in describe_file(file):
        typer.echo(line)


app = make_app(main)

if __name__ == "__main__":
    app()
