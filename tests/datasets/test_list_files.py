"""Lists of other repositories make the splits that they name, from VOC and SBD."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from fsslib.datasets.layout import find_layout, parse_list
from fsslib.datasets.sources.list_files import read_ids, read_image_list
from fsslib.datasets.sources.pascal import prepare_pascal
from fsslib.errors import FsslibError
from stages.tools.data import app
from tests.support.fakes import make_voc, official_sbd, official_voc, pack, write
from tests.support.project import ROOT


def pfenet(ids: str, masks: str = "SegmentationClassAug") -> bytes:
    return "\n".join(f"JPEGImages/{i}.jpg {masks}/{i}.png" for i in ids).encode()


def listed(out: Path, split: str) -> list[str]:
    return (out / "ImageSets" / f"{split}.txt").read_text().split()


def refused(path: Path) -> str:
    with pytest.raises(FsslibError) as caught:
        read_image_list(path)
    return str(caught.value)


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    return official_voc(tmp_path / "voc")


@pytest.fixture
def sbd(tmp_path: Path) -> Path:
    return official_sbd(tmp_path / "sbd")


@pytest.mark.parametrize("line", [
    "JPEGImages/a.jpg SegmentationClassAug/a.png",
    "/JPEGImages/a.jpg /SegmentationClassAug/a.png",
    "JPEGImages/a.JPEG\t SegmentationClass/a.png\r",
    "  JPEGImages/a.png SegmentationClass/a.png ",
])  # fmt: skip
def test_two_paths_of_one_image_are_its_id(line: str) -> None:
    assert parse_list(line.encode(), "l.txt") == (["a"], [])


def test_ids_with_spaces_dots_and_accents_are_found_in_paths() -> None:
    ids = ["a b", "v1.2", "é"]
    lines = "\n".join(f"JPEGImages/{i}.jpg SegmentationClass/{i}.png" for i in ids)
    assert parse_list(lines.encode(), "l.txt") == (ids, [])


@pytest.mark.parametrize("line", [
    "JPEGImages/a.jpg SegmentationClassAug/b.png",
    "JPEGImages/a.jpg",
    "JPEGImages/a SegmentationClass/a.png",
    "JPEGImages/a.txt SegmentationClass/a.png",
    "JPEGImages/a.jpg SegmentationClass/a.jpg",
    "JPEGImages/a.jpg SegmentationObject/a.png",
    "//JPEGImages/a.jpg SegmentationClass/a.png",
    "VOC2012/JPEGImages/a.jpg VOC2012/SegmentationClass/a.png",
    "JPEGImages/../a.jpg SegmentationClass/../a.png",
    "JPEGImages/.a.jpg SegmentationClass/.a.png",
    "JPEGImages/a.jpg SegmentationClass/a.png 1",
    "JPEGImages/a.jpg/etc SegmentationClass/a.png",
])  # fmt: skip
def test_any_other_path_is_refused(line: str) -> None:
    ids, problems = parse_list(line.encode(), "l.txt")
    assert ids == []
    assert "is not a plain file name" in problems[0]
    assert problems[0].startswith("l.txt:1: image id ")


def test_a_double_is_told_whatever_its_form() -> None:
    problems = parse_list(b"a\nJPEGImages/a.jpg SegmentationClass/a.png", "l.txt")[1]
    assert problems == ["l.txt:2: image id 'a' is already on line 1: keep one of the lines"]


def test_a_folder_with_lists_of_paths_is_read_as_any_other(tmp_path: Path) -> None:
    root = make_voc(tmp_path / "voc")
    before = find_layout(root)
    for split in ("train", "val"):
        ids = listed(root, split)
        lines = "\r\n".join(f"JPEGImages/{i}.jpg SegmentationClassAug/{i}.png" for i in ids)
        write(root / f"ImageSets/{split}.txt", lines.encode())
    assert find_layout(root) == before


def test_lists_with_classes_name_an_image_once(tmp_path: Path) -> None:
    path = write(tmp_path / "l.txt", b"2007_000032__01\r\n2007_000032__15\n2007_000039__20")
    assert read_image_list(path) == ["2007_000032", "2007_000039"]


@pytest.mark.parametrize(("lines", "expected"), [
    (b"a__01\nb\n", "l.txt:2: 'b' does not end in a class number, __01 to __20"),
    (b"b\na__01\n", "l.txt:1: 'b' does not end in a class number"),
    (b"a__01\nb__21\n", "l.txt:2: 'b__21' does not end in a class number"),
    (b"a__00\n", "l.txt:1: 'a__00' does not end in a class number"),
    (b"a__01\n\nb__01\n", "l.txt:2: '' does not end in a class number"),
    (b"a/b__01\n", "l.txt:1: image id 'a/b' is not a plain file name"),
    (b"a\na\n", "l.txt:2: image id 'a' is already on line 1"),
    (b"\n", "l.txt lists no image"),
    (b"\xff", "l.txt is not UTF-8 (byte 0)"),
])  # fmt: skip
def test_a_bad_list_is_refused_with_its_line(tmp_path: Path, lines: bytes, expected: str) -> None:
    message = refused(write(tmp_path / "l.txt", lines))
    assert expected in message
    assert "\n" not in message


def test_a_missing_list_is_told(tmp_path: Path) -> None:
    assert "gone.txt does not exist" in refused(tmp_path / "gone.txt")


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(("train", "val"), [
    (b"f\nb\nc\n", b"a\n"),
    (pfenet("fbc"), pfenet("a", "SegmentationClass")),
    (b"f__08\nb__02\nb__06\nc__03\n", b"a__01\n"),
])  # fmt: skip
def test_given_lists_are_exactly_the_splits(
    tmp_path: Path, voc: Path, sbd: Path, train: bytes, val: bytes, packed: bool
) -> None:
    """VOC's own lists and its val, which holds c, no longer count; d and e are in no list."""
    (voc / "VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt").unlink()
    for image_id in "deg":
        (voc / f"VOCdevkit/VOC2012/JPEGImages/{image_id}.jpg").unlink()
    (sbd / "benchmark_RELEASE/dataset/img/e.jpg").unlink()
    if packed:
        voc, sbd = pack(voc, tmp_path / "v.tar"), pack(sbd, tmp_path / "benchmark.tgz")
    lists = write(tmp_path / "t.txt", train), write(tmp_path / "v.txt", val)
    out = tmp_path / "out"
    report, manifest = prepare_pascal(voc, sbd, out, train_lists=lists[:1], val_lists=lists[1:])
    assert (listed(out, "train"), listed(out, "val")) == (["b", "c", "f"], ["a"])
    assert [r.id for r in manifest.train] == ["b", "c", "f"]
    assert (report.train, report.val, report.from_voc, report.from_sbd) == (3, 1, 2, 1)
    assert (report.both, report.held_out) == (2, 0)
    for folder in ("JPEGImages", "SegmentationClass"):
        assert {p.stem for p in (out / folder).iterdir()} == set("abcf")
    assert report.notes[0] == "train and val are those of the given lists"
    assert not any("no --sbd" in note for note in report.notes)


