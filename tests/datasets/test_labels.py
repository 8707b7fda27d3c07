"""Annotations of every format: what is read, what is said, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as pycoco

from fsslib.data.images import read_mask
from fsslib.datasets.labels.label_studio import decode_brush
from fsslib.datasets.sources.folder import FolderOptions, prepare_folder
from fsslib.errors import FsslibError
from tests.support.annotations import (
    HEIGHT,
    WIDTH,
    BrushBits,
    coco,
    flat,
    inside,
    labelme,
    photographs,
    png64,
)
from tests.support.fakes import jpeg_bytes, png_bytes, write

A = [(5.25, 4.5), (30.75, 8.0), (22.5, 33.25)]
B = [(35.0, 10.0), (55.0, 10.0), (55.0, 30.0), (35.0, 30.0)]
NAMES = ["a", "b", "c"]


def prepare(images: Path, labels: Path, out: Path, classes: str | None = None, **options: Any):
    file = write(out.parent / "classes.yaml", classes.encode()) if classes else None
    return prepare_folder(images, labels, file, out, FolderOptions(**{"format": None, **options}))


def refused(images: Path, labels: Path, out: Path, **options: Any) -> str:
    with pytest.raises(FsslibError) as caught:
        prepare(images, labels, out, **options)
    assert "\n" not in str(caught.value)
    assert not out.exists()
    return str(caught.value)


def mask_of(out: Path, name: str) -> np.ndarray:
    return read_mask(out / "SegmentationClass" / f"{name}.png")


def check_polygons(mask: np.ndarray, first: int = 1, second: int = 2) -> None:
    """A shows `first` and B `second`, up to pixels at the very edge of A."""
    found, clear = inside(A)
    assert ((mask == first) == found)[clear].all()
    square = np.zeros((HEIGHT, WIDTH), bool)
    square[10:30, 35:55] = True
    assert ((mask == second) == square).all()
    assert (mask[~found & ~square & clear] == 0).all()


# ---- LabelMe -----------------------------------------------------------------------------------


def labelme_folder(root: Path) -> Path:
    folder = photographs(root / "photos", NAMES)
    for name in NAMES:
        shapes = [{"label": "nut", "points": A}, {"label": "bolt", "points": B}]
        labelme(folder / f"{name}.json", shapes, f"{name}.jpg")
    return folder


def test_labelme_polygons_beside_their_photographs(tmp_path):
    folder = labelme_folder(tmp_path)
    report, manifest = prepare(folder, folder, tmp_path / "out")
    assert (report.masks, report.train, report.val, report.unlabelled) == ("labelme", 2, 1, 0)
    assert manifest.classes == {1: "bolt", 2: "nut"}
    for name in NAMES:
        check_polygons(mask_of(tmp_path / "out", name), first=2, second=1)


def test_labelme_shapes_of_all_kinds(tmp_path):
    folder = photographs(tmp_path / "photos", NAMES)
    bitmap = np.zeros((4, 6), np.uint8)
    bitmap[1:, 2:] = 255
    shapes = [
        {"label": "box", "shape_type": "rectangle", "points": [[20, 30], [5, 25]]},
        {"label": "disc", "shape_type": "circle", "points": [[40, 12], [43, 16]]},
        {"label": "drawn", "shape_type": "mask", "points": [[50, 34], [55, 37]],
         "mask": png64(bitmap)},
        {"label": "__ignore__", "points": [[0, 0], [3, 0], [3, 2], [0, 2]]},
        {"label": "_background_", "points": [[6, 26], [8, 26], [8, 28], [6, 28]]},
        {"label": "line", "shape_type": "linestrip", "points": [[0, 0], [9, 9]]},
        {"label": "thin", "points": [[0, 0], [9, 9]]},
    ]  # fmt: skip
    for name in NAMES:
        labelme(folder / f"{name}.json", shapes, f"..\\photos\\{name}.jpg")
    report, manifest = prepare(folder, folder, tmp_path / "out")
    assert list(manifest.classes.values()) == ["box", "disc", "drawn"]
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[25:30, 5:20] = 1
    for row in range(HEIGHT):
        for column in range(WIDTH):
            if (column + 0.5 - 40) ** 2 + (row + 0.5 - 12) ** 2 <= 25:
                expected[row, column] = 2
    expected[35:38, 52:56] = 3
    expected[:2, :3] = 255
    expected[26:28, 6:8] = 0
    assert (mask_of(tmp_path / "out", "a") == expected).all()
    assert report.notes == [
        "3 left out (linestrip has no area): a.json shape 6 (line), b.json shape 6 (line), "
        "c.json shape 6 (line)",
        "3 left out (2 points enclose no area): a.json shape 7 (thin), b.json shape 7 (thin), "
        "c.json shape 7 (thin)",
    ]


def test_the_smallest_shape_wins_and_points_outside_are_cut_off(tmp_path):
    folder = photographs(tmp_path / "photos", NAMES)
    shapes = [
        {"label": "small", "points": [[-10, -10], [10, -10], [10, 10], [-10, 10]]},
        {"label": "large", "points": [[0, 0], [WIDTH, 0], [WIDTH, HEIGHT], [0, HEIGHT]]},
        {"label": "far", "points": [[0, 0], [900, 0], [5, 5]]},
    ]
    for name in NAMES:
        labelme(folder / f"{name}.json", shapes, f"{name}.jpg")
    report, manifest = prepare(folder, folder, tmp_path / "out")
    assert manifest.classes == {1: "large", 2: "small"}
    expected = np.ones((HEIGHT, WIDTH), np.uint8)
    expected[:10, :10] = 2
    assert (mask_of(tmp_path / "out", "b") == expected).all()
    assert report.notes[0].startswith("3 left out (a point lies far outside the photograph)")


def test_labelme_of_a_turned_photograph(tmp_path):
    """Shapes lie on the displayed pixels, or on the stored ones where the size says so."""
    folder = tmp_path / "photos"
    for name in NAMES:
        write(folder / f"{name}.jpg", jpeg_bytes(1, HEIGHT, WIDTH, orientation=6))
    shown = [{"label": "x", "points": [[0, 0], [40, 0], [40, 10], [0, 10]]},
             {"label": "y", "points": [[0, 50], [40, 50], [40, 60], [0, 60]]}]  # fmt: skip
    labelme(folder / "a.json", shown, "a.jpg", size=(WIDTH, HEIGHT))
    stored = [{"label": "x", "points": [[0, 0], [10, 0], [10, 40], [0, 40]]},
              {"label": "y", "points": [[50, 0], [60, 0], [60, 40], [50, 40]]}]  # fmt: skip
    labelme(folder / "b.json", stored, "b.jpg", size=(HEIGHT, WIDTH))
    labelme(folder / "c.json", shown, "c.jpg", size=(WIDTH, HEIGHT))
    report, _ = prepare(folder, folder, tmp_path / "out")
    assert report.turned == 3
    expected = np.zeros((WIDTH, HEIGHT), np.uint8)
    expected[:10], expected[50:] = 1, 2
    for name in NAMES:
        assert (mask_of(tmp_path / "out", name) == expected).all(), name


@pytest.mark.parametrize(("change", "says"), [
    (lambda f: (f / "b.jpg").unlink(), "is of the photograph 'b.jpg', which is not in"),
    (lambda f: (f / "b.json").write_text("{"), "b.json is not readable JSON"),
    (lambda f: labelme(f / "b.json", [{"label": "x", "points": B}], "b.jpg", (9, 9)),
     "annotates 9x9 px, its photograph"),
    (lambda f: labelme(f / "d.json", [{"label": "x", "points": B}], "a.jpg"),
     "has two annotations"),
    (lambda f: labelme(f / "b.json", [{"points": B}], "b.jpg"), "is no LabelMe file (KeyError"),
    (lambda f: labelme(f / "b.json", [{"label": "x", "points": [[1, "q"]]}], "b.jpg"),
     "is no LabelMe file (ValueError"),
    (lambda f: labelme(f / "b.json", [{"label": "x", "shape_type": "mask", "mask": "%%",
                                       "points": [[1, 1], [2, 2]]}], "b.jpg"), "unreadable mask"),
])  # fmt: skip
def test_bad_labelme_files_are_refused(tmp_path, change, says):
    folder = labelme_folder(tmp_path)
    change(folder)
    assert says in refused(folder, folder, tmp_path / "out")


def test_labels_are_numbered_as_classes_yaml_says(tmp_path):
    folder = labelme_folder(tmp_path)
    _, manifest = prepare(folder, folder, tmp_path / "out", "classes: {7: nut, 3: bolt}")
    assert manifest.classes == {3: "bolt", 7: "nut"}
    check_polygons(mask_of(tmp_path / "out", "a"), first=7, second=3)
    with pytest.raises(FsslibError, match="label 'bolt' is not named in --classes"):
        prepare(folder, folder, tmp_path / "other", "classes: {7: nut}")


def test_a_label_background_is_background_and_odd_labels_are_refused(tmp_path):
    folder = labelme_folder(tmp_path)
    inner = [(40.0, 15.0), (50.0, 15.0), (50.0, 25.0), (40.0, 25.0)]
    shapes = [{"label": "nut", "points": B}, {"label": "Background", "points": inner}]
    for name in NAMES:
        labelme(folder / f"{name}.json", shapes, f"{name}.jpg")
    _, manifest = prepare(folder, folder, tmp_path / "out", name="bolt")
    assert manifest.classes == {1: "bolt"}
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[10:30, 35:55], expected[15:25, 40:50] = 1, 0
    assert (mask_of(tmp_path / "out", "a") == expected).all()
    labelme(folder / "a.json", [{"label": "a\nb", "points": B}], "a.jpg")
    assert "has control characters" in refused(folder, folder, tmp_path / "other")


def test_options_of_masks_are_refused_with_shapes(tmp_path):
    folder = labelme_folder(tmp_path)
    assert "--name cat names the only class" in refused(folder, folder, tmp_path / "o", name="cat")
    says = refused(folder, folder, tmp_path / "o", mask_suffix="_mask")
    assert "--mask-suffix is for masks" in says


# ---- COCO --------------------------------------------------------------------------------------

CATEGORIES = {1: "bolt", 7: "nut", 90: "scratch", 91: "never"}


def coco_folder(root: Path) -> tuple[Path, Path]:
    images = root / "photos"
    photographs(images / "cam 1", NAMES)
    photographs(images / "cam 2", ["a"])
    listed = [{"id": 10 + n, "file_name": f"cam 1/{name}.jpg"} for n, name in enumerate(NAMES)]
    listed.append({"id": 50, "file_name": "cam 2/a.jpg"})
    runs = np.zeros((HEIGHT, WIDTH), np.uint8, order="F")
    runs[35:38, 1:9] = 1
    packed = {"size": [HEIGHT, WIDTH], "counts": pycoco.encode(runs)["counts"].decode()}
    plain = [35 + HEIGHT, 3] + [HEIGHT - 3, 3] * 7 + [0]
    plain[-1] = HEIGHT * WIDTH - sum(plain)
    drawn = [
        {"category_id": 7, "segmentation": [flat(A)]},
        {"category_id": 90, "segmentation": [flat(B)]},
        {"category_id": 1, "segmentation": packed},
    ]  # fmt: skip
    annotations = [{"image_id": i["id"], **d} for i in listed for d in drawn]
    annotations[2]["segmentation"] = {"size": [HEIGHT, WIDTH], "counts": plain}
    return images, coco(root / "export.json", listed, annotations, CATEGORIES)


def test_own_coco_categories_become_classes(tmp_path):
    images, labels = coco_folder(tmp_path)
    report, manifest = prepare(images, labels, tmp_path / "out")
    assert report.masks == "coco"
    assert manifest.classes == {1: "bolt", 2: "nut", 3: "scratch"}
    ids = sorted(r.id for r in (*manifest.train, *manifest.val))
    assert ids == ["b", "c", "cam 1_a", "cam 2_a"]
    for name in ids:
        mask = mask_of(tmp_path / "out", name)
        expected = np.zeros((HEIGHT, WIDTH), bool)
        expected[35:38, 1:9] = True
        assert ((mask == 1) == expected).all()
        check_polygons(np.where(mask == 1, 0, mask), first=2, second=3)


def test_coco_crowds_lie_below_and_boxes_are_ignored(tmp_path):
    images = photographs(tmp_path / "photos", NAMES)
    listed = [{"id": n, "file_name": f"{name}.jpg"} for n, name in enumerate(NAMES)]
    square = [10, 10, 20, 10, 20, 20, 10, 20]
    annotations = [
        {"image_id": 0, "category_id": 7, "segmentation": [square], "iscrowd": 1},
        {"image_id": 0, "category_id": 1, "segmentation": [[5, 5, 30, 5, 30, 30, 5, 30]]},
        {"image_id": 1, "category_id": 1, "segmentation": [], "bbox": [10, 10, 10, 5]},
        {"image_id": 1, "category_id": 1, "segmentation": [[0, 0, 8, 0, 8, 8, 0, 8]]},
        {"image_id": 1, "category_id": 7, "segmentation": [[1, 1, 2, 2]]},
        {"image_id": 2, "category_id": 7, "segmentation": [square, [0, 0, 4, 0, 4, 4, 0, 4]]},
    ]
    labels = coco(tmp_path / "x.json", listed, annotations, CATEGORIES)
    report, _ = prepare(images, labels, tmp_path / "out")
    first, second, third = (mask_of(tmp_path / "out", name) for name in NAMES)
    assert (first[5:30, 5:30] == 1).all()
    assert (second[10:15, 10:20] == 255).all()
    assert (second[:8, :8] == 1).all()
    assert int((third == 2).sum()) == 100 + 16
    assert report.notes == [
        "1 left out (boxes without an outline; their pixels are ignored): annotation 3 of b.jpg",
        "1 left out (2 points enclose no area): annotation 5 of b.jpg",
    ]


def test_coco_files_of_two_splits_keep_them(tmp_path):
    images = photographs(tmp_path / "photos", NAMES)
    for split, ids in (("train", [0, 1]), ("valid", [2])):
        listed = [{"id": n, "file_name": f"{NAMES[n]}.jpg"} for n in ids]
        drawn = [{"image_id": n, "category_id": c, "segmentation": [flat(p)]}
                 for n in ids for c, p in ((1, A), (7, B))]  # fmt: skip
        coco(tmp_path / "labels" / split / "_annotations.coco.json", listed, drawn, CATEGORIES)
    _, manifest = prepare(images, tmp_path / "labels", tmp_path / "out")
    assert [r.id for r in manifest.train] == ["a", "b"]
    assert [r.id for r in manifest.val] == ["c"]


@pytest.mark.parametrize(("change", "says"), [
    (lambda raw: raw["annotations"][0].update(category_id=5), "has category 5, which is not"),
    (lambda raw: raw["annotations"][0].update(image_id=5), "is of image 5, which is not listed"),
    (lambda raw: raw["images"][0].update(file_name="z.jpg"), "photograph z.jpg is not in"),
    (lambda raw: raw["images"][0].update(file_name="a.jpg"), "'a.jpg' fits"),
    (lambda raw: raw["images"][0].update(file_name="cam 1/b.jpg"), "is annotated twice"),
    (lambda raw: raw["images"][0].update(id=11), "two images have one id"),
    (lambda raw: raw["categories"][1].update(name="bolt"), "two categories are named 'bolt'"),
    (lambda raw: raw["images"][0].update(width=61), "annotates 61x40 px"),
    (lambda raw: raw["annotations"][2]["segmentation"].update(counts=[5]), "RLE covers 5 px"),
    (lambda raw: raw["images"][0].pop("height"), "is no COCO file (KeyError('height'))"),
    (lambda raw: raw["annotations"].clear(), "labels no area (coco, 4 photographs)"),
])  # fmt: skip
def test_bad_coco_files_are_refused(tmp_path, change, says):
    images, labels = coco_folder(tmp_path)
    raw = json.loads(labels.read_text())
    change(raw)
    labels.write_text(json.dumps(raw))
    assert says in refused(images, labels, tmp_path / "out")


# ---- YOLO --------------------------------------------------------------------------------------


def yolo_line(number: int, points: list[tuple[float, float]]) -> str:
    return f"{number} " + " ".join(f"{x / WIDTH:.6f} {y / HEIGHT:.6f}" for x, y in points)


def yolo_folder(root: Path) -> Path:
    for split, names in (("train", ["a", "b"]), ("val", ["c"])):
        photographs(root / "images" / split, names)
        for name in names:
            lines = [yolo_line(4, A), yolo_line(0, B), "0 0.1 0.9 0.1 0.1"]
            write(root / "labels" / split / f"{name}.txt", "\n".join(lines).encode())
    photographs(root / "images" / "train", ["plain", "lone"])
    write(root / "labels/train/plain.txt", b"")
    write(root / "data.yaml", b"train: images/train\nval: images/val\nnames: {0: bolt, 4: nut}\n")
    return root


def test_yolo_polygons_names_and_splits(tmp_path):
    root = yolo_folder(tmp_path / "set")
    report, manifest = prepare(root / "images", root, tmp_path / "out")
    assert (report.masks, report.unlabelled) == ("yolo", 1)
    assert manifest.classes == {1: "bolt", 2: "nut"}
    assert [r.id for r in manifest.train] == ["a", "b", "plain"]
    assert [r.id for r in manifest.val] == ["c"]
    for name in NAMES:
        mask = mask_of(tmp_path / "out", name)
        assert (mask[34:38, 3:9] == 255).all()
        check_polygons(np.where(mask == 255, 0, mask), first=2, second=1)
    assert (mask_of(tmp_path / "out", "plain") == 0).all()
    assert report.notes[0].startswith("3 left out (boxes without an outline; their pixels are")


@pytest.mark.parametrize(("text", "says"), [
    ("9 0.1 0.1 0.5 0.1 0.5 0.5", "has class 9, which is not named"),
    ("0 0.1 0.1 0.5 0.1 0.5", "is no line 'class x1 y1 x2 y2 ...'"),
    ("0 0.1 x 0.5 0.1 0.5 0.5", "is no line 'class x1 y1 x2 y2 ...'"),
])  # fmt: skip
def test_bad_yolo_lines_are_refused(tmp_path, text, says):
    root = yolo_folder(tmp_path / "set")
    write(root / "labels/train/b.txt", text.encode())
    assert says in refused(root / "images", root, tmp_path / "out")


def test_yolo_without_names_or_photograph_is_refused(tmp_path):
    root = yolo_folder(tmp_path / "set")
    (root / "images/val/c.jpg").unlink()
    assert "has no photograph c" in refused(root / "images", root, tmp_path / "out")
    (root / "data.yaml").unlink()
    says = refused(root / "images", root, tmp_path / "out", format="yolo")
    assert "has no data.yaml or classes.txt" in says


# ---- Label Studio ------------------------------------------------------------------------------


def task(number: int, name: str, results: list[dict]) -> dict:
    whole = [{"original_width": WIDTH, "original_height": HEIGHT, **r} for r in results]
    return {"id": number, "data": {"image": f"/data/upload/1/0123abcd-{name}.jpg"},
            "annotations": [{"result": whole}]}  # fmt: skip


def percent(points: list[tuple[float, float]]) -> list[list[float]]:
    return [[100 * x / WIDTH, 100 * y / HEIGHT] for x, y in points]


def test_label_studio_polygons_rectangles_ellipses_and_brushes(tmp_path):
    images = photographs(tmp_path / "photos", NAMES)
    stroke = np.zeros((HEIGHT, WIDTH), np.uint8)
    stroke[34:39, 40:58] = 255
    stroke[36, 45] = 0
    brush = {"format": "rle", "rle": BrushBits().encode(stroke), "brushlabels": ["dirt"]}
    results = [
        {"type": "polygonlabels", "value": {"points": percent(A), "polygonlabels": ["nut"]}},
        {"type": "rectanglelabels", "value": {"x": 100 * 35 / WIDTH, "y": 25.0, "rotation": 0,
         "width": 100 * 20 / WIDTH, "height": 50.0, "rectanglelabels": ["bolt"]}},
        {"type": "ellipselabels", "value": {"x": 50.0, "y": 5.0, "radiusX": 10.0, "radiusY": 5.0,
         "rotation": 0, "ellipselabels": ["eye"]}},
        {"type": "brushlabels", "value": brush},
        {"type": "choices", "value": {"choices": ["good"]}},
    ]  # fmt: skip
    tasks = [task(n, name, results) for n, name in enumerate(NAMES, start=1)]
    tasks.append({"id": 9, "data": {"image": "d.jpg"}, "annotations": []})
    labels = write(tmp_path / "export.json", json.dumps(tasks).encode())
    report, manifest = prepare(images, labels, tmp_path / "out")
    assert list(manifest.classes.values()) == ["bolt", "dirt", "eye", "nut"]
    mask = mask_of(tmp_path / "out", "b")
    assert ((mask == 2) == (stroke > 0)).all()
    eye = [[((c + 0.5 - 30) / 6) ** 2 + ((r + 0.5 - 2) / 2) ** 2 <= 1 for c in range(WIDTH)]
           for r in range(HEIGHT)]  # fmt: skip
    assert ((mask == 3) == np.array(eye)).all()
    check_polygons(np.select([mask == 4, mask == 1], [1, 2], 0))
    assert "1 left out (tasks without an annotation): task 9" in report.notes
    assert any("choices is no labelled area" in note for note in report.notes)


@pytest.mark.parametrize("damage", [
    lambda values: values[:-3], lambda values: [0, 0, 0, 1, *values[4:]],
])  # fmt: skip
def test_damaged_brush_strokes_are_told(damage):
    values = BrushBits().encode(np.eye(30, dtype=np.uint8))
    assert (decode_brush(values, 30, 30) == np.eye(30)).all()
    with pytest.raises(ValueError, match="brush stroke"):
        decode_brush(damage(values), 30, 30)


# ---- Masks -------------------------------------------------------------------------------------


def masks_folder(root: Path, values: np.ndarray, palette: bool = False) -> tuple[Path, Path]:
    for name in NAMES:
        write(root / "set/masks" / f"{name}.png", png_bytes(values, palette))
    return photographs(root / "set/images", NAMES), root / "set/masks"


def test_binary_masks_with_smoothed_edges_are_cut_at_half(tmp_path):
    crisp = np.zeros((HEIGHT, WIDTH), np.uint8)
    crisp[8:32, 10:50] = 255
    half = Image.fromarray(crisp).resize((WIDTH // 3, HEIGHT // 3), Image.Resampling.BICUBIC)
    smooth = np.asarray(half.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))
    assert len(np.unique(smooth)) > 20
    report, manifest = prepare(*masks_folder(tmp_path, smooth), tmp_path / "out", name="cat")
    assert manifest.classes == {1: "cat"}
    assert (mask_of(tmp_path / "out", "a") == (smooth >= 128)).all()
    assert "gray values of smoothed edges were cut at half" in report.notes[0]


def test_binary_masks_stored_as_colours_are_binary(tmp_path):
    crisp = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    crisp[8:32, 10:50] = 255
    images, masks = masks_folder(tmp_path, crisp[..., 0])
    for name in NAMES:
        Image.fromarray(crisp).save(masks / f"{name}.png")
    report, manifest = prepare(images, masks, tmp_path / "out")
    assert (report.masks, manifest.classes) == ("binary", {1: "set"})
    assert (mask_of(tmp_path / "out", "a") == (crisp[..., 0] > 0)).all()


def test_smoothed_edges_of_several_classes_are_refused_not_made_classes(tmp_path):
    values = np.zeros((HEIGHT, WIDTH), np.uint8)
    values[5:35, 5:25], values[5:35, 30:55] = 90, 200
    small = Image.fromarray(values).resize((WIDTH // 3, HEIGHT // 3), Image.Resampling.BICUBIC)
    smooth = np.asarray(small.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))
    says = refused(*masks_folder(tmp_path, smooth), tmp_path / "out")
    assert "values fill no area, as smoothed edges do" in says


def test_small_classes_are_no_smoothed_edges(tmp_path):
    values = np.zeros((HEIGHT, WIDTH), np.uint8)
    for number in range(1, 13):
        values[3 * number : 3 * number + 3, 5:12] = number
    _, manifest = prepare(*masks_folder(tmp_path, values), tmp_path / "out")
    assert list(manifest.classes) == list(range(1, 13))


@pytest.mark.parametrize("covered", [True, False])
def test_masks_with_zero_as_a_class_are_warned_of_and_turned(tmp_path, covered):
    values = np.full((HEIGHT, WIDTH), 255 if covered else 1, np.uint8)
    values[:10, :20], values[20:30, 5:40] = 0, 1
    if not covered:
        values[35:] = 255
    images, masks = masks_folder(tmp_path, values)
    report, _ = prepare(images, masks, tmp_path / "plain")
    assert any("say --zero-is-class" in note for note in report.notes)
    _, manifest = prepare(images, masks, tmp_path / "out", zero_is_class=True)
    assert manifest.classes == {1: "class_1", 2: "class_2"}
    assert (mask_of(tmp_path / "out", "a") == np.where(values == 255, 0, values + 1)).all()


def test_ordinary_borders_of_255_are_not_warned_of(tmp_path):
    values = np.zeros((HEIGHT, WIDTH), np.uint8)
    values[8:32, 10:50], values[10:30, 12:48] = 255, 3
    values[0, :5] = 4
    assert prepare(*masks_folder(tmp_path, values), tmp_path / "out")[0].notes == []


def test_roboflow_masks_beside_photographs(tmp_path):
    values = np.zeros((HEIGHT, WIDTH), np.uint8)
    values[5:20, 5:20], values[5:20, 30:50] = 10, 2
    for split, names in (("train", ["a", "b"]), ("valid", ["c"])):
        folder = photographs(tmp_path / "export" / split, [f"{n}_jpg.rf.1" for n in names])
        for name in names:
            write(folder / f"{name}_jpg.rf.1_mask.png", png_bytes(values, False))
        write(folder / "_classes.csv",
              b"Pixel Value, Class\n0, background\n2, nut\n10, bolt\n11, none\n")  # fmt: skip
    root = tmp_path / "export"
    report, manifest = prepare(root, root, tmp_path / "out")
    assert (report.masks, report.unlabelled) == ("roboflow", 0)
    assert manifest.classes == {2: "nut", 10: "bolt"}
    assert [r.id for r in manifest.val] == ["c_jpg.rf.1"]
    assert (mask_of(tmp_path / "out", "a_jpg.rf.1") == values).all()
    assert report.notes == ["1 classes of _classes.csv have no pixel: none"]


def test_cvat_names_and_colours(tmp_path):
    root = tmp_path / "export"
    colours = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    colours[5:20, 5:20], colours[5:20, 30:50], colours[0] = (9, 8, 7), (64, 128, 0), (224, 224, 192)
    photographs(root / "JPEGImages", NAMES)
    for name in NAMES:
        target = write(root / "SegmentationClass" / f"{name}.png", b"")
        Image.fromarray(colours).save(target)
    write(root / "labelmap.txt", b"# label:color_rgb:parts:actions\nnut:64,128,0::\n"
          b"background:0,0,0::\nbolt:9,8,7::\n")  # fmt: skip
    _, manifest = prepare(root / "JPEGImages", root, tmp_path / "out")
    assert manifest.classes == {1: "nut", 2: "bolt"}
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[5:20, 5:20], expected[5:20, 30:50], expected[0] = 2, 1, 255
    assert (mask_of(tmp_path / "out", "a") == expected).all()


@pytest.mark.parametrize(("file", "text", "says"), [
    ("labelmap.txt", "nut:64,128::\n", "is no line 'name:red,green,blue"),
    ("labelmap.txt", "nut:1,2,3::\nbolt:1,2,3::\n", "nut has this colour already"),
    ("labelmap.txt", "nut:1,2,3::\nnut:1,2,4::\n", "two classes are named 'nut'"),
    ("_classes.csv", "x, y\n300, nut\n", "is no line 'value, name'"),
    ("_classes.csv", "x, y\n3, nut\n3, bolt\n", "names value 3, which is named already"),
    ("_classes.csv", "x, y\n", "names no class"),
])  # fmt: skip
def test_bad_files_of_names_are_refused(tmp_path, file, text, says):
    values = np.full((HEIGHT, WIDTH), 3, np.uint8)
    root = photographs(tmp_path / "set", NAMES)
    for name in NAMES:
        write(root / f"{name}_mask.png", png_bytes(values, False))
        write(root / "SegmentationClass" / f"{name}.png", png_bytes(values, False))
    write(root / file, text.encode())
    assert says in refused(root, root, tmp_path / "out")


# ---- Which format ------------------------------------------------------------------------------


def test_two_json_formats_have_to_be_told_apart(tmp_path):
    folder = labelme_folder(tmp_path)
    listed = [{"id": n, "file_name": f"{name}.jpg"} for n, name in enumerate(NAMES)]
    drawn = [{"image_id": 0, "category_id": c, "segmentation": [flat(B)]} for c in (1, 7)]
    coco(folder / "export.json", listed, drawn, CATEGORIES)
    write(folder / "predictions.json", b"{}")
    write(folder / "other.json", b"[]")
    says = refused(folder, folder, tmp_path / "out")
    assert "choose one with --format" in says
    assert prepare(folder, folder, tmp_path / "out", format="coco")[0].masks == "coco"
    report, _ = prepare(folder, folder, tmp_path / "second", format="labelme")
    assert report.masks == "labelme"
    assert report.notes == [f"1 left out (JSON of no known format): {folder / 'other.json'}"]


@pytest.mark.parametrize(("options", "says"), [
    ({"format": "voc"}, "--format 'voc' is not one of masks, cvat, roboflow, labelme, coco"),
    ({"format": "coco"}, "holds no coco file"),
    ({"format": "cvat"}, "has no labelmap.txt"),
    ({"format": "roboflow"}, "has no _classes.csv"),
    ({"zero_is_class": True}, "--zero-is-class is for masks"),
])  # fmt: skip
def test_other_formats_than_the_wanted_are_refused(tmp_path, options, says):
    folder = labelme_folder(tmp_path)
    assert says in refused(folder, folder, tmp_path / "out", **options)


def test_a_lost_path_and_a_single_unknown_file_are_refused(tmp_path):
    folder = labelme_folder(tmp_path)
    assert "does not exist" in refused(folder, tmp_path / "gone", tmp_path / "out")
    odd = write(tmp_path / "odd.bin", b"1")
    assert "is of no known format" in refused(folder, odd, tmp_path / "out")
