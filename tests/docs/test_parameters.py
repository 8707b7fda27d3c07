"""docs/parameters.md has every key of params.yaml with its default."""

import re

import pytest
from ruamel.yaml import YAML

from tests.support.docs_commands import params, pipeline
from tests.support.project import ROOT

ROWS = {
    cells[1].strip().strip("`"): [cell.strip() for cell in cells[2:-1]]
    for cells in (
        line.split("|")
        for line in (ROOT / "docs/parameters.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("| `")
    )
}


def flat(content, prefix=""):
    for key, value in content.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


KEYS = list(flat(params()))


def test_every_key_has_a_row_and_every_row_a_key():
    assert set(ROWS) == {key for key, _ in KEYS}


@pytest.mark.parametrize(("key", "value"), KEYS)
def test_the_default_is_that_of_params_yaml(key, value):
    assert YAML(typ="safe").load(ROWS[key][1]) == value


@pytest.mark.parametrize("key", [key for key, _ in KEYS])
def test_the_stage_that_reruns_is_the_first_that_reads_it(key):
    stages = re.findall(r"`(\w+)`", ROWS[key][3])
    top = key.split(".")[0]
    tracked = [name for name, stage in pipeline().items() if top in stage.get("params", [])]
    if top == "runtime":
        assert stages == tracked == []
    elif top == "folds":
        assert stages == ["cluster"]  # the matrix
    else:
        assert stages[0] == next(name for name in tracked if name != "fingerprint")
