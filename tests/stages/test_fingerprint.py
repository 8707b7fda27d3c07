"""What changes outside of the project is noticed, and reruns what reads it, and that alone."""

import hashlib
import importlib
import json
import os
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fsslib.files import fingerprints
from fsslib.files.shards import file_digest
from stages.support import outside as outside_module
from stages.support.outside import NAMES
from stages.support.outside_now import OutsideNow, _recorded
from stages.support.params_file import load_params
from stages.support.reruns import read_pipeline, readers
from tests.support import outside
from tests.support.outside import CHANGES, make_outside, real_weights, set_outside_params
from tests.support.project import ROOT, Project
from tests.support.world import (
    STEPS,
    gone,
    inside,
    rewrite,
    run,
    run_steps,
    set_params,
)

PIPELINE = read_pipeline(ROOT / "dvc.yaml")
FOLDER = Path("data/fingerprint")


def texts() -> dict[str, bytes]:
    assert run("fingerprint").exit_code == 0
    return {name: (FOLDER / f"{name}.txt").read_bytes() for name in NAMES}


def make_project(folder: Path) -> Path:
    make_outside(folder)
    shutil.copy(ROOT / "params.yaml", folder)
    set_outside_params(folder)
    return folder


@pytest.fixture
def project(tmp_path):
    """A project in which the test runs; nothing has run."""
    folder = make_project(tmp_path / "project")
    with inside(folder):
        yield folder


# ---- The fingerprints ---------------------------------------------------------------------------


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_a_change_changes_the_fingerprint_of_what_changed_alone(project, change):
    change.before(project)
    before = texts()
    change.make(project)
    after = texts()
    assert {name for name in NAMES if before[name] != after[name]} == change.changed
    files = [(FOLDER / f"{name}.txt").as_posix() for name in change.changed]
    found = readers(PIPELINE, {"folds": [0]}, files)
    assert {name.split("@")[0] for name in found} == change.reads


def test_the_committed_defaults_give_the_same_bytes_everywhere(tmp_path):
    shutil.copy(ROOT / "params.yaml", tmp_path)
    with inside(tmp_path):
        digest = hashlib.sha256(b"".join(texts().values())).hexdigest()
        assert not (tmp_path / ".scratch").exists()
    assert digest.startswith("29ecf54e3be7")  # also without the packages of the weights


def test_tar_files_of_the_pool_are_hashed(project):
    set_params(unlabeled=["pool-{0..1}.tar"])(project)
    for number in (0, 1):
        (project / f"pool-{number}.tar").write_bytes(b"as it was")
    before = texts()
    assert before["pool"].count(b"pool-") == 2
    (project / "pool-1.tar").write_bytes(b"another")
    after = texts()
    assert {name for name in NAMES if before[name] != after[name]} == {"pool"}
    (project / "pool-0.tar").unlink()
    shown = run("fingerprint")
    assert shown.exit_code == 1
    assert "pool-0.tar does not exist: correct 'pool-{0..1}.tar'" in shown.stderr


def test_another_path_another_order_and_other_times_give_the_same_bytes(project, tmp_path):
    first = texts()
    other = tmp_path / "of another name" / "clone"
    shutil.copytree(project, other, copy_function=shutil.copyfile)
    shutil.rmtree(other / "data")
    with inside(other):
        assert texts() == first


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (gone("weights.safetensors"), "weights.safetensors does not exist: set 'weights' to a"),
        (gone("photos"), "data_root: photos is not a folder"),
        (gone("photos/JPEGImages"), "has no folder JPEGImages"),
        (gone("pool"), "unlabeled: 'pool' is neither 'train' nor 'remaining' nor a folder"),
    ],
)
def test_what_is_missing_is_one_line_and_keeps_the_files(project, damage, says):
    before = texts()
    damage(project)
    result = run("fingerprint")
    assert result.exit_code == 1
    assert says in result.stderr
    assert result.stderr.count("\n") == 1
    assert {name: (FOLDER / f"{name}.txt").read_bytes() for name in NAMES} == before


