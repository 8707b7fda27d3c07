"""Lists of images, descriptions and names: refused with their line, or read as they are meant."""

# ruff: noqa: E501 - a case a line

import os

import pytest

from fsslib.data.manifest import load_manifest
from tests.support.world import (
    MANIFEST,
    MASK,
    TRAIN_LIST,
    VAL_LIST,
    Case,
    after,
    all_of,
    edit_json,
    gone,
    link,
    nothing,
    put,
    run,
    set_params,
)

IDS = [f"t{i:02d}" for i in range(8)]
PLAIN = "is not a plain file name"
DESCRIPTION = "photos/dataset.json"


def listed(*ids: str, end: str = "\n"):
    return put(TRAIN_LIST, (end.join([*IDS, *ids]) + end).encode())


def endless(name: str):
    return all_of(gone(name), lambda project: os.mkfifo(project / name))


BAD = {
    "missing": (gone(TRAIN_LIST), "has no list of its train images: write ImageSets/train.txt"),
    "val missing": (gone(VAL_LIST), "has no list of its val images"),
    "empty": (put(TRAIN_LIST, b""), "train.txt lists no image"),
    "blank": (put(TRAIN_LIST, b"\n \r\n\n"), "train.txt lists no image"),
    "duplicate": (listed("t03"), "train.txt:9: image id 't03' is already on line 4"),
    "in both lists": (listed("v00"), "image id 'v00' is in both lists"),
    "unknown id": (listed("nobody"), "JPEGImages/nobody is missing, train.txt lists it"),
    "with suffix": (listed("t00.png"), "JPEGImages/t00.png is missing"),
    "absolute": (listed("/etc/passwd"), f"train.txt:9: image id '/etc/passwd' {PLAIN}"),
    "parent": (listed("../../secret"), f"train.txt:9: image id '../../secret' {PLAIN}"),
    "dots": (listed(".."), f"image id '..' {PLAIN}"),
    "backslash": (listed("a\\b"), PLAIN),
    "hidden": (listed(".t00"), f"image id '.t00' {PLAIN}"),
    "blank line inside": (put(TRAIN_LIST, b"t00\n\nt01\n"), f"train.txt:2: image id '' {PLAIN}"),
    "two columns": (put(TRAIN_LIST, b"t00 1\nt01 -1\n"), "JPEGImages/t00 1 is missing"),
    "tab": (put(TRAIN_LIST, b"t00\t1\n"), PLAIN),
    "zero byte": (put(TRAIN_LIST, b"t00\0\n"), PLAIN),
    "carriage returns alone": (listed(end="\r"), PLAIN),
    "not UTF-8": (put(TRAIN_LIST, b"t00\nt\xff1\n"), "train.txt is not UTF-8 (byte 5)"),
    "UTF-16": (put(TRAIN_LIST, "t00\n".encode("utf-16")), "train.txt is not UTF-8 (byte 0)"),
    "very long": (put(TRAIN_LIST, b"x" * 100_000), "is missing, train.txt lists it"),
    "a folder": (all_of(gone(TRAIN_LIST), put(f"{TRAIN_LIST}/a", b"")), "has no list of its train"),
    "a pipe": (endless(TRAIN_LIST), "has no list of its train images"),
    "a link to itself": (link(TRAIN_LIST, "train.txt"), "has no list of its train images"),
    "no photographs": (gone("photos/JPEGImages"), "has no folder JPEGImages"),
    "no masks": (gone("photos/SegmentationClass"), "has no folder SegmentationClass"),
    "photographs link to themselves": (
        link("photos/JPEGImages", "JPEGImages"), "has no folder JPEGImages"),
    "no description": (gone(DESCRIPTION), "dataset.json does not exist: make the folder with"),
    "description cut": (put(DESCRIPTION, b'{"kind": "fss'), "dataset.json is not readable JSON"),
    "description too deep": (put(DESCRIPTION, b"[" * 100_000), "is not readable JSON"),
    "description of another kind": (put(DESCRIPTION, b"[]"), "does not describe a dataset"),
    "another version": (
        edit_json(DESCRIPTION, lambda d: d.update(version=7)), "has layout 7, expected 1"),
    "another dataset": (
        edit_json(DESCRIPTION, lambda d: d.update(dataset="coco")), "holds the dataset 'coco'"),
    "class id 0": (
        edit_json(DESCRIPTION, lambda d: d["classes"].update({"0": "zero"})), "has id 0, expected"),
    "class id 255": (
        edit_json(DESCRIPTION, lambda d: d["classes"].update({"255": "x"})), "has id 255, expected"),
    "fold of no class": (
        edit_json(DESCRIPTION, lambda d: d.update(folds=[[1], []])), "fold 1 has 0 of 4 classes"),
    "fold of all classes": (
        edit_json(DESCRIPTION, lambda d: d.update(folds=[[1, 2, 3, 4]])), "fold 0 has 4 of 4"),
    "fold of an unknown class": (
        edit_json(DESCRIPTION, lambda d: d.update(folds=[[9]])), "fold 0 names class 9"),
    "fold is no list": (
        edit_json(DESCRIPTION, lambda d: d.update(folds=5)), "dataset.json is damaged"),
    "no folds": (edit_json(DESCRIPTION, lambda d: d.update(folds=[])), "no fold is listed"),
    "class names a list": (
        edit_json(DESCRIPTION, lambda d: d.update(classes=["ant"])), "dataset.json is damaged"),
    "class id no number": (
        edit_json(DESCRIPTION, lambda d: d.update(classes={"one": "ant"})), "dataset.json is damaged"),
    "half a character": (
        put(DESCRIPTION, b'{"kind": "fsslib-dataset", "version": 1, "dataset": "folder", "folds": '
            b'[[1, 2], [3, 4]], "folds_rule": "listed", "classes": {"1": "\\ud800", "2": "b", '
            b'"3": "c", "4": "d"}}'),
        "is not readable JSON"),
}  # fmt: skip


