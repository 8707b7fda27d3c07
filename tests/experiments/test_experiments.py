"""The sweeps' definitions and the paper's numbers."""

import pytest

from fsslib.experiments.paper import departures
from fsslib.experiments.sweeps import FULL, NAMES, PLAIN, VALUES, find_sweep
from tests.support.helpers import one_line


@pytest.mark.parametrize("name", NAMES)
def test_names_are_distinct_begin_with_the_sweeps_and_are_the_same_again(name):
    sweep = find_sweep(name)
    names = [e.name for e in sweep.experiments]
    assert len(set(names)) == len(names) >= 2
    assert all(n.startswith(f"{name}-") and " " not in n for n in names)
    assert find_sweep(name) == sweep


def test_table_3_has_the_papers_six_rows():
    rows = find_sweep("table3").experiments
    switches = [(e.changes["rectify_fg"], e.changes["rectify_bg"], e.changes["mine"]) for e in rows]
    assert switches == [
        (False, False, False), (True, False, False), (False, True, False),
        (False, False, True), (True, True, False), (True, True, True),
    ]  # fmt: skip
    assert [e.published.mean for e in rows] == [57.8, 58.9, 59.3, 59.8, 60.4, 62.1]
    assert (rows[0].changes, rows[-1].changes) == (PLAIN, FULL)


@pytest.mark.parametrize("name", ["table3", "table4", "table5", "table6", "table8"])
def test_published_means_are_those_of_the_published_folds(name):
    for experiment in find_sweep(name, "photos" if name == "table5" else None).experiments:
        row = experiment.published
        assert sum(row.folds) / 4 == pytest.approx(row.mean, abs=0.11)


def test_equal_settings_have_equal_numbers_in_all_tables():
    """Rows of two tables that are the same experiment: the paper repeats its number."""
    known = {}
    for name in ("table3", "table4", "table5", "table6", "table8"):
        for experiment in find_sweep(name).experiments:
            setting = {"k": 5, "unlabeled": ["train"], "miner": "clusters", **experiment.changes}
            if not setting["mine"]:
                setting["k"] = None
            row = known.setdefault(str(sorted(setting.items())), experiment.published)
            assert row == experiment.published, experiment.name


def test_table_5_has_the_rows_of_a_folder_only_with_one():
    assert [e.name for e in find_sweep("table5").experiments] == [
        "table5-none", "table5-train", "table5-train-remaining",
    ]  # fmt: skip
    rows = find_sweep("table5", "/photos").experiments
    assert rows[1].changes["unlabeled"] == ["/photos"]
    assert rows[3].changes["unlabeled"] == ["train", "/photos"]
    assert len(rows) == 5


@pytest.mark.parametrize("name", VALUES)
def test_sweeps_over_one_key_hold_the_papers_value(name):
    papers = {"beta": 0.2, "w": 0.9, "m": 0.999, "top_n": 4, "sigma": 20}
    assert papers[name] in [e.changes[name] for e in find_sweep(name).experiments]


def test_the_sweep_over_refinement_differs_in_nothing_else():
    rows = find_sweep("refine").experiments
    assert [e.changes["refine"] for e in rows] == ["none", "guided"]
    rest = [{k: v for k, v in e.changes.items() if k != "refine"} for e in rows]
    assert rest[0] == rest[1] == {"boundary_iou": True}


def test_unknown_names_and_a_folder_that_no_row_uses_are_refused():
    assert one_line(find_sweep, "table9").startswith("'table9' is no sweep: choose one of table3,")
    assert "table3 uses no folder" in one_line(find_sweep, "table3", "photos")


def test_departures_name_what_is_not_the_papers_unless_it_is_swept():
    from fsslib.experiments.presets import PROCEDURAL

    params = {k: v for k, v in PROCEDURAL.items() if "." not in k}
    params["unlabeled"] = [{"source": "train", "cap": None}]
    params["training"] = {
        k.split(".")[1]: v for k, v in PROCEDURAL.items() if k.startswith("training.")
    }
    found = departures(params, frozenset())
    assert "dataset procedural (paper: pascal)" in found
    assert "backbone timm:tf_efficientnet_lite2 (paper: resnet50)" in found
    assert "weights random (paper: ImageNet)" in departures(
        {**params, "weights": "random"}, frozenset()
    )
    assert "k 7 (paper: 5)" in departures({**params, "k": 7}, frozenset())
    assert not any(d.startswith("k ") for d in departures({**params, "k": 7}, frozenset({"k"})))
