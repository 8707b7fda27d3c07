"""What a release says of itself: version, citation, workflow, files."""

import re
import tomllib

import pytest
from ruamel.yaml import YAML

import fsslib
from tests.support.project import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def yaml(name):
    return YAML(typ="safe").load((ROOT / name).read_text(encoding="utf-8"))


def test_the_version_is_the_same_everywhere():
    dated = re.findall(
        r"^## \[([\d.]+)\] - (\d{4}-\d\d-\d\d)$",
        (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    cited = yaml("CITATION.cff")
    assert PROJECT["version"] == fsslib.__version__ == cited["version"] == dated[0][0]
    assert cited["date-released"] == dated[0][1]


def test_the_citation_has_what_cff_1_2_0_asks_for():
    cited = yaml("CITATION.cff")
    known = {"cff-version", "message", "type", "title", "abstract", "authors", "version",
             "keywords", "date-released", "license", "preferred-citation"}  # fmt: skip
    assert {"cff-version", "message", "title", "authors"} <= set(cited) <= known
    assert cited["cff-version"] == "1.2.0"
    assert cited["type"] == "software"
    assert cited["license"] == PROJECT["license"]
    assert cited["authors"] == PROJECT["authors"]
    assert f"(c) 2026 {cited['authors'][0]['name']}\n" in (ROOT / "LICENSE").read_text()
    paper = cited["preferred-citation"]
    assert {"type", "title", "authors"} <= set(paper)
    assert [p["family-names"] for p in paper["authors"]] == ["Yang", "Zhuo", "Qi", "Shi", "Gao"]
    assert paper["url"].startswith("https://arxiv.org/abs/")
    assert isinstance(paper["year"], int)


def test_the_workflow_runs_make_test_with_every_python_of_the_project():
    text = (ROOT / ".github/workflows/test.yml").read_text(encoding="utf-8")
    flow = yaml(".github/workflows/test.yml")
    (job,) = flow["jobs"].values()
    least = PROJECT["requires-python"].removeprefix(">=")
    assert job["strategy"]["matrix"]["python"] == [least, "3.12", "3.13"]
    assert any(step.get("run", "").startswith("make test") for step in job["steps"])
    assert job["timeout-minutes"] <= 60
    assert flow["permissions"] == {"contents": "read"}
    assert flow["concurrency"]["cancel-in-progress"] is True
    assert "secrets." not in text


@pytest.mark.parametrize("line", (ROOT / "MANIFEST.in").read_text(encoding="utf-8").splitlines())
def test_the_list_of_the_source_distribution_names_what_exists(line):
    command, *names = line.split() or ["#"]
    if command in ("include", "graft"):
        for name in names:
            assert list(ROOT.glob(name)), name
            assert not re.search(r"config\.local|\.env|\.dvc/(tmp|cache)", name)
