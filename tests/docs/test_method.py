"""The tables of docs/method.md: every function is in the file that they name."""

import ast
import re

import pytest

from tests.support.project import ROOT

ROWS = [
    [cell.strip() for cell in line.split("|")[1:-1]]
    for line in (ROOT / "docs/method.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("|") and re.search(r"`(fsslib|stages)/[\w/]+\.py`", line)
]


def names_in(path):
    """Functions and classes of a file, methods as `Class.method`."""
    found = set()
    for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            found |= {node.name}
            inner = (n for n in node.body if isinstance(n, ast.FunctionDef))
            found |= {f"{node.name}.{n.name}" for n in inner}
        elif isinstance(node, ast.FunctionDef):
            found.add(node.name)
    return found


@pytest.mark.parametrize("row", [r for r in ROWS if len(r) == 4], ids=lambda row: row[1][:40])
def test_every_function_is_where_the_table_says(row):
    files = re.findall(r"`((?:fsslib|stages)/[\w/]+\.py)`", row[3])
    wanted = re.findall(r"`([\w.]+)`", re.sub(r"stage `\w+`|\(stage `\w+`\)", "", row[2]))
    known = set().union(*(names_in(path) for path in files))
    assert set(wanted) <= known, set(wanted) - known


def test_every_equation_has_a_row():
    assert {str(number) for number in range(1, 10)} <= {row[0] for row in ROWS}
