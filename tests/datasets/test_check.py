"""One run reports everything that is wrong, with counts; the tables count what they say."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fsslib.data.manifest import ImageRecord, Manifest
from fsslib.data.palette import voc_palette
from fsslib.datasets import counting
from fsslib.datasets.description import Description, write_description
from fsslib.datasets.sources import check as check_module
from fsslib.datasets.sources.check import CheckReport, check_dataset, palette_problem
from fsslib.datasets.sources.tables import FoldRow, class_rows, fold_rows, without_class
from fsslib.errors import FsslibError
from tests.support.fakes import REAL, jpeg_bytes, make_voc, mask_values, needs_voc, png_bytes, write


def name(i: int) -> str:
    return f"2007_{i:06d}"


def found(report: CheckReport, kind: str, level: str = "problem") -> list[str]:
    return [f.message for f in report.findings if (f.kind, f.level) == (kind, level)]


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    return make_voc(tmp_path / "voc", train=12, val=6)


def test_a_sound_dataset_has_no_findings(voc: Path) -> None:
    report = check_dataset(voc)
    assert report.findings == []
    assert report.listed == {"train": 12, "val": 6}
    assert report.image_modes == {"JPEG RGB": 18}
    assert report.mask_modes == {"P, VOC palette": 18}
    assert report.sizes == ((40, 60), (40, 60))


def test_every_kind_of_problem_is_reported_in_one_run(voc: Path) -> None:
    images, masks = voc / "JPEGImages", voc / "SegmentationClass"
    path = images / f"{name(0)}.jpg"
    path.write_bytes(path.read_bytes()[:-900])  # truncated photograph
    path = masks / f"{name(1)}.png"
    path.write_bytes(path.read_bytes()[:-30])  # truncated mask
    write(masks / f"{name(2)}.png", png_bytes(mask_values(2, [99, 100])))  # undefined ids
    write(masks / f"{name(3)}.png", png_bytes(mask_values(3, [1], 50, 60)))  # another size
    Image.new("RGB", (60, 40)).save(masks / f"{name(4)}.png")  # colour mask
    (masks / f"{name(5)}.png").unlink()  # no mask
    (images / f"{name(6)}.jpg").unlink()  # no photograph
    shutil.copy(images / f"{name(7)}.jpg", images / f"{name(12)}.jpg")  # in train and val
    shutil.copy(images / f"{name(8)}.jpg", images / f"{name(9)}.jpg")  # twice in train
    write(masks / f"{name(10)}.png", png_bytes(np.full((40, 60), 255, np.uint8)))
    mask = Image.fromarray(mask_values(11, [3]))
    palette = list(voc_palette())
    palette[9:12] = palette[21:24]
    mask.putpalette(palette)
    mask.save(masks / f"{name(11)}.png")  # index 3 in the colour of 7
    write(masks / "lone.png", b"not listed")
    lines = (voc / "ImageSets/train.txt").read_text()
    lines += f"../{name(1)}\n/etc/passwd\n{name(1)}\n{name(13)}\n"
    write(voc / "ImageSets/train.txt", lines.encode())

    report = check_dataset(voc)
    pairs = found(report, "list or pair")
    assert [any(text in p for p in pairs) for text in (
        f"train.txt:13: image id '../{name(1)}'", "train.txt:14: image id '/etc/passwd'",
        f"train.txt:15: image id '{name(1)}' is already on line 2",
        f"SegmentationClass/{name(5)} is missing", f"JPEGImages/{name(6)} is missing",
        f"image id '{name(13)}' is in both lists",
    )] == [True] * 6  # fmt: skip
    assert len(pairs) == 6
    assert [name(0) in m for m in found(report, "image")] == [True]
    broken = found(report, "mask")
    assert len(broken) == 2
    assert name(1) in broken[0]
    assert f"{name(4)}.png has mode RGB" in broken[1]
    faults = found(report, "size or class id")
    assert len(faults) == 2
    assert "class ids 99-100" in faults[0]
    assert "is 60x50 px" in faults[1]
    assert "shows index 3 in the VOC colour of class 7" in found(report, "palette")[0]
    # 13 is in both lists, 7 was copied over 12.
    across = found(report, "duplicate")
    assert len(across) == 2
    assert any(name(7) in m and name(12) in m for m in across)
    assert name(8) in found(report, "duplicate", "warning")[0]
    assert name(10) in found(report, "content", "warning")[0]
    assert report.unlisted == 1
    assert report.counts()["problem", "list or pair"] == 6
    assert not any("\n" in f.message for f in report.findings)


def test_unreadable_list_does_not_hide_the_rest(voc: Path) -> None:
    write(voc / "ImageSets/val.txt", b"\xff\xfe")
    (voc / "SegmentationClass" / f"{name(1)}.png").unlink()
    problems = found(check_dataset(voc), "list or pair")
    assert len(problems) == 2
    assert "val.txt is not UTF-8" in problems[1]


def test_processes_find_the_same(voc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "SMALL", 0)
    (voc / "SegmentationClass" / f"{name(1)}.png").write_bytes(b"x")
    steps: list[int] = []
    assert check_dataset(voc, processes=2, on_progress=steps.append) == check_dataset(voc)
    assert steps == [1] * 18


def test_exif_rotations_are_counted(voc: Path) -> None:
    write(voc / "JPEGImages" / f"{name(0)}.jpg", jpeg_bytes(0, 40, 60, orientation=3))
    assert check_dataset(voc).turned == 1


@pytest.mark.parametrize(("change", "present", "expected"), [
    (None, {0, 1, 20, 255}, None),
    ((1, (1, 2, 3)), {0, 1}, None),  # an own colour says nothing
    ((1, (0, 128, 0)), {0, 1}, "index 1 in the VOC colour of class 2"),
    ((1, (0, 0, 0)), {0, 1}, "index 1 in the VOC colour of class 0"),
    ((0, (128, 0, 0)), {0, 1}, "index 0 in the VOC colour of class 1"),
    ((5, (0, 128, 0)), {0, 1}, None),  # not present
])  # fmt: skip
def test_sorted_palettes_are_found(
    change: tuple[int, tuple[int, int, int]] | None, present: set[int], expected: str | None
) -> None:
    palette = list(voc_palette())
    if change is not None:
        palette[3 * change[0] : 3 * change[0] + 3] = change[1]
    problem = palette_problem(palette, dict.fromkeys(present, 1))
    assert (problem is None) if expected is None else (expected in str(problem))


def record(image_id: str, **pixels: int) -> ImageRecord:
    counts = {int(k[1:]): n for k, n in pixels.items()}
    return ImageRecord(image_id, f"{image_id}.jpg", f"{image_id}.png", 64, 64, counts)


def test_tables_count_by_hand() -> None:
    manifest = Manifest(
        "folder", "listed", Path(), {1: "a", 2: "b", 3: "c"}, ((1,), (2, 3)),
        train=(
            record("t0", _0=10, _1=5), record("t1", _1=5, _2=7), record("t2", _3=1, _255=3),
            record("t3", _0=4, _255=2),
        ),
        val=(record("v0", _1=2048, _2=3000, _3=2047), record("v1", _2=2500, _3=2500)),
    )  # fmt: skip
    a, b, c = class_rows(manifest)
    assert (a.train_images, a.train_pixels, a.val_images, a.val_large, a.val_pixels) == (
        2, 10, 1, 1, 2048
    )  # fmt: skip
    assert (b.folds, b.train_images, b.val_large) == ((1,), 1, 2)
    assert (c.val_images, c.val_large, c.val_pixels) == (2, 1, 4547)
    zero, one = fold_rows(manifest)
    # Fold 0: base b, c are in t1, t2; t1 holds novel a as well; t0 and t3 hold no base class.
    assert zero == FoldRow(0, ("a",), 2, 1, 2, 1, 1)
    assert one == FoldRow(1, ("b", "c"), 2, 1, 2, 3, 2)
    assert without_class(manifest.train) == 1


def test_classes_are_large_enough_only_with_six_large_validation_images() -> None:
    train = tuple(record(f"t{i}", _1=9) for i in range(2))
    val = tuple(record(f"v{i}", _1=2048) for i in range(6))
    enough = Manifest("folder", "listed", Path(), {1: "a"}, ((1,),), train, val)
    assert not class_rows(enough)[0].too_small
    for less in ((train, val[1:]), (train[1:], val)):
        assert class_rows(Manifest("folder", "listed", Path(), {1: "a"}, ((1,),), *less))[
            0
        ].too_small


def test_full_voc_val_is_compared_with_the_known_numbers() -> None:
    pairs, images = check_module.OFFICIAL_PAIRS, check_module.OFFICIAL_PAIR_IMAGES
    assert (pairs, images) == ((365, 467, 734, 357), (364, 445, 592, 336))
    report = CheckReport(Path(), "pascal", listed={"val": 1449})
    report.folds = [FoldRow(i, (), 0, 0, 0, pairs[i], images[i]) for i in range(4)]
    assert check_module._official_numbers(report) == []
    report.folds[2] = FoldRow(2, (), 0, 0, 0, 733, 592)
    (finding,) = check_module._official_numbers(report)
    assert "fold 2 has 733 (image, class) pairs in 592 images, VOC val has 734" in finding.message
    report.listed = {"val": 286}
    assert check_module._official_numbers(report) == []


def test_folder_dataset_is_checked_by_its_own_classes(voc: Path) -> None:
    write_description(voc, Description("folder", {1: "a", 2: "b"}, ((1,),), "listed"))
    report = check_dataset(voc)
    assert report.dataset == "folder"
    assert "defined are 1-2" in found(report, "size or class id")[0]
    write_description(voc, Description("folder", {1: "a", 2: "b"}, ((1, 2),), "listed"))
    assert "needs at least one novel and one base class" in check_dataset(voc).findings[0].message


def test_a_folder_without_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FsslibError, match="has no folder JPEGImages"):
        check_dataset(tmp_path)


@needs_voc
def test_real_voc_passes() -> None:
    report = check_dataset(REAL / "voc", processes=2)
    assert report.findings == []
    assert report.listed == {"train": 982, "val": 286}
    assert [(r.labelled, r.remaining) for r in report.folds] == [
        (982, 0), (857, 125), (664, 318), (913, 69)
    ]  # fmt: skip
