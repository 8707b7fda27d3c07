"""The public names of the package."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest

import fsslib

HERE = Path(__file__).parents[1]


@pytest.mark.parametrize("name", fsslib._LAZY)
def test_every_public_name_is_there_documented_and_on_the_page(name):
    found = getattr(fsslib, name)
    assert (found.__doc__ or "").strip(), name
    assert name in dir(fsslib)
    assert f"`{name}`" in (fsslib.__doc__ or "")
    page = (HERE / "docs/api.md").read_text(encoding="utf-8")
    assert f"::: {fsslib._LAZY[name]}.{name}\n" in page


def test_type_checkers_are_told_the_same():
    tree = ast.parse((HERE / "fsslib/__init__.pyi").read_text(encoding="utf-8"))
    told = {
        alias.name: node.module
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert told == fsslib._LAZY


PAGE = (HERE / "docs/api.md").read_text(encoding="utf-8")
ON_THE_PAGE = re.findall(r"^::: (\S+)$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("path", ON_THE_PAGE)
def test_every_name_on_the_page_exists_and_is_documented(path):
    module, _, name = path.rpartition(".")
    assert (getattr(importlib.import_module(module), name).__doc__ or "").strip()


@pytest.mark.parametrize("name", fsslib._LAZY)
def test_the_types_that_a_function_takes_and_returns_are_on_the_page_too(name):
    found = getattr(fsslib, name)
    if inspect.isfunction(found):
        types = set(re.findall(r"\bfsslib(?:\.\w+)+", str(inspect.signature(found))))
        assert types <= set(ON_THE_PAGE)
