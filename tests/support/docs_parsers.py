"""argparse parsers asked whether they would take some words, running nothing."""

import argparse
import re
import sys
from functools import cache
from importlib import import_module

import pytest


class WrongCommand(Exception):
    """What is wrong with a command."""


class _Parsed(BaseException):
    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.parser = parser


def _give_up(parser: argparse.ArgumentParser, *_: object) -> None:
    raise _Parsed(parser)


@cache
def parser_of(benchmark: str) -> argparse.ArgumentParser | None:
    """A benchmark's parser: `main` is run as far as to the parsing."""
    module = import_module(f"benchmarks.{benchmark}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", _give_up)
        patch.setattr(sys, "argv", [benchmark])
        try:
            module.main()
        except _Parsed as parsed:
            return parsed.parser
    raise AssertionError(f"benchmarks.{benchmark}.main parses no arguments")


def parse(
    parser: argparse.ArgumentParser, rest: list[str], name: str, whole: bool
) -> argparse.Namespace:
    def error(message: str) -> None:
        if whole or not re.search("required|expected", message):
            raise WrongCommand(f"{name}: {message}")
        raise _Parsed(parser)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "error", lambda _, message: error(message))
        patch.setattr(argparse.ArgumentParser, "exit", lambda *_: error("exit"))
        patch.setattr(type(parser), "error", lambda _, message, *__: error(message))
        try:
            return parser.parse_args(rest)
        except _Parsed:
            return argparse.Namespace()
