"""The drawing of the pipeline in docs/pipeline.md is that of DVC."""

import importlib.util

import networkx as nx
import pytest

from tests.support.project import ROOT


def load(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / f"docs/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


diagram, site_hook = load("diagram"), load("site_hook")


@pytest.fixture(scope="module")
def drawn():
    return diagram.read_graph(), diagram.per_fold()


def test_page_and_picture_are_up_to_date(drawn):
    (block,) = diagram.BLOCK.findall(diagram.PAGE.read_text(encoding="utf-8"))
    assert block == diagram.mermaid(*drawn), "run 'make deps'"
    assert diagram.PICTURE.read_text(encoding="utf-8") == diagram.svg(*drawn), "run 'make deps'"


def test_every_stage_is_drawn_and_no_way_is_lost(drawn):
    graph, folds = drawn
    assert {"fingerprint", "train", "summarize"} <= set(graph)
    assert {"train", "evaluate"} <= folds < set(graph)
    assert nx.has_path(graph, "prepare", "train")
    assert not nx.has_path(graph, "evaluate", "train")
    assert len(set(diagram.places(graph).values())) == len(graph)


def test_the_site_shows_the_picture_since_it_has_no_mermaid():
    page = type("P", (), {"file": type("F", (), {"src_uri": "pipeline.md"})})
    shown = site_hook.on_page_markdown(diagram.PAGE.read_text(encoding="utf-8"), page)
    assert "mermaid\n" not in shown
    assert "](images/pipeline.svg)" in shown