def test_several_files_of_a_split_are_joined(tmp_path: Path, voc: Path) -> None:
    files = [write(tmp_path / n, c) for n, c in (("1", b"a__01"), ("2", b"b__02\na__03"))]
    val = write(tmp_path / "v", b"c")
    report, _ = prepare_pascal(voc, None, tmp_path / "out", train_lists=files, val_lists=[val])
    assert listed(tmp_path / "out", "train") == ["a", "b"]
    assert report.train == 2


@pytest.mark.parametrize(("train", "val", "expected"), [
    (b"a\nb\n", b"b\nc\n", "image 'b' is in {t} and in {v} (1 such images in all)"),
    (b"a\n", None, "--train-list is given without --val-list: give both"),
    (None, b"a\n", "--val-list is given without --train-list: give both"),
    (b"a\nf\n", b"c\n", "listed image 'f' has no mask in VOC (1 such images in all): give --sbd"),
])  # fmt: skip
def test_lists_that_make_no_splits_are_refused(
    tmp_path: Path, voc: Path, train: bytes | None, val: bytes | None, expected: str
) -> None:
    train_lists = [write(tmp_path / "t.txt", train)] if train else []
    val_lists = [write(tmp_path / "v.txt", val)] if val else []
    with pytest.raises(FsslibError) as caught:
        prepare_pascal(voc, None, tmp_path / "out", train_lists=train_lists, val_lists=val_lists)
    assert expected.format(t=tmp_path / "t.txt", v=tmp_path / "v.txt") in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_an_image_without_any_mask_is_refused(tmp_path: Path, voc: Path, sbd: Path) -> None:
    train, val = write(tmp_path / "t.txt", b"a\ng\n"), write(tmp_path / "v.txt", b"c\n")
    with pytest.raises(FsslibError, match=r"listed image 'g' has no mask in VOC or SBD"):
        prepare_pascal(voc, sbd, tmp_path / "out", train_lists=[train], val_lists=[val])


