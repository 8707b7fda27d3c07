"""COCO's masks equal an independent rendering, pixel for pixel; faults are named."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from fsslib.data.folds import COCO_CATEGORIES
from fsslib.data.images import read_mask
from fsslib.datasets.scan import load_dataset
from fsslib.datasets.sources.coco import prepare_coco, read_annotations, split_of
from fsslib.datasets.sources.coco_masks import CocoImage, decode_counts, render_image
from fsslib.errors import FsslibError
from tests.support.fakes import REAL, coco_json, jpeg_bytes, needs_coco, write

pycocotools = pytest.importorskip("pycocotools.mask")


def box(left: int, top: int, right: int, bottom: int) -> list[float]:
    return [left, top, right, top, right, bottom, left, bottom]


def annotation(number: int, category: int, *polygons: list[float], **more: Any) -> dict[str, Any]:
    return {
        "id": number, "image_id": 1, "category_id": category, "iscrowd": 0,
        "segmentation": list(polygons), **more,
    }  # fmt: skip


def crowd(number: int, category: int, counts: list[int] | str, height: int, width: int):
    segmentation = {"size": [height, width], "counts": counts}
    return annotation(number, category) | {"iscrowd": 1, "segmentation": segmentation}


def render(*annotations: Mapping[str, Any], height: int = 20, width: int = 30) -> np.ndarray:
    return render_image(CocoImage("train", "x.jpg", height, width, annotations))


def plain_rle(counts: list[int], height: int, width: int) -> np.ndarray:
    """Column-major runs, by hand: zeros first."""
    flat: list[int] = []
    for i, run in enumerate(counts):
        flat += [i % 2] * run
    return np.array(flat, bool).reshape(width, height).T


def oracle(coco: Any, image_id: int) -> np.ndarray:
    """For each pixel the smallest instance over it; crowds where no instance is."""
    info = coco.imgs[image_id]
    layers = []
    for a in coco.imgToAnns[image_id]:
        if a["iscrowd"]:
            inside = plain_rle(a["segmentation"]["counts"], info["height"], info["width"])
        else:
            inside = coco.annToMask(a).astype(bool)
        layers.append((bool(a["iscrowd"]), int(inside.sum()), -a["id"], a["category_id"], inside))
    order = sorted(COCO_CATEGORIES)
    values = np.zeros((info["height"], info["width"]), np.uint8)
    taken = np.zeros_like(values, bool)
    for _, _, _, category, inside in sorted(layers, key=lambda layer: layer[:3]):
        values[inside & ~taken] = order.index(category) + 1  # the topmost layer comes first
        taken |= inside
    return values


# 2026-11: pycocotools 2.0.11's decode, which only the oracle calls, is behind NumPy 2.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@needs_coco
def test_real_coco_equals_an_independent_rendering(tmp_path: Path) -> None:
    from pycocotools.coco import COCO

    source, out = REAL / "coco-tiny", tmp_path / "out"
    files = [source / f"annotations/instances_{s}2017.json" for s in ("train", "val")]
    folders = [source / "train2017", source / "val2017"]
    report, manifest = prepare_coco(folders, files, out, processes=2)
    compared = crowds = overlaps = 0
    for file in files:
        coco = COCO(str(file))
        for image_id, info in coco.imgs.items():
            expected = oracle(coco, image_id)
            stem = Path(info["file_name"]).stem
            assert (read_mask(out / f"SegmentationClass/{stem}.png") == expected).all(), stem
            compared += 1
            found = coco.imgToAnns[image_id]
            crowds += sum(a["iscrowd"] for a in found)
            layers = sum((coco.annToMask(a).astype(int) for a in found), np.zeros((1, 1), int))
            overlaps += bool((layers > 1).any())
    assert (compared, crowds, report.crowds) == (100, 10, 10)
    assert overlaps > 50, "the overlap rule was not put to the test"
    assert (len(manifest.train), len(manifest.val)) == (50, 50)
    assert load_dataset("coco", out) == manifest


def test_a_pixel_belongs_to_the_smallest_instance_whatever_the_order() -> None:
    plate, knife = annotation(1, 51, box(0, 0, 20, 10)), annotation(2, 49, box(5, 2, 10, 4))
    for order in ((plate, knife), (knife, plate)):
        values = render(*order)
        assert values[3, 7] == 44  # knife, the 44th class
        assert values[8, 7] == 46  # bowl
        assert values[15, 25] == 0


def test_size_is_rendered_area_and_ties_go_to_the_higher_id() -> None:
    first, second = annotation(1, 1, box(0, 0, 8, 8)), annotation(2, 3, box(4, 0, 12, 8))
    assert render(second, first)[4, 6] == 3
    assert render(first | {"id": 9}, second)[4, 6] == 1
    # What the file claims as area does not count.
    assert render(first | {"area": 1e9}, second | {"area": 1})[4, 6] == 3
    assert render(first | {"area": 1}, second | {"area": 1e9})[4, 6] == 3


def test_crowds_lie_below_larger_instances() -> None:
    small = crowd(5, 1, [0, 40, 560], 20, 30)  # the first two columns
    values = render(small, annotation(1, 2, box(0, 0, 20, 10)))
    assert values[5, 1] == 2
    assert values[15, 1] == 1


def test_all_parts_of_an_instance_are_drawn() -> None:
    values = render(annotation(1, 1, box(0, 0, 4, 4), box(20, 10, 28, 18)))
    assert values[2, 2] == values[14, 24] == 1
    assert values[8, 12] == 0


def test_uncompressed_and_compressed_rle_are_column_major() -> None:
    counts = [3, 2, 595]
    expected = plain_rle(counts, 20, 30)
    assert expected[3, 0]
    assert expected[4, 0]
    assert (render(crowd(1, 1, counts, 20, 30)).astype(bool) == expected).all()
    packed = pycocotools.frPyObjects({"size": [20, 30], "counts": counts}, 20, 30)
    text = packed["counts"].decode()
    assert (render(crowd(1, 1, text, 20, 30)).astype(bool) == expected).all()


def test_decode_counts_inverts_pycocotools() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        mask = np.asfortranarray((rng.random((37, 53)) < rng.random()).astype(np.uint8))
        counts = decode_counts(pycocotools.encode(mask)["counts"].decode())
        assert (plain_rle(counts, 37, 53) == mask).all()


@pytest.mark.parametrize(("segmentation", "expected"), [
    ([], "an empty list of polygons"),
    ([[1, 2, 3, 4]], "an even number of at least 6 coordinates"),
    ([[1, 2, 3, 4, 5, 6, 7]], "an even number of at least 6"),
    ([[1, 2, 3, 4, 5, 1e9]], "far outside the image"),
    ([[1, 2, 3, 4, 5, float("nan")]], "far outside the image"),
    ([["a", 2, 3, 4, 5, 6]], "could not convert"),
    ({"size": [20, 30], "counts": [600, 1]}, "RLE covers 601 px of 600"),
    ({"size": [20, 30], "counts": [599]}, "RLE covers 599 px of 600"),
    ({"size": [30, 20], "counts": [600]}, "RLE size [30, 20] is not the image's [20, 30]"),
    ({"size": [20, 30], "counts": [-5, 605]}, "not a list of run lengths"),
    ({"size": [20, 30], "counts": "~~~"}, "is no RLE digit"),
    ({"size": [20, 30], "counts": "o"}, "ends inside a number"),
    ({"size": [20, 30]}, "not a list of run lengths"),
    (None, "segmentation is a NoneType"),
])  # fmt: skip
def test_malformed_annotations_are_named(segmentation: object, expected: str) -> None:
    with pytest.raises(FsslibError) as caught:
        render(annotation(77, 1) | {"segmentation": segmentation})
    assert "annotation 77 of x.jpg: " in str(caught.value)
    assert expected in str(caught.value)


def test_unknown_category_is_named() -> None:
    with pytest.raises(FsslibError, match="annotation 3 of"):
        render(annotation(3, 12, box(0, 0, 5, 5)))


@pytest.mark.parametrize(("name", "split"), [
    ("instances_train2014.json", "train"), ("instances_val2017.json", "val"),
    ("train.json", "train"),
])  # fmt: skip
def test_split_comes_from_the_files_name(name: str, split: str) -> None:
    assert split_of(Path(name)) == split


@pytest.mark.parametrize("name", ["instances.json", "trainval.json", "instances_test2017.json"])
def test_names_without_one_split_are_refused(name: str) -> None:
    with pytest.raises(FsslibError, match="name neither train nor val alone"):
        split_of(Path(name))


class Source:
    """A tiny COCO of one image a split, in the layout of a year."""

    def __init__(self, root: Path, year: int) -> None:
        self.root, self.year = root, year
        for i, split in enumerate(("train", "val"), start=1):
            write(self.folder(split) / self.name(split), jpeg_bytes(i, 20, 30))
            self.annotate(split, [annotation(i, 3 * i, box(2, 2, 20, 15))])

    def folder(self, split: str) -> Path:
        return self.root / f"{split}{self.year}"

    def file(self, split: str) -> Path:
        return self.root / f"annotations/instances_{split}{self.year}.json"

    def name(self, split: str) -> str:
        number = 1 if split == "train" else 2
        prefix = f"COCO_{split}2014_" if self.year == 2014 else ""
        return f"{prefix}{number:012d}.jpg"

    def annotate(self, split: str, annotations: list[dict[str, Any]], **image: object) -> None:
        entry = {"id": 1, "file_name": self.name(split), "height": 20, "width": 30, **image}
        write(self.file(split), coco_json([entry], annotations, COCO_CATEGORIES))

    def prepare(self, out: Path, **options: Any):
        folders = [self.folder("train"), self.folder("val")]
        return prepare_coco(folders, [self.file("train"), self.file("val")], out, **options)


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source(tmp_path / "coco", 2017)


@pytest.mark.parametrize("year", [2014, 2017])
def test_both_years_layouts_are_read(tmp_path: Path, year: int) -> None:
    source, out = Source(tmp_path / "coco", year), tmp_path / "out"
    report, manifest = source.prepare(out)
    assert (report.train, report.val, report.instances, report.empty) == (1, 1, 2, 0)
    assert manifest.train[0].id == Path(source.name("train")).stem
    assert set(manifest.train[0].pixels) == {0, 3}
    assert set(manifest.val[0].pixels) == {0, 6}
    photo = out / manifest.train[0].image
    assert photo.samefile(source.folder("train") / source.name("train"))
    assert report.placed == {"hard link": 2}
    assert sorted(p.name for p in out.iterdir()) == [
        "ImageSets", "JPEGImages", "SegmentationClass", "dataset.json"
    ]  # fmt: skip


def test_photographs_on_another_disk_become_symbolic_links_then_copies(
    tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    assert source.prepare(tmp_path / "x")[0].placed == {"symbolic link": 2}
    linked = tmp_path / "x/JPEGImages" / source.name("val")
    assert linked.readlink() == source.folder("val") / source.name("val")
    monkeypatch.setattr(Path, "symlink_to", refuse)
    assert source.prepare(tmp_path / "y")[0].placed == {"copy": 2}
    assert (tmp_path / "y/JPEGImages" / source.name("val")).read_bytes() == linked.read_bytes()


def test_images_without_annotations_are_background(tmp_path: Path, source: Source) -> None:
    source.annotate("val", [])
    report, manifest = source.prepare(tmp_path / "out")
    assert report.empty == 1
    assert dict(manifest.val[0].pixels) == {0: 600}


@pytest.mark.parametrize("orientation", range(2, 9))
def test_masks_turn_with_their_photographs(
    tmp_path: Path, source: Source, orientation: int
) -> None:
    """COCO annotates stored pixels; the photograph is read turned, so must be its mask."""
    photo = source.folder("train") / source.name("train")
    write(photo, jpeg_bytes(1, 20, 30, orientation))
    report, manifest = source.prepare(tmp_path / "out")
    stored = render(annotation(1, 3, box(2, 2, 20, 15)))
    image = Image.fromarray(stored)
    image.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(image))
    assert (read_mask(tmp_path / "out" / manifest.train[0].mask) == expected).all()
    assert report.turned == 1


def test_annotations_of_the_displayed_size_are_not_turned(tmp_path: Path, source: Source) -> None:
    write(source.folder("train") / source.name("train"), jpeg_bytes(1, 20, 30, 6))
    source.annotate("train", [annotation(1, 3, box(2, 2, 15, 20))], height=30, width=20)
    report, manifest = source.prepare(tmp_path / "out")
    expected = render(annotation(1, 3, box(2, 2, 15, 20)), height=30, width=20)
    assert (read_mask(tmp_path / "out" / manifest.train[0].mask) == expected).all()
    assert report.turned == 0


def broken(source: Source, tmp_path: Path) -> str:
    with pytest.raises(FsslibError) as caught:
        source.prepare(tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
    return str(caught.value)


def test_missing_photographs_are_counted(tmp_path: Path, source: Source) -> None:
    (source.folder("val") / source.name("val")).unlink()
    assert "is in none of the --images folders (1 of 2 in all)" in broken(source, tmp_path)


def test_photograph_of_another_size_is_named(tmp_path: Path, source: Source) -> None:
    source.annotate("train", [annotation(1, 3, box(2, 2, 9, 9))], height=21)
    assert "is 30x20 px, annotated as 30x21" in broken(source, tmp_path)


def test_names_that_point_elsewhere_are_refused(tmp_path: Path, source: Source) -> None:
    source.annotate("train", [], file_name="../../etc/passwd.jpg")
    assert "is not a plain file name" in broken(source, tmp_path)


def test_a_bomb_of_an_image_is_refused(tmp_path: Path, source: Source) -> None:
    source.annotate("train", [], height=100_000, width=100_000)
    assert "claims 100000x100000 px" in broken(source, tmp_path)


def test_missing_folder_and_file_are_named(tmp_path: Path, source: Source) -> None:
    shutil.rmtree(source.folder("train"))
    assert "train2017 is not a folder: unpack" in broken(source, tmp_path)
    source.file("train").unlink()
    assert "instances_train2017.json does not exist" in broken(source, tmp_path)


def test_two_files_of_one_split_are_refused(tmp_path: Path, source: Source) -> None:
    with pytest.raises(FsslibError, match="hold no val image"):
        prepare_coco([source.folder("train")], [source.file("train")], tmp_path / "out")
    double = source.root / "annotations/instances_train2017_b.json"
    shutil.copy(source.file("train"), double)
    files = [source.file("train"), double, source.file("val")]
    with pytest.raises(FsslibError, match="is annotated twice"):
        prepare_coco([source.folder("train"), source.folder("val")], files, tmp_path / "out")


@pytest.mark.parametrize("change", [
    lambda raw: raw.pop("images"),
    lambda raw: raw.pop("annotations"),
    lambda raw: raw["images"][0].pop("height"),
    lambda raw: raw["annotations"][0].update(image_id=99),
    lambda raw: raw["images"].append(raw["images"][0]),
    lambda raw: raw["categories"].pop(),
    lambda raw: raw["categories"][0].update(name="human"),
])  # fmt: skip
def test_other_structures_are_refused(source: Source, change: Any) -> None:
    raw = json.loads(source.file("train").read_bytes())
    change(raw)
    source.file("train").write_text(json.dumps(raw))
    with pytest.raises(FsslibError, match=r"give COCO's official instances_\*\.json"):
        read_annotations(source.file("train"))


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_annotation_file_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(FsslibError, match="is not a COCO annotation file"):
        read_annotations(write(tmp_path / "train.json", content))


def test_interrupted_preparation_goes_on(
    tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fsslib.datasets.sources import coco

    def stop(what: str, done: int, total: int | None) -> None:
        if what == "photographs":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        source.prepare(tmp_path / "out", on_progress=stop)
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(coco, "render_image", lambda image: pytest.fail("rendered again"))
    _, manifest = source.prepare(tmp_path / "out")
    assert set(manifest.val[0].pixels) == {0, 6}
