"""`fss`: runs every step, and the tools around them, as one command."""

import ast
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

import fsslib

COMMANDS_PACKAGE = (__package__ or "").rpartition(".")[0]
"""The package around this one: `stages` in a checkout, `fsslib.commands` where it is installed."""

STEPS = (
    "fingerprint",
    "prepare",
    "extract",
    "collect",
    "cluster",
    "annotate",
    "train",
    "index",
    "episodes",
    "evaluate",
    "reference",
    "summarize",
)
"""Modules of `stages`, each with an `app`, in the pipeline's order."""

TOOLS = (
    "data",
    "predict",
    "demo",
    "models",
    "calibrate",
    "export",
    "publish",
    "info",
    "preset",
    "sweep",
    "tune",
    "table",
    "report",
)
"""Modules of `stages.tools`, each with an `app`."""

COMMANDS = {
    **{name: f"{COMMANDS_PACKAGE}.{name}" for name in STEPS},
    **{name: f"{COMMANDS_PACKAGE}.tools.{name}" for name in TOOLS},
}
"""Command -> its module."""

PROJECT_FILES = {
    **dict.fromkeys((*STEPS, "calibrate", "preset", "report"), ("params.yaml",)),
    **dict.fromkeys(("sweep", "tune", "table"), ("params.yaml", "dvc.yaml")),
}
"""Command -> files of a project without which it has nothing to do; the others run anywhere."""


class LazySteps(TyperGroup):
    """Imports a step's module when that step is run: torch alone takes seconds to import."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401 - Typer's or click's context
        """The steps in the pipeline's order."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401 - likewise
        """A step for the list of commands, with its summary as help, not imported."""
        return TyperCommand(cmd_name, help=summary(cmd_name)) if cmd_name in COMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 - likewise
        """The requested step, imported and with all its options."""
        name = args[0]
        if name not in COMMANDS:
            return super().resolve_command(ctx, args)
        if "--help" not in args:
            _need_project(name)
        return name, typer.main.get_command(import_module(COMMANDS[name]).app), args[1:]


def _need_project(name: str) -> None:
    """End with one line if a command that needs a project is run elsewhere."""
    missing = [file for file in PROJECT_FILES.get(name, ()) if not Path(file).is_file()]
    if missing:
        typer.echo(
            f"error: no {' and no '.join(missing)} in {Path.cwd()}: 'fss {name}' runs in a "
            "project's folder, which is a clone of fsslib's repository or its unpacked source "
            "distribution",
            err=True,
        )
        raise typer.Exit(1)


def summary(step: str) -> str:
    """The summary in the first line of a step's module, read without importing it."""
    folder = Path(__file__).parent
    path = (folder if step in TOOLS else folder.parent) / f"{step}.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return (ast.get_docstring(tree) or step).splitlines()[0].split(": ", 1)[-1]


app = typer.Typer(
    name="fss",
    cls=LazySteps,
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fsslib {fsslib.__version__}")
        raise typer.Exit


@app.callback()
def _fss(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Mining latent classes for few-shot segmentation: the steps of the pipeline."""


def main() -> None:
    """Entry point of the console script."""
    app(prog_name="fss")


if __name__ == "__main__":
    main()
