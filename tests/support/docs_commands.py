"""Commands of the documentation against the definitions of the programs that they call."""

import re
import shlex
import tomllib
from functools import cache
from importlib import import_module
from importlib.util import find_spec

import typer
from dvc.cli.parser import get_main_parser
from ruamel.yaml import YAML

from fsslib.experiments.presets import PRESETS
from fsslib.experiments.sweeps import NAMES
from stages.tools.fss import COMMANDS, STEPS
from tests.support.docs_parsers import WrongCommand, parse, parser_of
from tests.support.project import ROOT

OTHERS = {
    "git", "md5sum", "source", "pre-commit", "sbatch", "for", "done",
    "cat", "cp", "ls", "mkdir", "mv",
}  # fmt: skip
"""Programs and words of the shell whose arguments are not ours to check."""
CHOICES = {"sweep": NAMES, "table": NAMES, "preset": tuple(PRESETS)}
"""Steps whose first argument is one of a few names, which they check when they run."""
PLACEHOLDER = re.compile(r"[A-Z_]+$")


def split(code: str) -> list[list[str]]:
    """Commands of a block of shell as lists of words, without comments and `VAR=value` in front."""
    commands = []
    for line in code.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words: list[str] = []
        for token in [*lexer, ";"]:
            if set(token) <= set(";&|()"):
                commands.append(words)
                words = []
            elif token != "do" and (words or not re.match(r"[A-Z_]+=", token)):
                words.append(token)
    return [words for words in commands if words]


def check(words: list[str], whole: bool = True) -> None:
    """Refuse a command that does not exist, or an option that it has not.

    Args:
        words: the command's.
        whole: false for one that is only mentioned, and may lack what it needs.
    """
    program, rest = words[0], words[1:]
    if program in ("torchrun", "accelerate"):
        flag = next((f for f in ("-m", "--module") if f in rest), None)
        if flag is None:
            raise WrongCommand(f"{program} without a module")
        program, rest = "python", ["-m", *rest[rest.index(flag) + 1 :]]
    if program == "python" and rest[:1] == ["-c"]:
        compile(rest[1], "python -c", "exec")
    elif program == "python" and rest[:1] == ["-m"]:
        package, _, name = rest[1].partition(".")
        if package == "stages" and name in STEPS:
            check_step(name, rest[2:], whole)
        elif find_spec(rest[1]) is None:
            raise WrongCommand(f"no module {rest[1]}")
        elif package == "benchmarks":
            check_benchmark(name, rest[2:], whole)
    elif program in CHECKS:
        CHECKS[program](rest, whole)
    elif program not in OTHERS:
        raise WrongCommand(f"{program}: a program that the test does not know")


def check_fss(rest: list[str], whole: bool) -> None:
    if rest == ["--version"]:
        return
    if not rest or rest[0] not in COMMANDS:
        raise WrongCommand(f"no command fss {' '.join(rest[:1])}")
    check_step(rest[0], rest[1:], whole)


def check_step(name: str, rest: list[str], whole: bool) -> None:
    """Parse as the step does, running nothing."""
    command = typer.main.get_command(import_module(COMMANDS[name]).app)
    if hasattr(command, "commands"):
        if not rest or rest[0] not in command.commands:
            if not whole and not rest:
                return
            raise WrongCommand(f"no command fss {name} {' '.join(rest[:1])}")
        command, rest = command.commands[rest[0]], rest[1:]
    if name in CHOICES and rest and not PLACEHOLDER.match(rest[0]) and rest[0] not in CHOICES[name]:
        raise WrongCommand(f"fss {name}: no {rest[0]}, only {', '.join(CHOICES[name])}")
    try:
        command.make_context(name, list(rest))
    except typer.Exit:
        return  # --help
    except Exception as error:
        message = getattr(error, "message", None)
        if message is None and not hasattr(error, "param"):
            raise
        if whole or not type(error).__name__.startswith("Missing"):
            raise WrongCommand(f"fss {name}: {type(error).__name__} {message}") from error


def check_benchmark(name: str, rest: list[str], whole: bool) -> None:
    parse(parser_of(name), rest, f"benchmarks.{name}", whole)


def check_dvc(rest: list[str], whole: bool) -> None:
    """DVC's own parser; params and stages must be the project's."""
    given = parse(get_main_parser(), rest, "dvc", whole)
    for setting in getattr(given, "set_param", None) or []:
        key = setting.split("=")[0].lstrip("+~")
        if not _has(params(), key.split(".")):
            raise WrongCommand(f"-S {key}: params.yaml has no such key")
    if rest[0] in ("repro", "commit"):
        for target in given.targets or []:
            name, _, fold = target.partition("@")
            if name not in pipeline() or bool(fold) != ("matrix" in pipeline()[name]):
                raise WrongCommand(f"dvc {rest[0]} {target}: dvc.yaml has no such stage")


def check_make(rest: list[str], whole: bool) -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in rest:
        if "=" not in target and not re.search(rf"^{re.escape(target)}:", text, re.MULTILINE):
            raise WrongCommand(f"make {target}: no such target")


def check_pip(rest: list[str], whole: bool) -> None:
    """`pip install` of this project's extras, or of another package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for word in rest:
        found = re.fullmatch(r"(?:\.|fsslib)\[(.*)\]", word)
        for extra in found[1].split(",") if found else ():
            if extra not in project["optional-dependencies"]:
                raise WrongCommand(f"pip install {word}: no such extra")


@cache
def params() -> dict:
    return YAML(typ="safe").load((ROOT / "params.yaml").read_text(encoding="utf-8"))


@cache
def pipeline() -> dict:
    return YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]


def _has(content: object, keys: list[str]) -> bool:
    if not keys:
        return True
    return isinstance(content, dict) and keys[0] in content and _has(content[keys[0]], keys[1:])


CHECKS = {"fss": check_fss, "dvc": check_dvc, "make": check_make, "pip": check_pip}
