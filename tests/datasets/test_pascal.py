"""VOC and SBD in their official structure merge as the rule says."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from fsslib.data.images import read_mask
from fsslib.datasets.scan import load_dataset
from fsslib.datasets.sources import building, pascal
from fsslib.datasets.sources.pascal import decode_sbd, prepare_pascal
from fsslib.errors import FsslibError
from tests.support.fakes import mask_values, official_sbd, official_voc, pack, sbd_mat


def listed(out: Path, split: str) -> list[str]:
    return (out / "ImageSets" / f"{split}.txt").read_text().split()


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    return official_voc(tmp_path / "voc")


@pytest.fixture
def sbd(tmp_path: Path) -> Path:
    return official_sbd(tmp_path / "sbd")


def tree(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


@pytest.mark.parametrize("packed", [True, False])
def test_train_is_voc_train_and_sbd_without_voc_val(
    tmp_path: Path, voc: Path, sbd: Path, packed: bool
) -> None:
    if packed:
        voc, sbd = pack(voc, tmp_path / "v.tar"), pack(sbd, tmp_path / "benchmark.tgz")
    out = tmp_path / "out" / "pascal"
    report, manifest = prepare_pascal(voc, sbd, out)
    assert listed(out, "train") == ["a", "b", "e", "f"]
    assert listed(out, "val") == ["c", "d"]
    assert (report.from_voc, report.from_sbd, report.both, report.held_out) == (2, 2, 1, 1)
    # b and c are in both, VOC's own mask wins; e and f are SBD's alone.
    expected = {
        "a": mask_values(0, [1]), "b": mask_values(1, [2]), "c": mask_values(2, [3]),
        "d": mask_values(3, [4]), "e": mask_values(12, [7]), "f": mask_values(13, [8]),
    }  # fmt: skip
    for image_id in "ef":
        expected[image_id][0] = 0
    for image_id, values in expected.items():
        assert (read_mask(out / "SegmentationClass" / f"{image_id}.png") == values).all(), image_id
    assert {p.name for p in (out / "JPEGImages").iterdir()} == {f"{i}.jpg" for i in expected}
    assert {p.name for p in out.iterdir()} == {
        "JPEGImages", "SegmentationClass", "ImageSets", "dataset.json"
    }  # fmt: skip
    assert [p.name for p in out.parent.iterdir()] == ["pascal"]
    assert load_dataset("pascal", out) == manifest


def test_archives_and_folders_give_equal_bytes(tmp_path: Path, voc: Path, sbd: Path) -> None:
    prepare_pascal(voc, sbd, tmp_path / "x")
    archives = pack(voc, tmp_path / "v.tar"), pack(sbd, tmp_path / "benchmark.tgz")
    prepare_pascal(*archives, tmp_path / "y")
    assert tree(tmp_path / "x") == tree(tmp_path / "y")


def test_without_sbd_train_is_vocs_own_and_the_report_says_so(tmp_path: Path, voc: Path) -> None:
    report, _ = prepare_pascal(voc, None, tmp_path / "out")
    assert listed(tmp_path / "out", "train") == ["a", "b"]
    assert any("no --sbd: train is VOC's own 2 images, not the 10582" in n for n in report.notes)
    assert any("val has 2 images, the official archives give 1449" in n for n in report.notes)


def test_official_counts_leave_no_note() -> None:
    report = pascal.PascalReport(train=10_582, val=1_449)
    assert pascal._notes(report, with_sbd=True) == []
    assert len(pascal._notes(pascal.PascalReport(train=10_581, val=1_449), with_sbd=True)) == 1


def test_photographs_that_voc_lacks_come_from_sbd(tmp_path: Path, voc: Path, sbd: Path) -> None:
    (voc / "VOCdevkit/VOC2012/JPEGImages/f.jpg").unlink()
    out = tmp_path / "out"
    prepare_pascal(voc, sbd, out)
    source = sbd / "benchmark_RELEASE/dataset/img/f.jpg"
    assert (out / "JPEGImages/f.jpg").read_bytes() == source.read_bytes()


def test_photographs_of_folders_are_linked_not_copied(tmp_path: Path, voc: Path) -> None:
    prepare_pascal(voc, None, tmp_path / "out")
    assert (tmp_path / "out/JPEGImages/a.jpg").samefile(voc / "VOCdevkit/VOC2012/JPEGImages/a.jpg")


@pytest.mark.parametrize("step", ["VOC masks", "SBD masks", "photographs", "verified"])
def test_interrupted_preparation_goes_on_and_never_looks_whole(
    tmp_path: Path, voc: Path, sbd: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    archives = pack(voc, tmp_path / "v.tar"), pack(sbd, tmp_path / "benchmark.tgz")
    prepare_pascal(*archives, tmp_path / "whole")
    out = tmp_path / "out"

    def stop(what: str, done: int, total: int | None) -> None:
        if what == step and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_pascal(*archives, out, on_progress=stop)
    assert not out.exists()
    written: list[str] = []
    real = building.put
    monkeypatch.setattr(pascal, "put", lambda p, c: (written.append(p.name), real(p, c)))
    prepare_pascal(*archives, out)
    assert tree(out) == tree(tmp_path / "whole")
    assert not {"a.png", "b.png"} & set(written), "finished files were made again"
    assert not (tmp_path / ".out.preparing").exists()


def test_a_run_with_other_inputs_starts_from_nothing(tmp_path: Path, voc: Path, sbd: Path) -> None:
    def stop(what: str, done: int, total: int | None) -> None:
        if what == "verified":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_pascal(voc, sbd, tmp_path / "out", on_progress=stop)
    prepare_pascal(voc, None, tmp_path / "out")
    assert {p.stem for p in (tmp_path / "out/SegmentationClass").iterdir()} == set("abcd")
    assert {p.stem for p in (tmp_path / "out/JPEGImages").iterdir()} == set("abcd")


def test_a_taken_folder_is_left_alone(tmp_path: Path, voc: Path) -> None:
    out = tmp_path / "out"
    prepare_pascal(voc, None, out)
    with pytest.raises(FsslibError, match="holds a dataset already: remove it or choose"):
        prepare_pascal(voc, None, out)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/file").write_text("x")
    with pytest.raises(FsslibError, match="is not empty"):
        prepare_pascal(voc, None, tmp_path / "mine")
    with pytest.raises(FsslibError, match="is not a folder"):
        prepare_pascal(voc, None, tmp_path / "mine/file")


def test_two_preparations_at_once_are_refused(tmp_path: Path, voc: Path) -> None:
    out = tmp_path / "out"

    def again(what: str, done: int, total: int | None) -> None:
        with pytest.raises(FsslibError, match="is being prepared by another process"):
            prepare_pascal(voc, None, out)

    prepare_pascal(voc, None, out, on_progress=again)


@pytest.mark.parametrize(("gone", "expected"), [
    ("ImageSets/Segmentation/val.txt", "has no ImageSets/Segmentation/val.txt: give the archive"),
    ("SegmentationClass/b.png", "lacks SegmentationClass/b.png (1 masks in all)"),
    ("JPEGImages/d.jpg", "photograph d.jpg is in no archive (1 in all)"),
])  # fmt: skip
def test_incomplete_voc_is_told(tmp_path: Path, voc: Path, gone: str, expected: str) -> None:
    (voc / "VOCdevkit/VOC2012" / gone).unlink()
    with pytest.raises(FsslibError) as caught:
        prepare_pascal(voc, None, tmp_path / "out")
    assert expected in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_devkit_with_two_years_is_refused(tmp_path: Path, voc: Path) -> None:
    shutil.copytree(voc / "VOCdevkit/VOC2012", voc / "VOCdevkit/VOC2007")
    with pytest.raises(FsslibError, match="in two places: give the folder VOC2012 itself"):
        prepare_pascal(voc, None, tmp_path / "out")


def test_sbd_without_masks_is_told(tmp_path: Path, voc: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(FsslibError, match=r"has no cls/\*\.mat: give the archive benchmark\.tgz"):
        prepare_pascal(voc, tmp_path / "empty", tmp_path / "out")


def test_mask_of_another_size_than_its_photograph_stops_the_preparation(
    tmp_path: Path, voc: Path, sbd: Path
) -> None:
    path = sbd / "benchmark_RELEASE/dataset/cls/e.mat"
    path.write_bytes(sbd_mat(np.zeros((30, 60), np.uint8)))
    with pytest.raises(FsslibError, match=r"mask SegmentationClass/e\.png is 60x30 px"):
        prepare_pascal(voc, sbd, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_hidden_files_beside_masks_are_no_masks(tmp_path: Path, voc: Path, sbd: Path) -> None:
    """Archives packed on a Mac hold a `._x` for every x."""
    (sbd / "benchmark_RELEASE/dataset/cls/._e.mat").write_bytes(b"Mac OS X")
    (voc / "VOCdevkit/VOC2012/SegmentationClass/._a.png").write_bytes(b"Mac OS X")
    assert prepare_pascal(voc, sbd, tmp_path / "out")[0].train == 4


def test_sbd_file_gives_its_segmentation() -> None:
    values = mask_values(1, [20, 3])
    values[0] = 0
    decoded = decode_sbd(sbd_mat(values), "x.mat")
    assert decoded.dtype == np.uint8
    assert (decoded == values).all()


def mat(content: object) -> bytes:
    stream = io.BytesIO()
    savemat(stream, content)
    return stream.getvalue()


@pytest.mark.parametrize(("content", "expected"), [
    (b"", "no readable GTcls.Segmentation"),
    (b"MATLAB 5.0" * 30, "no readable GTcls.Segmentation"),
    (mat({"other": 1}), "no readable GTcls.Segmentation"),
    (mat({"GTcls": {"Boundaries": 1}}), "no readable GTcls.Segmentation"),
    (mat({"GTcls": {"Segmentation": np.full((2, 2), 21)}}), "class ids beyond 20"),
    (mat({"GTcls": {"Segmentation": np.full((2, 2), 0.5)}}), "class ids beyond 20"),
    (mat({"GTcls": {"Segmentation": np.zeros((2, 2, 2))}}), "expected (H, W) integers"),
    (mat({"GTcls": {"Segmentation": "text"}}), "expected (H, W) integers"),
    (sbd_mat(mask_values(0, [1]))[:-60], "no readable GTcls.Segmentation"),
])  # fmt: skip
def test_broken_sbd_file_is_named_in_one_line(content: bytes, expected: str) -> None:
    with pytest.raises(FsslibError) as caught:
        decode_sbd(content, "b.mat")
    assert "SBD mask b.mat" in str(caught.value)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_masks_keep_the_voc_palette(tmp_path: Path, voc: Path, sbd: Path) -> None:
    prepare_pascal(voc, sbd, tmp_path / "out")
    image = Image.open(tmp_path / "out/SegmentationClass/e.png")
    assert image.mode == "P"
    assert image.getpalette()[21:24] == [128, 128, 128]  # 7, car
