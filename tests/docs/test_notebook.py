"""The notebook: text and notebook agree, it runs in an empty folder, its outputs are kept."""

import ast
import base64
import io
import json
import re
import sys
import tempfile
from types import ModuleType

import pytest
from PIL import Image, ImageStat

from tests.docs.test_links import site_hook
from tests.support.project import ROOT

FOLDER = ROOT / "docs/notebooks"
TEXT = (FOLDER / "mining.py").read_text(encoding="utf-8")
NOTEBOOK = (FOLDER / "mining.ipynb").read_text(encoding="utf-8")
REMEDY = "run `make notebook`"


def cells_of_text(text):
    """(kind, source) of each cell in jupytext's percent format."""
    cells = []
    for part in re.split(r"^# %%", text, flags=re.MULTILINE)[1:]:
        head, _, body = part.partition("\n")
        body = body.strip("\n")
        if "[markdown]" in head:
            cells.append(("markdown", re.sub(r"^# ?", "", body, flags=re.MULTILINE)))
        else:
            cells.append(("code", body))
    return cells


def cells_of_notebook():
    return json.loads(NOTEBOOK)["cells"]


def test_the_notebook_has_the_cells_of_its_text():
    found = [(c["cell_type"], "".join(c["source"])) for c in cells_of_notebook()]
    assert found == cells_of_text(TEXT), REMEDY


def pictures():
    outputs = [o for c in cells_of_notebook() for o in c.get("outputs", [])]
    return [
        base64.b64decode(content)
        for output in outputs
        for kind, content in output.get("data", {}).items()
        if kind.startswith("image/")
    ]


def test_its_outputs_are_kept_and_small():
    assert len(NOTEBOOK.encode()) < 600_000
    assert "error" not in {
        o["output_type"] for c in cells_of_notebook() for o in c.get("outputs", [])
    }
    assert len(pictures()) == 5
    for picture in pictures():
        shown = Image.open(io.BytesIO(picture)).convert("RGB")
        assert min(shown.size) > 100
        assert max(ImageStat.Stat(shown).stddev) > 20, "a picture of one colour"
    printed = [
        "".join(o["text"]) for c in cells_of_notebook() for o in c.get("outputs", []) if "text" in o
    ]
    assert any("novel: zebra" in text for text in printed)


def test_each_cell_ran_once_in_order():
    counts = [c["execution_count"] for c in cells_of_notebook() if c["cell_type"] == "code"]
    assert counts == list(range(1, len(counts) + 1)), REMEDY


class Shown:
    """Stands for IPython's picture, which tests do not install."""

    def __init__(self, data, format="png"):
        self.data = data


@pytest.mark.slow
def test_the_text_runs_and_shows_what_it_says(tmp_path, monkeypatch, capsys):
    display = ModuleType("IPython.display")
    display.Image = Shown
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    work, temporary = tmp_path / "work", tmp_path / "temporary"
    work.mkdir()
    temporary.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    names, shown = {"__name__": "notebook"}, 0
    for number, (kind, source) in enumerate(cells_of_text(TEXT)):
        if kind == "code":
            tree = ast.parse(source)
            last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
            exec(compile(tree, f"cell {number}", "exec"), names)
            if last:
                value = eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), names)
                shown += isinstance(value, Shown)
    assert shown == len(pictures())
    # What the text says of the pictures and numbers.
    measured = dict(names["results"])
    assert measured["w = 0.9, beta = 0.0"] > measured["w = 0.0, beta = 0.0"] + 4
    assert 1 < measured["w = 0.9, beta = 0.0"] - measured["w = 0.9, beta = 0.2"] < 3
    lines = capsys.readouterr().out.splitlines()
    shares = [int(re.search(r"(\d+)%", line)[1]) for line in lines if "%" in line]
    assert min(shares[:-1]) > 2 * shares[-1]
    assert list(work.iterdir()) == []
    assert list(temporary.iterdir()) == []


def test_the_page_of_the_site_has_all_cells_and_pictures():
    page, files = site_hook().notebook_page(NOTEBOOK)
    assert [*files.values()] == pictures()
    assert all(f"](../{name})" in page for name in files)
    for kind, source in cells_of_text(TEXT):
        assert (f"```python\n{source}\n```" if kind == "code" else source) in page
    assert "```text\nnovel: zebra" in page


def test_it_uses_public_names_only():
    for node in ast.walk(ast.parse(TEXT)):
        names = [alias.name for alias in getattr(node, "names", []) if isinstance(alias, ast.alias)]
        assert not [n for n in names if n.startswith("_")]
        assert not (isinstance(node, ast.Attribute) and node.attr.startswith("_"))


def test_a_changed_text_is_noticed():
    assert cells_of_text(TEXT.replace("k=5", "k=6")) != cells_of_text(TEXT)
    assert cells_of_text("# head\n# %% [markdown]\n# # a\n#\n# b\n\n# %%\nx = 1\n\n\ny\n") == [
        ("markdown", "# a\n\nb"),
        ("code", "x = 1\n\n\ny"),
    ]
