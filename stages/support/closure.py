"""Import closures: find which files a stage depends on, and keep dvc.yaml up to date.

DVC does not follow imports. So `dvc.yaml` lists the files of `fsslib` that a stage imports,
directly or through other files, and the helpers in `stages` that decide a result. It lists a folder
if a stage uses at least three of its files, and single files otherwise.
`python -m stages.support.closure --write` rewrites these lists and the lists of params.
"""

import ast
import sys
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq

from .params import (
    STAGES,
)

DVC_YAML = Path("dvc.yaml")

FRONT = Path("fsslib/__init__.py")
"""Holds the version and lazily imported names, nothing that decides a result. No stage depends on
it, so a release or a new name reruns nothing. The `__init__.py` of each subpackage holds only a
docstring. A test makes sure that they contain no other code."""

MESSAGES = "fsslib/errors.py"
"""Holds only the wording of errors. No stage depends on it."""

HELPERS = tuple(
    f"stages/support/{name}.py" for name in ("encoders", "fold_training", "scoring", "trained")
)
"""Helper files between a stage's command and the library. A change in them may change outputs."""


@cache
def imports_of(path: Path) -> frozenset[Path]:
    """Files of `fsslib` and `stages` that one file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom):
            module = _absolute(node, path)
            names = [module, *(f"{module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            if name.split(".")[0] in ("fsslib", "stages"):
                found |= _files_of(name)
    return frozenset(found)


def _absolute(node: ast.ImportFrom, path: Path) -> str:
    """The module that a file imports from; a relative import counts from the file's package."""
    above = path.parts[: -node.level] if node.level else ()
    return ".".join([*above, *filter(None, [node.module])])


def _files_of(name: str) -> set[Path]:
    """A module's file and those of the packages around it."""
    parts = name.split(".")
    files = {Path(*parts[:i], "__init__.py") for i in range(1, len(parts) + 1)}
    files.add(Path(*parts).with_suffix(".py"))
    return {file for file in files if file.is_file()}


def closure(stage: str) -> list[str]:
    """Files of `fsslib`, and `HELPERS`, that `stages/<stage>.py` needs, sorted."""
    seen: set[Path] = set()
    todo = [Path("stages") / f"{stage}.py"]
    while todo:
        path = todo.pop()
        if path not in seen:
            seen.add(path)
            todo += imports_of(path)
    return sorted(filter(_followed, (p.as_posix() for p in seen if p.name != FRONT.name)))


def dependencies(stage: str) -> list[str]:
    """The closure as `dvc.yaml` lists it: a folder for at least three of its files, else files.

    A change of another file in such a folder reruns the stage unnecessarily. In return, the list is
    short.
    """
    files = closure(stage)
    helpers = [file for file in files if not file.startswith("fsslib/")]
    wanted = {Path(file) for file in files} - {Path(file) for file in helpers}
    return sorted([*_gathered(Path("fsslib"), wanted), *helpers])


def _gathered(folder: Path, wanted: set[Path]) -> list[str]:
    """Wanted files of a folder, and its subfolders in which at least three files are wanted."""
    found = [path.as_posix() for path in wanted if path.parent == folder]
    for inner in sorted(p for p in folder.iterdir() if p.is_dir()):
        if len({path for path in wanted if inner in path.parents}) >= 3:
            found.append(inner.as_posix())
        else:
            found += _gathered(inner, wanted)
    return found


def _followed(path: str) -> bool:
    return (path.startswith("fsslib/") and path != MESSAGES) or path in HELPERS


def expected(stage: str, current: dict[str, Any]) -> dict[str, Any]:
    """The stage's `deps` and `params` as they should be; dependencies on data stay unchanged."""
    others = [d for d in current.get("deps", []) if not _followed(str(d))]
    model = STAGES.get(stage)
    wanted: dict[str, Any] = {"deps": others + dependencies(stage)}
    if model is not None and model.model_fields:
        wanted["params"] = sorted(model.model_fields)
    return wanted


def _in_one_line(names: list[str]) -> CommentedSeq:
    """A list that YAML writes as `[a, b]`."""
    listed = CommentedSeq(names)
    listed.fa.set_flow_style()
    return listed


def main(write: Annotated[bool, typer.Option(help="Rewrite dvc.yaml.")] = False) -> None:
    """Compare dvc.yaml with the imports and the params models; exit with code 1 if they differ."""
    yaml = YAML()
    yaml.width = 140  # params stay on one line
    yaml.indent(mapping=2, sequence=4, offset=2)
    content = yaml.load(DVC_YAML.read_text(encoding="utf-8"))
    stale = []
    for stage, body in content["stages"].items():
        for key, value in expected(stage, body).items():
            if list(body.get(key, [])) != value:
                stale.append(f"{stage}.{key}")
                body[key] = _in_one_line(value) if key == "params" else value
    if stale and write:
        with DVC_YAML.open("w", encoding="utf-8") as stream:
            yaml.dump(content, stream)
    elif stale:
        print(
            f"dvc.yaml is behind the code in {', '.join(stale)}: run 'make deps'", file=sys.stderr
        )
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
