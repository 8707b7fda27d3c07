"""Tutorials of the documentation, run block by block as a reader would run them.

`fss` and `python -m stages.<step>` run in this process, other commands in a shell. A test's table
of stand-ins says what is replaced, and by what. The block of `text` that follows a block of
commands is what the page shows of its output: every word of it must be in the real output.
"""

import contextlib
import importlib
import io
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from typer.testing import CliRunner

from stages.tools.fss import COMMANDS
from tests.support.docs_commands import split
from tests.support.docs_markdown import blocks
from tests.support.project import ROOT
from tests.support.world import inside, set_params

Do = Callable[[Path, list[str]], str]
"""What runs in place of a command: the folder and the command's words -> the output."""
SKIP: Do = lambda folder, words: ""  # noqa: E731
PER_FOLD = ("cluster", "annotate", "train", "index", "episodes", "evaluate", "reference")
BEFORE = ("fingerprint", "prepare", "extract", "collect")


@dataclass(frozen=True)
class Part:
    """Commands or Python of a page, and what it shows of their output."""

    where: str
    language: str
    code: str
    shown: str


def parts(name: str) -> list[Part]:
    """The blocks of `docs/tutorials/<name>.md` that a reader runs, in order."""
    found, all_blocks = [], blocks(ROOT / f"docs/tutorials/{name}.md")
    for number, block in enumerate(all_blocks):
        if block.language in ("sh", "python"):
            after = all_blocks[number + 1 : number + 2]
            shown = after[0].code if after and after[0].language == "text" else ""
            found.append(Part(block.where, block.language, block.code, shown))
    return found


def lines(code: str) -> list[str]:
    """Commands of a block of shell, without comments; what `&&` joins stays together."""
    joined = code.replace("\\\n", " ").splitlines()
    return [" ".join(line.split()) for line in joined if split(line)]


def run_tutorial(
    name: str,
    folder: Path,
    instead: Mapping[str, str | Do] | None = None,
    in_python: Mapping[str, str] | None = None,
    unsaid: str = "",
) -> str:
    """Run a page in a folder; what it shows must be in what the commands say.

    Args:
        name: of the page.
        folder: where its commands run.
        instead: a command line as the page has it -> the line or the function to run in its place.
        in_python: text of a block of Python -> the text in its place.
        unsaid: what stages that are faked would print, and so nobody does.

    Returns:
        All output.

    Raises:
        AssertionError: a command fails, its output lacks a word that is shown, or the page has
            no such line or text.
    """
    instead, in_python = dict(instead or {}), dict(in_python or {})
    unused, everything = {*instead, *in_python}, []
    with inside(folder):
        for part in parts(name):
            said = []
            if part.language == "python":
                code = part.code
                for text in (text for text in in_python if text in code):
                    unused.discard(text)
                    code = code.replace(text, in_python[text])
                said.append(run_python(code, part.where))
            for line in lines(part.code) if part.language == "sh" else ():
                unused.discard(line)
                said.append(run_line(instead.get(line, line), line, part.where))
            absent = words(part.shown) - words("\n".join([*said, unsaid]))
            assert not absent, f"{part.where}: not in the output: {absent}\n" + "\n".join(said)
            everything += said
    assert not unused, f"{name} has no {unused}"
    return "\n".join(everything)


def run_line(do: str | Do, line: str, where: str) -> str:
    """Run a command line, or what stands for it."""
    if callable(do):
        return do(Path.cwd(), shlex.split(line))
    ours = split(do)[0]
    program = ours[1].removeprefix("stages.") if ours[:2] == ["python", "-m"] else ours[1:2]
    name = program if isinstance(program, str) else "".join(program)
    if (ours[0] == "fss" or ours[:2] == ["python", "-m"]) and name in COMMANDS:
        assert len(split(do)) == 1, f"{where}: one command a line, so that it can run in process"
        return run_step(name, ours[2 + (ours[0] == "python") :], where)
    if ours[:2] == ["python", "-c"]:
        return run_python(ours[2], where)
    done = subprocess.run(
        ["bash", "-ec", do],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)},  # a tutorial's folder stands for a clone
    )
    assert done.returncode == 0, f"{where}: {do}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def run_step(name: str, arguments: list[str], where: str) -> str:
    """Run `fss <name>` in this process; patterns like `*.jpg` become the files."""
    expanded = []
    for word in arguments:
        files = sorted(str(p) for p in Path().glob(word)) if "*" in word else []
        expanded += files or [word]
    app = importlib.import_module(COMMANDS[name]).app
    result = CliRunner().invoke(app, expanded, prog_name=f"fss {name}")
    shown = f"{where}: fss {name} {' '.join(expanded)}\n{result.output}{result.exception!r}"
    assert result.exit_code == 0, shown
    return result.output


def run_python(code: str, where: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, where, "exec"), {"__name__": "__main__"})
    return out.getvalue()


def words(text: str) -> set[str]:
    """Words of three letters or more; numbers differ from machine to machine."""
    return set(re.findall(r"[A-Za-z_]{3,}", text))


def pipeline(**short: object) -> Do:
    """Stand-in for `dvc repro` and `dvc exp run -S ...`: every stage in this process, fold by fold.

    Args:
        short: params that make it quick; they win over those of the command.
    """

    def run(folder: Path, words: list[str]) -> str:
        given = dict(w.split("=", 1) for w in words if re.match(r"[a-z_.]+=", w))
        set_params(**{k: read(v) for k, v in given.items()} | short)(folder)
        folds = read((folder / "params.yaml").read_text(encoding="utf-8"))["folds"]
        said = [run_step(name, [], "pipeline") for name in BEFORE]
        for fold in folds:
            said += [run_step(name, ["--fold", str(fold)], "pipeline") for name in PER_FOLD]
        return "\n".join([*said, run_step("summarize", [], "pipeline")])

    return run


def read(text: str) -> Any:
    return YAML(typ="safe").load(text)
