"""`fss data`: what a person types, sees and gets as exit code."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from fsslib.data.palette import voc_palette
from stages.tools.data import app
from tests.support.fakes import (
    REAL,
    jpeg_bytes,
    make_voc,
    mask_values,
    needs_coco,
    official_sbd,
    official_voc,
    pack,
    png_bytes,
    write,
)


def run(*args: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in args])


def test_pascal_from_archives(tmp_path: Path) -> None:
    voc = pack(official_voc(tmp_path / "v"), tmp_path / "VOCtrainval_11-May-2012.tar")
    sbd = pack(official_sbd(tmp_path / "s"), tmp_path / "benchmark.tgz")
    out = tmp_path / "pascal"
    result = run("pascal", "--voc", voc, "--sbd", sbd, "--out", out, "--processes", 1)
    assert result.exit_code == 0, result.stderr
    assert "4 training images (2 masks of VOC, 2 of SBD, 1 in both)" in result.stderr
    assert "note: train has 4 images, the official archives give 10582" in result.stderr
    assert "aeroplane" in result.stdout
    assert run("check", out, "--processes", 1).exit_code == 0
    again = run("pascal", "--voc", voc, "--out", out)
    assert again.exit_code == 1
    assert again.stderr == f"error: --out {out} holds a dataset already: remove it or choose " + (
        "another name\n"
    )


def test_pascal_without_sbd_says_so(tmp_path: Path) -> None:
    voc = official_voc(tmp_path / "v")
    result = run("pascal", "--voc", voc, "--out", tmp_path / "o", "--processes", 1)
    assert result.exit_code == 0
    assert "note: no --sbd: train is VOC's own 2 images, not the 10582" in result.stderr


@needs_coco
@pytest.mark.parametrize("repeated", [True, False])
def test_coco_takes_several_values_an_option(tmp_path: Path, repeated: bool) -> None:
    source, out = REAL / "coco-tiny", tmp_path / "coco"
    folders = [source / "train2017", source / "val2017"]
    files = [source / f"annotations/instances_{s}2017.json" for s in ("train", "val")]
    if repeated:
        options = ["--images", folders[0], "--annotations", files[0], "--images", folders[1],
                   "--annotations", files[1]]  # fmt: skip
    else:
        options = ["--images", *folders, "--annotations", *files]
    result = run("coco", *options, "--out", out, "--processes", 1)
    assert result.exit_code == 0, result.stderr
    assert "50 training and 50 validation images, 842 instances, 10 crowds" in result.stderr
    assert "toothbrush" in result.stdout


def test_folder_reports_small_classes(tmp_path: Path) -> None:
    for i in range(8):
        write(tmp_path / f"i/{i}.jpg", jpeg_bytes(i))
        write(tmp_path / f"m/{i}.png", png_bytes(mask_values(i, [1 + i % 3])))
    classes = write(tmp_path / "classes.yaml", b"classes: [ant, bee, cat]\n")
    out = tmp_path / "mine"
    result = run("folder", "--images", tmp_path / "i", "--masks", tmp_path / "m", "--classes",
                 classes, "--out", out, "--processes", 1)  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert "6 training and 2 validation images; 0 photographs without a label" in result.stderr
    assert result.stdout.count("too small") == 3
    assert run("check", out, "--processes", 1).exit_code == 0


def test_check_prints_every_count_and_fails_on_problems(tmp_path: Path) -> None:
    root = make_voc(tmp_path / "voc", train=30, val=3)
    for i in range(25):
        write(root / f"SegmentationClass/2007_{i:06d}.png", b"broken")
    result = run("check", root, "--processes", 1)
    assert result.exit_code == 1
    assert "25 problems: mask" in result.stdout
    assert "  and 5 more: --all prints them" in result.stdout
    assert result.stderr.splitlines()[-1] == f"error: {root}: 25 problems, 0 warnings: see above"
    everything = run("check", root, "--all", "--processes", 1).stdout
    assert everything.count("cannot be read") == 25


def test_check_fails_on_warnings_when_strict(tmp_path: Path) -> None:
    root = make_voc(tmp_path / "voc")
    first = root / "JPEGImages/2007_000000.jpg"
    write(root / "JPEGImages/2007_000001.jpg", first.read_bytes())
    result = run("check", root, "--processes", 1)
    assert result.exit_code == 0
    assert "1 warning: duplicate" in result.stdout
    assert run("check", root, "--strict", "--processes", 1).exit_code == 1


def test_check_without_folder_takes_the_one_of_params(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_voc(tmp_path / "elsewhere")
    params = Path("params.yaml").read_text()
    params = params.replace("dataset: procedural", "dataset: pascal")
    write(
        tmp_path / "params.yaml", params.replace("data_root: null", "data_root: elsewhere").encode()
    )
    monkeypatch.chdir(tmp_path)
    result = run("check", "--processes", 1)
    assert result.exit_code == 0, result.stderr
    assert "listed: 4 train, 3 val" in result.stdout


@pytest.mark.parametrize("args", [
    ("pascal", "--voc", "gone.tar", "--out", "x"),
    ("coco", "--images", "gone", "--annotations", "train.json", "--out", "x"),
    ("folder", "--images", "gone", "--masks", "gone", "--out", "x"),
    ("check", "gone"),
])  # fmt: skip
def test_missing_inputs_are_one_line_and_code_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*args)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["pascal", "coco", "folder", "check"])
def test_every_command_has_help(name: str) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0
    assert "Usage" in result.stdout


def test_palette_is_the_official_one() -> None:
    palette = voc_palette()
    known = {0: (0, 0, 0), 1: (128, 0, 0), 15: (192, 128, 128), 20: (0, 64, 128),
             255: (224, 224, 192)}  # fmt: skip
    assert {i: tuple(palette[3 * i : 3 * i + 3]) for i in known} == known