def test_a_photograph_that_is_missing_or_endless_is_one_line_of_the_stage_that_reads_it(project):
    (project / "photos/JPEGImages/t00.png").unlink()
    texts()  # a missing one has no line
    assert "JPEGImages/t00 is missing" in run("prepare").stderr
    os.mkfifo(project / "photos/JPEGImages/t00.png")
    result = run("fingerprint")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "t00.png is not a regular file" in result.stderr


def test_with_a_holdout_no_validation_image_is_read(project):
    set_params(holdout=0)(project)
    for name in ("photos/JPEGImages", "photos/SegmentationClass"):
        (project / name / "v00.png").unlink()
        os.mkfifo(project / name / "v00.png")
    found = texts()
    assert found["val_masks"] == found["train_masks"]
    assert found["val_photographs"] == found["train_photographs"]


# ---- Memory -------------------------------------------------------------------------------------


def test_copies_of_the_project_use_its_memory(project, monkeypatch):
    monkeypatch.setattr(fingerprints, "RECENT_NS", -(10**12))
    first = texts()
    copy = project / ".dvc/tmp/exps/temp/abc"
    copy.mkdir(parents=True)
    shutil.copy("params.yaml", copy)
    monkeypatch.setattr(fingerprints, "_hash", None)  # nothing is read again
    with inside(copy):
        assert texts() == first
    assert not (copy / ".scratch").exists()


def test_a_bar_is_shown_when_it_takes_long(project, monkeypatch, capsys):
    made = []
    monkeypatch.setattr(outside_module, "QUICK_SECONDS", -1)
    real = outside_module.Bar
    monkeypatch.setattr(outside_module, "Bar", lambda *given: made.append(given) or real(*given))
    texts()
    assert ("Hashing train photographs", 8) in made
    assert ("Hashing photographs of pool", 2) in made
    made.clear()
    monkeypatch.setattr(outside_module, "QUICK_SECONDS", 60)
    texts()
    assert made == []


# ---- What reruns, and its bytes -----------------------------------------------------------------


class Rerun:
    """What DVC does, in this process: runs a stage if the content of a dependency is new."""

    def __init__(self) -> None:
        self.seen: dict[str, dict[str, str]] = {}

    def __call__(self) -> set[str]:
        ran = set()
        for stage in ("fingerprint", *STEPS):
            deps = [d.replace("${item.fold}", "0") for d in PIPELINE[stage]["deps"]]
            now = {d: content(Path(d)) for d in deps if d.startswith(("data/", "results/"))}
            if stage == "fingerprint" or self.seen.get(stage) != now:
                run_steps(stage)
                self.seen[stage] = now
                ran.add(stage)
        return ran - {"fingerprint"}


def content(path: Path) -> str:
    """Digest of a file, or of all files in a folder."""
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    told = [(p.relative_to(path).as_posix(), file_digest(p)) for p in files if p.exists()]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def outputs(project: Path) -> dict[str, str]:
    files = [p for top in ("data", "results") for p in (project / top).rglob("*") if p.is_file()]
    names = {p.relative_to(project).as_posix(): file_digest(p) for p in files}
    return {name: digest for name, digest in names.items() if not name.endswith("timing.json")}


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    """A project with real weights whose stages have run."""
    folder = make_project(tmp_path_factory.mktemp("outside") / "project")
    real_weights(folder / "weights.safetensors", 0)
    with inside(folder):
        rerun = Rerun()
        assert rerun() == set(STEPS)
        assert rerun() == set()
    yield folder, rerun
    shutil.rmtree(folder)


