"""The page of a run: whole, missing parts, hostile names, in a browser and on a phone."""

import json
import re
from html.parser import HTMLParser

import pytest
from typer.testing import CliRunner

from stages.tools.fss import app
from tests.support.page_browser import chromium, measure, needs_chromium
from tests.support.page_fakes import HOSTILE, change_json, forget, write_curve, write_run


class Page(HTMLParser):
    """Elements, addresses and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html, self.tags, self.addresses, self.ids, self.words = html, [], [], set(), []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "srcset", "poster", "data", "action", "background"):
                self.addresses.append(value)
            if name == "id":
                self.ids.add(value)

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def report(root, monkeypatch, *options) -> Page:
    monkeypatch.chdir(root)
    result = CliRunner().invoke(app, ["report", *options])
    assert result.exit_code == 0, result.output
    return Page((root / "results/report.html").read_text(encoding="utf-8"))


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "run")


def test_a_whole_run_has_every_part_and_no_notice(run, monkeypatch):
    page = report(run, monkeypatch)
    assert page.tags.count("img") == 8
    assert page.tags.count("svg") == 2 + 2 * 3
    assert {"pipeline", "results", "classes", "fold-0", "fold-1", "params"} <= page.ids
    assert "Before you read" not in page.text
    assert 'class="missing"' not in page.html
    assert "2 sub-clusters of 15 prototypes (8, 7), silhouette 0.250" in page.text
    assert "training.iterations 100" in page.text


def test_numbers_are_those_of_the_files(run, monkeypatch):
    page = report(run, monkeypatch)
    for path in run.glob("results/**/metrics.json"):
        for key in ("miou", "miou_std", "fb_iou"):
            for value in re.findall(rf'"{key}": ([\d.]+)', path.read_text()):
                assert f"{float(value):.2f}" in page.text
    overall = json.loads((run / "results/metrics.json").read_text())
    for iou in (*overall["shot1"]["classes"].values(), *overall["shot5"]["classes"].values()):
        assert f"{iou:.1f}" in page.text


def test_the_same_run_gives_the_same_bytes(run, monkeypatch, tmp_path):
    first = report(run, monkeypatch).html
    report(run, monkeypatch, "--out", str(tmp_path / "other.html"))
    assert (tmp_path / "other.html").read_text(encoding="utf-8") == first


def test_nothing_is_loaded_and_nothing_runs(run, monkeypatch):
    page = report(run, monkeypatch)
    assert not {"script", "link", "iframe", "object", "embed", "form", "base"} & set(page.tags)
    assert all(a.startswith(("data:image/webp;base64,", "#")) for a in page.addresses)
    assert {a[1:] for a in page.addresses if a.startswith("#")} <= page.ids
    assert not re.search(r"url\(|@import|\son\w+=|https?:", page.html)
    assert "default-src 'none'" in page.html


def test_hostile_names_are_text(run, monkeypatch):
    change_json(run / "results/folds/0/metrics.json", protocol="<img src=http://x>`<b>")
    page = report(run, monkeypatch)
    assert HOSTILE in page.text
    assert "dog & <b>bird</b>" in page.text
    assert "<script" not in page.html
    assert "<img src=http" not in page.html
    assert page.html.count("<b>bird") == 0


def test_missing_parts_are_said(run, monkeypatch):
    forget(run, "results/folds/0/pseudo.png", "results/folds/1", "data/*/1", "data/train/0")
    (run / "results/folds/0/episodes.png").write_bytes(b"half a pict")
    page = report(run, monkeypatch)
    assert "Fold 1 has not run." in page.text
    assert "The mean is not of what fold 1 scored" in page.text
    assert "pseudo.png is not there" in page.text
    assert "episodes.png cannot be read" in page.text
    assert "There are no curves" in page.text
    assert page.tags.count("img") == 2


def test_curves_alone_make_a_page(run, monkeypatch):
    forget(run, "results/*", "data/*/1")
    page = report(run, monkeypatch)
    assert "Fold 0 has not been evaluated." in page.text
    assert "no mean over the folds" in page.text
    assert "No fold has been evaluated" in page.text


def test_a_run_without_mining_says_so(run, monkeypatch):
    forget(run, "data/train/0/live/plots/metrics/pseudo*")
    page = report(run, monkeypatch)
    assert page.text.count("Trained without mining") == 1


def test_params_that_are_not_the_runs_are_noticed(run, monkeypatch):
    text = (run / "params.yaml").read_text()
    (run / "params.yaml").write_text(text.replace("protocol: paper ", "protocol: hsnet "))
    page = report(run, monkeypatch)
    assert "Fold 0 was evaluated with protocol paper, params.yaml now says hsnet." in page.text


def test_no_run_and_broken_files_are_one_line(run, monkeypatch, tmp_path):
    def fails() -> str:
        result = CliRunner().invoke(app, ["report"])
        assert result.exit_code == 1
        assert result.stderr.count("\n") == 1
        return result.stderr

    monkeypatch.chdir(run)
    write_curve(run / "data/train/0/live/plots/metrics", "loss", ["x"])
    assert "loss.tsv" in fails()
    (run / "results/metrics.json").write_text("{")
    assert "not readable JSON" in fails() or "loss.tsv" in fails()
    monkeypatch.chdir(write_run(tmp_path / "nothing", folds=()))
    assert "holds no run of the folds [0, 1]" in fails()


@needs_chromium
def test_chromium_renders_it_within_a_phone_and_a_desktop(run, monkeypatch, tmp_path):
    html = report(run, monkeypatch).html
    # Without the page's own policy: what is harmless then is harmless by its escaping.
    page = tmp_path / "page.html"
    page.write_text(re.sub(r"<meta http-equiv[^>]*>", "", html), encoding="utf-8")
    dumped = chromium(page, "--dump-dom")
    title = re.search(r"<title>(.*)</title>", dumped)[1]
    assert title.startswith("fsslib: procedural, ")
    assert 'id="fold-1"' in dumped
    seen = "[...page.images].filter(i => i.naturalWidth == 640).length"
    drawings = "[...page.querySelectorAll('.pipeline')].map(s => getComputedStyle(s).display)"
    script = f"[page.documentElement.scrollWidth, {seen}, {drawings}, page.title].join()"
    assert measure(page, 390, script) == f"390,8,none,block,{title}"
    assert measure(page, 1200, script) == f"1200,8,block,none,{title}"