def test_other_lists_start_an_interrupted_preparation_anew(tmp_path: Path, voc: Path) -> None:
    def stop(what: str, done: int, total: int | None) -> None:
        if what == "verified":
            raise KeyboardInterrupt

    val = write(tmp_path / "v.txt", b"d\n")
    first, second = write(tmp_path / "1.txt", b"a\nb\n"), write(tmp_path / "2.txt", b"c\n")
    with pytest.raises(KeyboardInterrupt):
        prepare_pascal(voc, None, tmp_path / "out", 1, stop, [first], [val])
    prepare_pascal(voc, None, tmp_path / "out", train_lists=[second], val_lists=[val])
    assert {p.stem for p in (tmp_path / "out/JPEGImages").iterdir()} == set("cd")


@pytest.mark.parametrize("form", ["plain", "paths"])
def test_a_plain_folder_with_lists_in_image_sets_is_taken(tmp_path: Path, form: str) -> None:
    root = make_voc(tmp_path / "voc")
    ids = listed(root, "train")
    if form == "paths":
        for split in ("train", "val"):
            lines = [
                f"JPEGImages/{i}.jpg SegmentationClassAug/{i}.png" for i in listed(root, split)
            ]
            write(root / f"ImageSets/{split}.txt", "\n".join(lines).encode())
    report, _ = prepare_pascal(root, None, tmp_path / "out")
    assert listed(tmp_path / "out", "train") == ids
    assert (report.train, report.val) == (4, 3)


def test_lists_in_image_sets_go_before_those_of_segmentation(tmp_path: Path, voc: Path) -> None:
    """As in every other folder, see `layout.find_list`."""
    write(voc / "VOCdevkit/VOC2012/ImageSets/train.txt", b"b\n")
    prepare_pascal(voc, None, tmp_path / "out")
    assert listed(tmp_path / "out", "train") == ["b"]


def test_the_command_takes_several_files_an_option(tmp_path: Path, voc: Path) -> None:
    files = [write(tmp_path / n, c) for n, c in (("1", b"a__01"), ("2", b"b__02"), ("v", b"c__03"))]
    given = ["pascal", "--voc", voc, "--out", tmp_path / "out", "--processes", 1,
             "--train-list", *files[:2], "--val-list", files[2]]  # fmt: skip
    result = CliRunner().invoke(app, [str(a) for a in given])
    assert result.exit_code == 0, result.stderr
    assert "2 training images (2 masks of VOC" in result.stderr
    assert "note: train and val are those of the given lists" in result.stderr


IDS = b"# a sample\n\ntrain a 1\nval b\r\ntrain c\n"


def test_one_file_lists_both_splits(tmp_path: Path) -> None:
    found = read_ids(write(tmp_path / "ids.txt", IDS))
    assert found == {"train": ["a 1", "c"], "val": ["b"]}


@pytest.mark.parametrize(("content", "says"), [
    (b"train a\ntest b\n", "ids.txt:2: 'test b' is neither 'train ID' nor 'val ID'"),
    (b"train\n", "neither 'train ID' nor 'val ID'"),
    (b"train a\nval a\n", "ids.txt:2: image 'a' is listed twice"),
    (b"train a\n", "lists no image of val"),
    (b"train ../a\nval b\n", "ids.txt:1: image id '../a' is not a plain file name"),
    (b"\xff\n", "is not UTF-8"),
])  # fmt: skip
def test_a_bad_file_of_ids_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(FsslibError) as caught:
        read_ids(write(tmp_path / "ids.txt", content))
    assert says in str(caught.value)


def test_the_committed_sample_is_two_disjoint_splits() -> None:
    found = read_ids(ROOT / "data" / "voc-sample.txt")
    assert (len(found["train"]), len(found["val"])) == (982, 286)


def test_ids_make_exactly_their_splits(tmp_path: Path, voc: Path) -> None:
    masks = sorted(p.stem for p in voc.rglob("SegmentationClass/*.png"))[:4]
    rows = [f"train {i}" for i in masks[:3]] + [f"val {masks[3]}"]
    ids = write(tmp_path / "ids.txt", "\n".join(rows).encode())
    options = ["pascal", "--voc", str(voc), "--ids", str(ids), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 0, result.stderr
    assert listed(tmp_path / "out", "train") == masks[:3]
    assert listed(tmp_path / "out", "val") == masks[3:]
    both = CliRunner().invoke(app, [*options[:-1], str(tmp_path / "b"), "--train-list", str(ids)])
    assert both.exit_code == 1
    assert "--train-list is given without --val-list" in both.stderr
    lists = ["--train-list", str(ids), "--val-list", str(ids)]
    assert CliRunner().invoke(app, [*options[:-1], str(tmp_path / "b"), *lists]).exit_code == 1
