"""The public names of the package."""

import ast
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
