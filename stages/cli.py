"""`fss`: every step, and the tools around them, as one command."""

import typer

from stages import (
    annotate,
    cluster,
    collect,
    episodes,
    evaluate,
    extract,
    index,
    prepare,
    pretrain,
    summarize,
    train,
)
from stages.data import app as data_app

STEPS = {
    "prepare": prepare.main,
    "extract": extract.main,
    "collect": collect.main,
    "cluster": cluster.main,
    "annotate": annotate.main,
    "train": train.main,
    "index": index.main,
    "episodes": episodes.main,
    "evaluate": evaluate.main,
    "summarize": summarize.main,
    "pretrain": pretrain.main,
}

app = typer.Typer(
    name="fss",
    help="Mining latent classes for few-shot segmentation: the steps of the pipeline.",
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
)
for name, function in STEPS.items():
    app.command(name)(function)
app.add_typer(data_app, name="data")


def main() -> None:
    """Entry point of the console script."""
    app(prog_name="fss")


if __name__ == "__main__":
    main()
