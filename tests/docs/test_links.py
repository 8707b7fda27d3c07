"""Every relative link, image and anchor of the documentation leads somewhere."""

import importlib.util
import re
import subprocess
import sys
from urllib.parse import unquote

import pytest

from tests.support.docs_markdown import PAGES, anchors, links, name_of
from tests.support.page_browser import needs_chromium, widths
from tests.support.project import ROOT


def broken(path, root=ROOT) -> list[str]:
    """Links of a page that lead nowhere, or out of the project."""
    wrong = []
    for link in links(path):
        target, _, anchor = unquote(link).partition("#")
        file = (path.parent / target).resolve() if target else path
        if not file.is_relative_to(root) or not file.exists():
            wrong.append(f"{link}: no such file")
        elif anchor and (file.suffix != ".md" or anchor not in anchors(file)):
            wrong.append(f"{link}: no such heading")
    return wrong


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_link_leads_somewhere(path):
    assert broken(path) == []


def test_links_are_found_at_all():
    assert {"docs/pipeline.md", "docs/images/use.jpg", "LICENSE"} <= {
        link for path in PAGES for link in links(path)
    }
    assert len(PAGES) >= 11


def test_broken_links_are_named(tmp_path):
    (tmp_path / "b.md").write_text(
        "# Two `words`, here\n\n```sh\n# no heading\n```\n\n# Two\n\n# Two\n"
    )
    (tmp_path / "a.md").write_text(
        "# Top\n[1](b.md#two-words-here) [2](b.md#two-1) [3](#top) [4](https://x.org) `[5](c.md)`\n"
        "[6](b.md#no-heading) [7](b.md#two-2) ![8](none.png) [9](../..) [10](#bottom)\n"
        "\n[r]: c.md\n"
        '<img src="d.png"> [a text\nof two lines](e.md)\n'
    )
    assert [line.split(":")[0] for line in broken(tmp_path / "a.md", tmp_path)] == [
        "b.md#no-heading",
        "b.md#two-2",
        "none.png",
        "../..",
        "#bottom",
        "e.md",
        "c.md",
        "d.png",
    ]


def site_hook():
    spec = importlib.util.spec_from_file_location("site_hook", ROOT / "docs/site_hook.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_site_has_every_page():
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:\n")[1]
    docs = ROOT / "docs"
    pages = {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")}
    assert set(re.findall(r": (\S+\.md)$", nav, re.MULTILINE)) == pages | set(
        site_hook().PAGES.values()
    )


@pytest.mark.parametrize(
    ("here", "link", "expected"),
    [
        ("docs/data.md", "[x](../data/README.md)", "[x](archives.md)"),
        ("docs/method.md", "[x](results.md#time)", "[x](results.md#time)"),
        ("README.md", "![x](docs/images/episodes.png)", "![x](images/episodes.png)"),
        ("data/README.md", "[x](../docs/data.md)", "[x](data.md)"),
        ("docs/how-to/a.md", "[x](../../params.yaml)", "[x](../params.md)"),
        ("docs/how-to/a.md", "[x](../data.md#y) [z](b.md)", "[x](../data.md#y) [z](b.md)"),
        (
            "docs/data.md",
            "[x](how-to/b.md) [y](recipes/a.sh)",
            "[x](how-to/b.md) [y](recipes/a.sh)",
        ),
        ("README.md", "[x](params.yaml) [y](LICENSE)", "[x](params.md) [y](license.md)"),
        ("docs/data.md", "[the benchmarks](../benchmarks), [x](#y)", "the benchmarks, [x](#y)"),
        (
            "docs/data.md",
            "[x](../nothing) [y](https://x.org)",
            "[x](../nothing) [y](https://x.org)",
        ),
    ],
)
def test_links_out_of_docs_lead_to_pages_of_the_site(here, link, expected):
    hook = site_hook()
    assert hook.LINK.sub(lambda found: hook.lead(found, here), link) == expected


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("material", reason="needs pip install -e '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_strict_build_passes_and_loads_nothing(site):
    html = (site / "index.html").read_text(encoding="utf-8")
    assert "fonts.googleapis" not in html
    assert '<script src="http' not in html


@needs_chromium
def test_no_page_of_the_site_is_wider_than_a_phone(site):
    found = widths(sorted(site.glob("*.html")), 390)
    assert len(found) > 15
    assert {name: width for name, width in found.items() if width > 390} == {}
