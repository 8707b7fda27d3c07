"""Every message that docs/troubleshooting.md quotes is still in the source."""

import ast
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.project import ROOT

PAGE = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
GAP = "…"


def messages(text):
    """The code at the start of each item, and after `and` or `or` the second one."""
    found = []
    for item in re.findall(r"^- (.*(?:\n  .*)*)", text, re.MULTILINE):
        joined = " ".join(item.split())
        found += re.findall(r"^`([^`]+)`", joined)
        found += re.findall(r"^`[^`]+` (?:and|or) `([^`]+)`", joined)
    return found


QUOTED = messages(PAGE)


def text_of(node):
    """A string expression with the gap where a value comes in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return text_of(node.left) + text_of(node.right)
    return GAP


@cache
def ours():
    """All strings of our code, one a line."""
    found = []
    for folder in ("fsslib", "stages"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            kinds = ast.JoinedStr | ast.Constant | ast.BinOp
            found += [text_of(node) for node in ast.walk(tree) if isinstance(node, kinds)]
    return "\n".join(" ".join(text.split()) for text in found)


@cache
def dvcs():
    """The source of DVC, in which a string may be cut into two lines."""
    folder = Path(find_spec("dvc").submodule_search_locations[0])
    names = ("lock.py", "rwlock.py", "repo/__init__.py", "repo/reproduce.py")
    texts = [(folder / name).read_text(encoding="utf-8") for name in names]
    return " ".join(re.sub(r'"\s*\n\s*f?"', "", text) for text in texts)


def is_there(message, source):
    """Whether each part between two gaps is in one line of the source, in this order."""
    parts = [re.escape(part) for part in message.strip(f"{GAP} ").split(GAP)]
    return re.search("[^\n]*?".join(parts), source) is not None


@pytest.mark.parametrize("message", QUOTED)
def test_the_message_is_in_the_source(message):
    assert len(max(message.split(GAP), key=len)) > 6, "too little of the message is left"
    assert is_there(message, ours()) or is_there(message, dvcs())


def test_a_message_that_nothing_prints_is_found():
    assert messages("- `a … b` Cause.\n- `c` or `d`\n  `e`\n") == ["a … b", "c", "d"]
    assert is_there("k=… needs at least …", ours())
    assert not is_there("k=… needs at most …", ours())
    assert 25 <= len(QUOTED) <= 70