def rerun_and_compare(computed, tmp_path, changes) -> list[set[str]]:
    """Make changes one after the other; at the end the bytes are those of a fresh project."""
    folder, first = tmp_path / "project", Rerun()
    shutil.copytree(computed[0], folder)
    first.seen = dict(computed[1].seen)
    ran = []
    with inside(folder):
        for change in changes:
            change.make(folder)
            ran.append(first())
    fresh = make_project(tmp_path / "fresh")
    real_weights(fresh / "weights.safetensors", 0)
    with inside(fresh):
        for change in changes:
            change.make(fresh)
        run_steps("fingerprint", *STEPS)
    assert outputs(folder) == outputs(fresh)
    shutil.rmtree(folder)
    shutil.rmtree(fresh)
    return ran


@pytest.mark.slow
def test_what_reads_a_change_runs_again_and_gives_the_bytes_of_a_fresh_project(computed, tmp_path):
    changes = [outside.MOVED, outside.POOL_ADDED, outside.VAL_PHOTOGRAPH]
    moved, added, seen = rerun_and_compare(computed, tmp_path, changes)
    assert outside.OF_TRAIN_MASKS - {"reference"} <= moved
    assert "episodes" not in moved  # the manifest is the same
    assert added >= outside.OF_POOL
    assert not added & {"prepare", "extract", "collect", "cluster", "episodes"}
    assert seen - {"summarize"} == {"prepare", "evaluate"}


@pytest.mark.nightly
@pytest.mark.slow
@pytest.mark.parametrize("change", [c for c in CHANGES if c.changed], ids=str)
def test_each_change_alone_gives_the_bytes_of_a_fresh_project(computed, tmp_path, change):
    if "link" in change.name:
        pytest.skip("the fresh project holds no copy")
    (ran,) = rerun_and_compare(computed, tmp_path, [change])
    assert change.reads - {"reference"} <= ran


def test_features_of_other_weights_are_refused(computed, tmp_path):
    folder = tmp_path / "project"
    shutil.copytree(computed[0], folder)
    with inside(folder):
        before = outputs(folder)
        real_weights(folder / "weights.safetensors", 5)
        for stage in ("annotate", "train"):
            result = run(f"{stage} --fold 0")
            assert (result.exit_code, result.stderr.count("\n")) == (1, 1), result.stderr
            assert "data/cluster/0/clusters.h5 was made with weights" in result.stderr
            assert "run the stages from 'extract' again" in result.stderr
        assert outputs(folder) == before
        real_weights(folder / "weights.safetensors", 0)
        set_params(long_side=48)(folder)
        said = run("annotate --fold 0").stderr
        assert "was made with long_side null, not 48: run the stages from 'extract'" in said
    shutil.rmtree(folder)


def test_unfinished_work_is_not_continued_on_other_files(computed, tmp_path, monkeypatch):
    folder = tmp_path / "project"
    shutil.copytree(computed[0], folder)
    with inside(folder):
        names = []
        sharded = importlib.import_module("stages.support.sharded")
        write = sharded.write_shards
        spy = lambda shards, scratch, *rest: names.append(scratch) or write(shards, scratch, *rest)  # noqa: E731
        monkeypatch.setattr(sharded, "write_shards", spy)
        run_steps("extract")
        run_steps("extract")
        outside.turn_around(folder / "photos/JPEGImages/t02.png")
        run_steps("fingerprint", "extract")
        real_weights(folder / "weights.safetensors", 5)
        run_steps("extract")
    assert names[0] == names[1]
    assert len(set(names)) == 3
    shutil.rmtree(folder)


def test_photographs_that_vanish_after_the_fingerprint_are_one_line(computed, tmp_path):
    folder = tmp_path / "project"
    shutil.copytree(computed[0], folder)
    with inside(folder):
        (folder / "photos/JPEGImages/t00.png").unlink()
        rewrite(folder / "pool/a.jpg", b"no photograph")
        for stage in ("extract", "index --fold 0"):
            result = run(stage)
            assert result.exit_code == 1
            assert [line for line in result.stderr.splitlines() if "error" in line] == (
                result.stderr.splitlines()[-1:]
            )
            assert "t00.png does not exist" in result.stderr or "a.jpg cannot be" in result.stderr
    shutil.rmtree(folder)


