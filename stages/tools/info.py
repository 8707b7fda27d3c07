"""`info`: describes a file that the pipeline wrote."""

from pathlib import Path
from typing import Annotated

import typer

from fsslib.experiments.info import describe_file

from ..support.common import command, make_app


@command
def main(
    file: Annotated[Path, typer.Argument(help="File that a stage wrote, in any folder.")],
) -> None:
    """Describe a file: kind, layout, shapes, and the params that made it, if it holds them.

    Reads models and weights (.safetensors), HDF5 files, zips of masks, episodes.json and
    manifest.json. Prints the description and writes nothing.
    """
    for line in describe_file(file):
        typer.echo(line)


app = make_app(main)

if __name__ == "__main__":
    app()
