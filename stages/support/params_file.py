"""Reads `params.yaml` (YAML 1.2) into the models of `params`; an error is always one line."""

import reprlib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from fsslib.errors import FsslibError

from .params import Params
from .params_outside import Section

PARAMS_FILE = Path("params.yaml")

Model = TypeVar("Model", bound=Section)


def load_params(path: Path = PARAMS_FILE) -> Params:
    """Read and validate the whole file.

    Raises:
        FsslibError: the file is missing or is not YAML, or a key is unknown or missing, has the
            wrong type or an impossible value. The message is one line that names the key.
    """
    return parse_params(_read_text(path), path)


def parse_params(text: str, path: Path) -> Params:
    """Validate the content of a params file.

    Args:
        text: the content.
        path: file that error messages name.

    Raises:
        FsslibError: see `load_params`.
    """
    return validated(Params, _parse_yaml(text, path), f"{path}: ")


def stage_params(model: type[Model], params: Params) -> Model:
    """The part of the parameters that one stage may read."""
    raw = params.model_dump()
    return model.model_validate({name: raw[name] for name in model.model_fields})


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise FsslibError(f"{path} does not exist: run from the project's folder") from None
    except (OSError, ValueError) as error:
        raise FsslibError(f"{path} is not readable YAML: {_problem(error)}") from None


def _parse_yaml(text: str, path: Path) -> dict[str, Any]:
    try:
        raw = YAML(typ="safe", pure=True).load(text)
    except (ValueError, RecursionError, YAMLError) as error:
        raise FsslibError(f"{path} is not readable YAML: {_problem(error)}") from None
    if not isinstance(raw, dict):
        raise FsslibError(f"{path} holds no keys: restore it with 'git checkout {path}'")
    return raw


def _problem(error: Exception) -> str:
    """What is wrong and on which line, in one line; ruamel's own text has six."""
    if isinstance(error, MarkedYAMLError) and error.problem and error.problem_mark:
        return f"line {error.problem_mark.line + 1}: {' '.join(error.problem.split())}"
    return " ".join(str(error).split())


def validated(model: type[Model], raw: dict[str, Any], where: str = "") -> Model:
    """The params of a file's content.

    Args:
        model: all params, or a section of them.
        raw: keys and values.
        where: the start of an error's message.

    Raises:
        FsslibError: an unknown or missing key, or a value that is not allowed.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise FsslibError(f"{where}{_explain(error, model)}") from None


def _explain(error: ValidationError, model: type[Section]) -> str:
    """All problems in one line, each with its key, value and constraint."""
    parts = []
    for problem in error.errors():
        key = ".".join(str(p) for p in problem["loc"])
        if problem["type"] == "extra_forbidden":
            parts.append(f"unknown key {key}: {suggest(key, model)}")
        elif problem["type"] == "missing":
            parts.append(f"{key} is missing: add it")
        else:
            message = problem["msg"].removeprefix("Value error, ")
            parts.append(f"{_shown(key, problem['input'])}{message[:1].lower()}{message[1:]}")
    return "; ".join(parts)


def _shown(key: str, value: object) -> str:
    """The start of a message, `key: value: `; for a section `key: `, as its message names keys."""
    if isinstance(value, dict):
        return f"{key}: " if key else ""
    # Show a few items of a few levels: with aliases, YAML can describe lists larger than memory.
    short = reprlib.Repr()
    short.maxlevel, short.maxlist, short.maxdict, short.maxstring = 2, 4, 4, 80
    text = short.repr(value)
    return f"{key}: {text if len(text) <= 80 else text[:77] + '...'}: "


def suggest(key: str, model: type[Section]) -> str:
    """Suggest the known key of the same section that is most similar to an unknown one."""
    import difflib

    *sections, name = key.split(".")
    known: type[BaseModel] = model
    for section in sections:
        inner = known.model_fields[section].annotation if section in known.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return "remove it"
        known = inner
    close = difflib.get_close_matches(name, list(known.model_fields), n=1)
    return f"did you mean {'.'.join([*sections, close[0]])}?" if close else "remove it"
