"""Folders that cannot be written, are full, or vanish while a stage runs."""

import os
import resource
import shutil
from contextlib import contextmanager

import pytest

from fsslib.data import pool
from stages import evaluate, extract
from tests.support.world import Case, all_of, gone, link, nothing, put, run, set_params

STAGES = {
    "prepare": "data/prepare",
    "extract": "data/extract",
    "collect": "data/collect",
    "cluster --fold 0": "data/cluster",
    "annotate --fold 0": "data/annotate",
    "train --fold 0": "data/train",
    "index --fold 0": "data/index",
    "episodes --fold 0": "data/episodes",
    "evaluate --fold 0": "results/folds/0",
    "summarize": "results",
}
"""Stage -> a folder that it writes into."""
NOBODY = 65534


@contextmanager
def nobody():
    """Root may write anywhere: be somebody else for a while."""
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def readable(project):
    """The project, where anybody may read it; its parents are closed to others."""
    moved = shutil.move(project, "/tmp/fsslib-read-only")
    os.chdir(moved)
    for path, folders, files in os.walk(moved):
        os.chmod(path, 0o555)  # noqa: PTH101
        for name in [*folders, *files]:
            os.chmod(os.path.join(path, name), 0o555)  # noqa: PTH101, PTH118
    yield moved
    os.chdir(project.parent)
    shutil.rmtree(moved)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else and back")
@pytest.mark.parametrize("stage", STAGES)
def test_a_read_only_project_is_one_line(readable, stage):
    with nobody():
        result = run(stage)
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.exit_code == 1
    (line,) = [r for r in result.stderr.splitlines() if r.startswith("error: ")]
    assert "Permission denied" in line, line
    assert "mend the path, then rerun" in line


@pytest.mark.parametrize("stage", STAGES)
def test_a_file_in_the_place_of_a_folder_is_one_line(check, stage):
    folder = STAGES[stage] if STAGES[stage] != "results" else "results/table.md/x"
    damage = (
        put(folder, b"x")
        if stage != "summarize"
        else all_of(gone("results/table.md"), put(folder, b"x"))
    )
    if stage in ("prepare", "extract"):
        damage = all_of(gone("data"), put("data", b"x"))
    elif stage != "summarize":
        damage = all_of(gone(folder), put(folder, b"x"))
    if stage == "evaluate --fold 0":
        damage = all_of(gone("results"), put("results", b"x"))
    check(Case("a file", stage, damage, ""))


@contextmanager
def largest_file(size):
    """No file may grow beyond this: what a full disk says, without one."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)


@pytest.mark.parametrize("stage", STAGES)
def test_a_full_disk_is_one_line_and_with_space_the_stage_succeeds(check, project, stage):
    with largest_file(10):
        check(Case("full", stage, nothing, "File too large: free space or mend the path"))
    check(Case("space again", stage, nothing, "", 0))


VANISHING = {
    "extract": (extract, "photos"),
    "annotate --fold 0": (pool, "photos"),
    "index --fold 0": (pool, "photos"),
    "evaluate --fold 0": (evaluate, "photos"),
}


@pytest.mark.parametrize("stage", VANISHING)
def test_photographs_that_vanish_in_mid_run_are_one_line(check, project, monkeypatch, stage):
    module, folder = VANISHING[stage]
    seen = []

    def vanish(*args, **kwargs):
        seen.append(args)
        if len(seen) == 2:
            shutil.rmtree(project / folder)
        return read(*args, **kwargs)

    if stage == "evaluate --fold 0":
        from fsslib.data import images

        read, module = images.read_image, images
    else:
        read = module.read_image
    if stage == "annotate --fold 0":
        set_params(dense_features=False)(project)
        assert run("extract").exit_code == 0
    monkeypatch.setattr(module, "read_image", vanish)
    check(Case("vanishes", stage, nothing, "does not exist"))
    assert len(seen) >= 2


@pytest.mark.parametrize(("name", "stage"), [
    ("data/prepare", "extract"),
    ("data/extract", "collect"),
    ("data/collect", "cluster --fold 0"),
    ("data/cluster", "annotate --fold 0"),
    ("data/annotate", "train --fold 0"),
    ("data/train", "index --fold 0"),
    ("data/index", "evaluate --fold 0"),
    ("data/episodes", "evaluate --fold 0"),
    ("results/folds", "summarize"),
    ("photos", "prepare"),
])  # fmt: skip
def test_an_input_folder_that_links_to_itself_is_one_line(check, name, stage):
    check(Case(name, stage, link(name, name.rsplit("/")[-1]), ""))
