"""What a sweep reruns, read off the real dvc.yaml."""

from collections import Counter

import pytest
from ruamel.yaml import YAML

from fsslib.experiments.sweeps import find_sweep
from stages.support.params_file import (
    load_params,
)
from stages.support.recorded import with_changes
from stages.support.reruns import Run, code, counts, read_pipeline, remembered, runs, waves
from tests.support.project import ROOT

PIPELINE = read_pipeline(ROOT / "dvc.yaml")
PARAMS = load_params(ROOT / "params.yaml")


def wanted(name, images=None):
    """The runs of each experiment of a sweep, and those of the committed params."""
    experiments = find_sweep(name, images).experiments
    each = [runs(PIPELINE, with_changes(PARAMS, e.changes).model_dump()) for e in experiments]
    return each, runs(PIPELINE, PARAMS.model_dump())


def to_compute(name, images=None):
    each, done = wanted(name, images)
    return counts(frozenset().union(*each) - done, PIPELINE)


def a_fold(name, images=None):
    """Distinct runs of each stage in the whole sweep; the matrix's for one fold."""
    each, _ = wanted(name, images)
    found = counts(frozenset().union(*each), PIPELINE)
    return {stage: n // (4 if "matrix" in PIPELINE[stage] else 1) for stage, n in found.items()}


@pytest.mark.parametrize("name", ["beta", "w", "top_n"])
def test_sweeps_over_rectification_only_evaluate(name):
    assert set(to_compute(name)) == {"evaluate", "summarize"}
    assert a_fold(name)["train"] == 1


def test_table_3_trains_four_models_a_fold_and_encodes_once():
    found = a_fold("table3")
    assert (found["extract"], found["annotate"], found["train"], found["evaluate"]) == (1, 1, 4, 6)
    assert to_compute("table3") == {"train": 12, "index": 12, "evaluate": 20, "summarize": 5}


def test_table_4_trains_a_model_for_each_way_to_use_the_pool():
    found = a_fold("table4")
    assert (found["extract"], found["annotate"], found["train"], found["index"]) == (1, 1, 4, 4)
    assert to_compute("table4")["train"] == 16


def test_table_5_encodes_the_training_images_once_and_trains_a_model_a_source():
    found = a_fold("table5", "/photos")
    assert (found["extract"], found["cluster"], found["annotate"], found["train"]) == (1, 1, 4, 5)


def test_table_6_trains_three_models_a_fold_and_indexes_with_and_without_average():
    found = a_fold("table6")
    assert (found["extract"], found["train"], found["index"], found["evaluate"]) == (1, 3, 6, 6)


def test_table_7_trains_nothing():
    assert set(to_compute("table7")) == {"episodes", "reference", "evaluate", "summarize"}
    assert all(e.changes["baseline_lr"] is None for e in find_sweep("table7").experiments)


def test_table_8_extracts_once_and_goes_on_from_cluster():
    found = a_fold("table8")
    assert (found["extract"], found["collect"], found["cluster"], found["train"]) == (1, 1, 5, 5)
    assert not {"prepare", "extract", "collect", "episodes"} & set(to_compute("table8"))


@pytest.mark.parametrize("name", ["m", "sigma"])
def test_sweeps_over_training_annotate_nothing(name):
    found = to_compute(name)
    assert {"train", "index", "evaluate"} <= set(found)
    assert not {"extract", "cluster", "annotate", "episodes"} & set(found)


def test_what_is_out_of_date_is_computed_with_all_that_depends_on_it():
    params = PARAMS.model_dump()
    kept = runs(PIPELINE, params) & runs(PIPELINE, params, {"cluster@2"})
    lost = {run.name for run in runs(PIPELINE, params) - kept}
    assert lost == {f"{stage}@2" for stage in ("cluster", "annotate", "train", "index")} | {
        "evaluate@2", "summarize",
    }  # fmt: skip


def test_runtime_and_frozen_stages_do_not_count():
    params = PARAMS.model_dump()
    assert runs(PIPELINE, {**params, "runtime": {}}) == runs(PIPELINE, params)


def test_code_is_every_python_dependency_and_dvc_yaml():
    files = code(PIPELINE)
    assert {"dvc.yaml", "stages/train.py", "fsslib/training/trainer.py"} <= set(files)
    assert all((ROOT / f).is_file() for f in files)


def test_stages_with_results_in_git_are_no_part_of_the_run_cache():
    assert set(PIPELINE) - remembered(PIPELINE) == {"evaluate", "summarize"}


@pytest.mark.parametrize("name", ["table3", "table6", "table8", "beta"])
@pytest.mark.parametrize("computed", [True, False])
def test_no_wave_needs_a_missing_run_twice_and_all_are_in_one(name, computed):
    each, base = wanted(name)
    known = set(base) if computed else set()
    found = waves(each, known)
    assert sorted(n for wave in found for n in wave) == list(range(len(each)))
    for wave in found:
        missing = Counter(run for n in wave for run in set(each[n]) - known)
        assert set(missing.values()) <= {1}
        known |= set(missing)


def test_independent_experiments_run_in_one_wave_and_a_cold_start_takes_the_first_alone():
    each, base = wanted("table8")
    assert waves(each, base) == [[0, 1, 2, 3, 4]]
    assert waves(each, ()) == [[0], [1, 2, 3, 4]]


def test_a_dependency_in_the_folder_of_an_output_counts():
    pipeline = YAML(typ="safe").load(
        "{a: {outs: [data/a], params: [x]}, b: {deps: [data/a/file], params: [y.z]}}"
    )
    one, other = (runs(pipeline, {"folds": [0], "x": x, "y": {"z": 1}}) for x in (1, 2))
    assert not one & other
    assert {run.name for run in one} == {"a", "b"}
    assert Run("a", "a", "") not in one