def test_data_check_names_what_changed(computed, tmp_path):
    folder = tmp_path / "project"
    shutil.copytree(computed[0], folder)
    with inside(folder):
        app = importlib.import_module("stages.tools.data").app
        check = lambda *given: CliRunner().invoke(app, ["check", "--processes", "1", *given])  # noqa: E731
        assert "since the last" not in check().stdout
        outside.turn_around(folder / "photos/JPEGImages/v00.png")
        outside.turn_around(folder / "photos/SegmentationClass/t02.png")
        outside.one_line_less(folder / "photos/ImageSets/train.txt")
        for given in ((), ("photos",), (str(folder / "photos"),)):
            shown = check(*given).stdout
            assert "JPEGImages/v00.png changed since the last 'dvc repro'" in shown
            assert "SegmentationClass/t02.png changed since" in shown
            assert "JPEGImages/t07.png is gone since" in shown
            assert "4 warnings: changed" in shown
        shutil.copytree("photos", "others")
        assert "since the last" not in check("others").stdout
    shutil.rmtree(folder)


# ---- With DVC -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def faked(tmp_path_factory):
    """A project whose other stages are faked, with what lies outside beside it."""
    folder = tmp_path_factory.mktemp("dvc")
    make_outside(folder)
    made = Project(folder / "project")
    set_outside_params(made.folder, "../")
    made.finish_with_fakes()
    made.outside = folder
    return made


def runs_of(project, *command) -> set[str]:
    """Names of the stages that a command ran."""
    project.log.write_text("")
    project.run(*command)
    return {name.split("@")[0] for name in project.log.read_text().split()}


@pytest.mark.slow
def test_dvc_repro_runs_what_reads_the_change(faked, monkeypatch):
    assert runs_of(faked, "dvc", "repro", "--quiet") == set()
    outside.VAL_PHOTOGRAPH.make(faked.outside)
    monkeypatch.chdir(faked.folder)
    now, params = OutsideNow(PIPELINE), load_params()
    assert now.changed(params) == {"data/fingerprint/val_photographs.txt"}
    assert not now.same("HEAD", params)
    assert runs_of(faked, "dvc", "repro", "--quiet") >= {"prepare", "evaluate", "reference"}
    faked.commit()
    assert OutsideNow(PIPELINE).changed(params) == set()
    assert now.same("HEAD", params)
    assert _recorded("HEAD~1") not in ("", _recorded("HEAD"))


@pytest.mark.nightly
@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_dvc_repro_runs_what_reads_it_for_each_change(faked, tmp_path, change):
    change.before(faked.outside)
    faked.run("dvc", "repro", "--quiet")
    change.make(faked.outside)
    ran = runs_of(faked, "dvc", "repro", "--quiet")
    assert change.reads <= ran
    if not change.changed:
        assert ran == set()
    if change.changed == {"pool"}:
        assert not ran & {"prepare", "extract", "collect", "cluster", "episodes"}
    make_outside(faked.outside)
    shutil.rmtree(faked.outside / "pool")
    make_outside(faked.outside)
    faked.run("dvc", "repro", "--quiet")


@pytest.mark.nightly
@pytest.mark.slow
@pytest.mark.parametrize(("kind", "mask"), [("--temp", "v01.png"), ("--queue", "v03.png")])
def test_experiments_in_copies_notice_it_too(faked, kind, mask):
    faked.run("dvc", "repro", "--quiet")
    faked.commit()
    outside.turn_around(faked.outside / "photos/SegmentationClass" / mask)
    command = ("dvc", "exp", "run", kind, "-n", f"outside{kind}", "-S", "beta=0.3")
    if kind == "--temp":
        assert {"prepare", "evaluate", "reference"} <= runs_of(faked, *command)
    else:
        faked.run(*command)
        ran = runs_of(faked, "dvc", "exp", "run", "--run-all")
        assert {"prepare", "evaluate", "reference"} <= ran
