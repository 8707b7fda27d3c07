"""Building a manifest: the right counts, every broken input told in one line."""

import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fsslib.data.folds import (
    COCO_CLASSES,
    PASCAL_CLASSES,
    balanced_folds,
    contiguous_folds,
    strided_folds,
)
from fsslib.data.manifest import load_manifest, save_manifest
from fsslib.datasets import counting
from fsslib.datasets.description import Description, write_description
from fsslib.datasets.layout import count_listed
from fsslib.datasets.scan import load_dataset, scan_voc
from fsslib.errors import FsslibError
from tests.support.fakes import (
    REAL,
    jpeg_bytes,
    make_voc,
    mask_values,
    needs_voc,
    photograph,
    png_bytes,
    write,
)

CLASSES = dict(enumerate(PASCAL_CLASSES, start=1))
LIST = Path("ImageSets/train.txt")
FIRST = "2007_000000"


def scan(root: Path, **options: object):
    return scan_voc(
        root, "pascal", CLASSES, contiguous_folds(list(CLASSES)), "contiguous", **options
    )


def message(root: Path) -> str:
    with pytest.raises(FsslibError) as caught:
        scan(root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    return make_voc(tmp_path / "voc")


def test_counts_equal_a_plain_loop(voc: Path) -> None:
    manifest = scan(voc)
    assert [r.id for r in manifest.train] == [f"2007_{i:06d}" for i in range(4)]
    assert [r.id for r in manifest.val] == [f"2007_{i:06d}" for i in range(4, 7)]
    for record in (*manifest.train, *manifest.val):
        values = np.asarray(Image.open(voc / record.mask))
        expected: Counter[int] = Counter()
        for row in values.tolist():
            expected.update(row)
        assert dict(record.pixels) == dict(expected)
        assert (record.height, record.width) == values.shape
        assert (voc / record.image).is_file()


def test_pascal_folds_and_classes_are_the_papers(voc: Path) -> None:
    manifest = load_dataset("pascal", voc)
    assert [manifest.classes[c] for c in manifest.novel(2)] == [
        "diningtable", "dog", "horse", "motorbike", "person"
    ]  # fmt: skip
    assert manifest.novel(0) == (1, 2, 3, 4, 5)
    assert manifest.novel(3) == (16, 17, 18, 19, 20)
    assert manifest.folds_rule == "contiguous"


def test_coco_folds_contiguous_and_strided(voc: Path) -> None:
    paper = load_dataset("coco", voc)
    assert len(paper.classes) == len(COCO_CLASSES) == 80
    assert paper.novel(1) == tuple(range(21, 41))
    assert (paper.classes[1], paper.classes[80]) == ("person", "toothbrush")
    hsnet = load_dataset("coco", voc, coco_folds="strided")
    assert hsnet.novel(1) == tuple(range(2, 81, 4))
    assert hsnet.folds_rule == "strided"
    with pytest.raises(FsslibError, match="coco_folds: 'random' is not one of"):
        load_dataset("coco", voc, coco_folds="random")


def test_fold_rules_partition_the_classes() -> None:
    ids = list(range(1, 81))
    for folds in (contiguous_folds(ids), strided_folds(ids), balanced_folds(ids, 3)):
        assert sorted(c for fold in folds for c in fold) == ids
    assert [len(f) for f in balanced_folds(ids[:10], 4)] == [3, 3, 2, 2]
    assert balanced_folds([5, 7, 9], 2) == [[5, 7], [9]]


def test_folder_takes_classes_and_folds_from_its_description(voc: Path) -> None:
    with pytest.raises(FsslibError, match="make the folder with 'fss data'"):
        load_dataset("folder", voc)
    described = Description("folder", CLASSES, ((3, 20), (7,)), "listed")
    write_description(voc, described)
    manifest = load_dataset("folder", voc)
    assert manifest.folds == ((3, 20), (7,))
    assert manifest.folds_rule == "listed"
    with pytest.raises(FsslibError, match="holds the dataset 'folder', not 'pascal'"):
        load_dataset("pascal", voc)
    (voc / "dataset.json").write_text('{"kind": "other"}')
    with pytest.raises(FsslibError, match="does not describe a dataset"):
        load_dataset("folder", voc)


def test_official_list_place_and_augmented_masks(tmp_path: Path) -> None:
    root = make_voc(tmp_path, segmentation="Segmentation")
    assert len(scan(root).train) == 4
    merged = root / "SegmentationClassAug"
    shutil.copytree(root / "SegmentationClass", merged)
    write(merged / f"{FIRST}.png", png_bytes(mask_values(0, [9])))
    write(root / "ImageSets/Segmentation/trainaug.txt", f"{FIRST}\n".encode())
    manifest = scan(root)
    assert [r.id for r in manifest.train] == [FIRST]
    assert manifest.train[0].mask == f"SegmentationClassAug/{FIRST}.png"
    assert set(manifest.train[0].pixels) == {0, 9, 255}


@pytest.mark.parametrize(("name", "kind"), [("x.png", "PNG"), ("x.JPEG", "JPEG")])
def test_photographs_of_other_suffixes_are_found(voc: Path, name: str, kind: str) -> None:
    photograph(9).save(voc / "JPEGImages" / name, kind)
    write(voc / "SegmentationClass/x.png", png_bytes(mask_values(9, [4])))
    write(voc / LIST, b"x\n")
    assert scan(voc).train[0].image == f"JPEGImages/{name}"


@pytest.mark.parametrize("content", [
    f"{FIRST}\r\n2007_000001\r\n", f"\ufeff{FIRST}\n2007_000001", f"{FIRST} \n2007_000001\n\n\n",
])  # fmt: skip
def test_lists_with_crlf_mark_and_trailing_blanks_are_accepted(voc: Path, content: str) -> None:
    write(voc / LIST, content.encode())
    assert [r.id for r in scan(voc).train] == [FIRST, "2007_000001"]


@pytest.mark.parametrize(("content", "expected"), [
    (b"", "lists no image"),
    (b"\n\n", "lists no image"),
    (b"a\n\nb\n", "train.txt:2: image id '' is not a plain file name"),
    (b"/etc/passwd\n", "train.txt:1: image id '/etc/passwd' is not a plain file name"),
    (b"../val/a\n", "'../val/a' is not a plain"),
    (b"..\n", "'..' is not a plain"),
    (b"C:\\a\n", "not a plain"),
    (b"JPEGImages/a.jpg SegmentationClass/b.png\n", "not a plain"),
    (b"2007_000000\n2007_000001\n2007_000000\n", "train.txt:3: image id '2007_000000' is already"),
    (b"2007_000000\nnothere\n", "JPEGImages/nothere is missing, train.txt lists it"),
    (b"2007_000000\n2007_000005\n", "'2007_000005' is in both lists"),
    ("2007_000000\n".encode("utf-16"), "train.txt is not UTF-8"),
    (b"caf\xe9\n", "train.txt is not UTF-8 (byte 3)"),
    (b"a\x00b\n", "not a plain"),
])  # fmt: skip
def test_broken_lists_are_refused(voc: Path, content: bytes, expected: str) -> None:
    write(voc / LIST, content)
    assert expected in message(voc)


@pytest.mark.parametrize(("gone", "expected"), [
    ("ImageSets", "has no list of its train images: write ImageSets/train.txt"),
    ("ImageSets/val.txt", "has no list of its val images"),
    ("JPEGImages", "has no folder JPEGImages"),
    ("SegmentationClass", "has no folder SegmentationClass or SegmentationClassAug"),
    (f"JPEGImages/{FIRST}.jpg", f"JPEGImages/{FIRST} is missing"),
    (f"SegmentationClass/{FIRST}.png", f"SegmentationClass/{FIRST} is missing"),
    (".", "is not a folder"),
])  # fmt: skip
def test_missing_parts_are_named(voc: Path, gone: str, expected: str) -> None:
    path = voc / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert expected in message(voc)


def test_two_photographs_of_one_id_are_refused(voc: Path) -> None:
    photograph(1).save(voc / "JPEGImages" / f"{FIRST}.png")
    assert f"JPEGImages holds {FIRST}.jpg and {FIRST}.png for one id" in message(voc)


def put_mask(voc: Path, content: bytes) -> None:
    write(voc / "SegmentationClass" / f"{FIRST}.png", content)


def test_mask_of_another_size_is_refused(voc: Path) -> None:
    put_mask(voc, png_bytes(mask_values(0, [1], 39, 60)))
    assert f"mask SegmentationClass/{FIRST}.png is 60x39 px, its image" in message(voc)


def test_exif_rotation_counts_for_the_size_that_a_mask_must_have(voc: Path) -> None:
    write(voc / "JPEGImages" / f"{FIRST}.jpg", jpeg_bytes(0, 40, 60, orientation=6))
    assert "is 40x60 px with any EXIF rotation applied" in message(voc)
    put_mask(voc, png_bytes(mask_values(0, [1], 60, 40)))
    assert (scan(voc).train[0].height, scan(voc).train[0].width) == (60, 40)


def test_undefined_class_ids_are_named(voc: Path) -> None:
    put_mask(voc, png_bytes(mask_values(0, [3, 21])))
    assert "holds class id 21, defined are 1-20: name the class" in message(voc)


def test_colour_mask_is_refused(voc: Path) -> None:
    photograph(1).save(voc / "SegmentationClass" / f"{FIRST}.png")
    assert "has mode RGB, expected an index mask" in message(voc)


@pytest.mark.parametrize("folder", ["SegmentationClass", "JPEGImages"])
def test_truncated_file_is_refused(voc: Path, folder: str) -> None:
    path = next((voc / folder).glob(f"{FIRST}.*"))
    path.write_bytes(path.read_bytes()[:-40])
    assert f"{FIRST}" in message(voc)
    assert "cannot be read" in message(voc)


def test_other_problems_are_counted(voc: Path) -> None:
    for i in (0, 1, 2):
        write(voc / f"SegmentationClass/2007_{i:06d}.png", b"broken")
    assert "(2 more problems: 'fss data check" in message(voc)


@pytest.mark.parametrize(("classes", "folds", "expected"), [
    ({0: "a", 1: "b"}, [[1]], "class 'a' has id 0, expected 1 to 254"),
    ({255: "a", 1: "b"}, [[1]], "has id 255"),
    ({1: "a", 2: "b"}, [[3]], "fold 0 names class 3"),
    ({1: "a", 2: "b"}, [[1], [1, 2]], "fold 1 has 2 of 2 classes"),
    ({1: "a", 2: "b"}, [[]], "fold 0 has 0 of 2 classes"),
])  # fmt: skip
def test_impossible_classes_and_folds(
    voc: Path, classes: dict[int, str], folds: list[list[int]], expected: str
) -> None:
    with pytest.raises(FsslibError, match=expected):
        scan_voc(voc, "folder", classes, folds, "listed")


def test_unknown_dataset_is_refused(voc: Path) -> None:
    with pytest.raises(FsslibError, match="dataset 'voc' is not one of pascal, coco, folder"):
        load_dataset("voc", voc)


def test_two_processes_give_the_same_manifest(voc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "SMALL", 0)
    steps: list[int] = []
    assert scan(voc, processes=2, on_progress=steps.append) == scan(voc)
    assert steps == [1] * 7 == [1] * count_listed(voc)


def test_cache_spares_decoding_and_follows_the_content(
    voc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache.json"
    first = scan(voc, cache=cache)
    decoded: list[Path] = []
    real = counting.decode_mask

    def decode(path: Path, content: bytes | None = None):
        decoded.append(path)
        return real(path, content)

    monkeypatch.setattr(counting, "decode_mask", decode)
    moved = voc.rename(tmp_path / "moved")
    second = scan(moved, cache=cache)
    assert decoded == []
    assert (second.train, second.val) == (first.train, first.val)
    # Other content of equal size and time of change is noticed: content decides, not times.
    path = moved / "SegmentationClass" / f"{FIRST}.png"
    times = path.stat()
    put_mask(moved, png_bytes(mask_values(0, [2, 6])))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert set(scan(moved, cache=cache).train[0].pixels) == {0, 2, 6, 255}
    assert decoded == [path]


@pytest.mark.parametrize("content", [
    b"", b"{", b"[]", b'{"version": 99, "masks": {}}', b'{"version": 1, "masks": {"x": 3}}',
])  # fmt: skip
def test_a_broken_cache_is_rebuilt(voc: Path, tmp_path: Path, content: bytes) -> None:
    cache = write(tmp_path / "cache.json", content)
    assert scan(voc, cache=cache) == scan(voc)
    assert len(counting.load_cache(cache)) == 7


def test_an_interrupted_scan_keeps_its_counts(voc: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache.json"

    def stop(count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan(voc, cache=cache, on_progress=stop)
    assert len(counting.load_cache(cache)) == 1


def test_manifest_of_a_scan_survives_its_file(voc: Path, tmp_path: Path) -> None:
    manifest = scan(voc)
    save_manifest(manifest, tmp_path / "manifest.json", str(voc))
    assert load_manifest(tmp_path / "manifest.json") == manifest


@needs_voc
def test_real_voc_has_the_known_numbers() -> None:
    manifest = load_dataset("pascal", REAL / "voc")
    assert (len(manifest.train), len(manifest.val)) == (982, 286)
    large = {
        manifest.classes[c]: sum(r.pixels.get(c, 0) >= 2048 for r in manifest.val)
        for fold in (1, 2, 3) for c in manifest.novel(fold)
    }  # fmt: skip
    known = {
        "cat": 60, "cow": 60, "chair": 14, "car": 5, "dog": 60, "horse": 60, "person": 80,
        "diningtable": 3, "motorbike": 3, "sheep": 53, "sofa": 18, "pottedplant": 5, "tvmonitor": 3,
    }  # fmt: skip
    assert {name: large[name] for name in known} == known