def move_lists(project):
    new = project / "photos/ImageSets/Segmentation"
    new.mkdir()
    for path in (project / "photos/ImageSets").glob("*.txt"):
        path.rename(new / path.name)


ACCEPTED = {
    "CRLF": listed(end="\r\n"),
    "a byte order mark": put(TRAIN_LIST, b"\xef\xbb\xbf" + "\n".join(IDS).encode()),
    "blank last lines": put(TRAIN_LIST, "\n".join(IDS).encode() + b"\n\n \n"),
    "spaces around": put(TRAIN_LIST, "".join(f"  {i} \n" for i in IDS).encode()),
    "sorted otherwise": put(TRAIN_LIST, "\n".join(reversed(IDS)).encode()),
    "in ImageSets/Segmentation": move_lists,
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_list_or_description_is_refused_by_prepare(check, name):
    check(Case(name, "prepare", *BAD[name]))


@pytest.mark.parametrize("name", ACCEPTED)
def test_an_odd_list_is_read_as_the_plain_one(check, project, name):
    before = (project / MANIFEST).read_bytes()
    check(Case(name, "prepare", ACCEPTED[name], "8 training and 9 validation images", 0))
    assert (project / MANIFEST).read_bytes() == before


NAMES = ["a b", "$(touch x)", "-rf;|&", "cat 🐱 ünïcödé", "%s{0} a'b\"c"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_any_printable_kind_goes_through_the_pipeline(check, project, name):
    photos = project / "photos"
    for folder in ("JPEGImages", "SegmentationClass"):
        (photos / folder / "t00.png").rename(photos / folder / f"{name}.png")
    (photos / "ImageSets/train.txt").write_text("\n".join([name, *IDS[1:]]), encoding="utf-8")
    photos.rename(project / f"of {name}")
    set_params(data_root=f"of {name}")(project)
    for step in ("prepare", "extract", "collect", "cluster --fold 0", "annotate --fold 0",
                 "index --fold 0"):  # fmt: skip
        check(Case(name, step, nothing, "", 0))
    assert name in {r.id for r in load_manifest(project / MANIFEST, project).train}
    assert not (project / "x").exists()


@pytest.mark.parametrize("name", ["a\nb", "a\tb", "\x1b[31m", "a\u202eb", "a\x00b"])
def test_a_name_that_would_break_a_line_is_refused(check, project, name):
    if "\0" not in name:
        photos = project / "photos"
        for folder in ("JPEGImages", "SegmentationClass"):
            (photos / folder / "t00.png").rename(photos / folder / f"{name}.png")
    damage = put(TRAIN_LIST, "\n".join([name, *IDS[1:]]).encode())
    says = "is missing, train.txt lists it" if name == "a\nb" else PLAIN
    check(Case(repr(name), "prepare", damage, says))


POOL = [
    ("plain", b"a.png", 0, ""),
    ("emoji and spaces", "sub folder/cat 🐱 'q\".png".encode(), 0, ""),
    ("not UTF-8", b"caf\xe9.png", 1, "has a name that is not UTF-8: rename it"),
    ("newline", b"a\nb.png", 1, "has a name with control characters: rename it"),
]


@pytest.mark.parametrize(("kind", "name", "code", "says"), POOL, ids=[p[0] for p in POOL])
def test_a_pool_of_any_names(check, project, kind, name, code, says):
    path = os.path.join(os.fsencode(project), b"pool", name)  # noqa: PTH118 - bytes
    os.makedirs(os.path.dirname(path))  # noqa: PTH103, PTH120
    with open(path, "wb") as stream:  # noqa: PTH123
        stream.write((project / MASK.replace("SegmentationClass", "JPEGImages")).read_bytes())
    damage = set_params(unlabeled=["train", "pool"])
    check(Case(kind, "annotate --fold 0", damage, says, code))
    check(Case(kind, "index --fold 0", nothing, says, code))


@pytest.mark.parametrize(
    ("kind", "damage", "says"),
    [
        ("missing", nothing, "'pool' is neither 'train' nor 'remaining' nor a folder"),
        ("empty", put("pool/readme.txt", b"x"), "pool holds no image"),
        ("a file", put("pool", b"x"), "'pool' is neither 'train' nor 'remaining' nor a folder"),
        ("a link to itself", link("pool", "pool"), "nor a folder"),
        ("a broken image", put("pool/a.jpg", b"x"), "a.jpg cannot be read (not an image file)"),
        ("links to themselves", link("pool/a.jpg", "a.jpg"), "pool holds no image"),
    ],
)
def test_a_bad_pool_is_refused(check, kind, damage, says):
    check(Case(kind, "annotate --fold 0", all_of(set_params(unlabeled=["pool"]), damage), says))


def test_a_folder_that_links_to_its_parent_is_listed_once(check, project):
    damage = all_of(
        put("pool/a.png", (project / "photos/JPEGImages/t00.png").read_bytes()),
        link("pool/again", ".."),
        set_params(unlabeled=["pool"]),
    )
    check(Case("a loop", "annotate --fold 0", damage, "", 0))
    assert "1 PNGs" in run("info data/annotate/0/00000.zip").stdout


def test_a_val_photograph_that_links_to_itself_does_not_break_the_pool(check, project):
    damage = all_of(
        after("prepare"),
        link("photos/JPEGImages/v00.png", "v00.png"),
        put("pool/a.png", (project / "photos/JPEGImages/t00.png").read_bytes()),
        set_params(unlabeled=["pool"]),
    )
    check(Case("a loop", "annotate --fold 0", damage, "", 0))
