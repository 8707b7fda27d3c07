"""Pictures of sub-clusters: the nearest regions, cropped and captioned, whatever the order."""

import io
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fsslib.data.folds import BACKGROUND, IGNORE
from fsslib.data.images import read_image, read_mask
from fsslib.mining.clusters import Clusters
from fsslib.mining.prototypes import FoldPrototypes
from fsslib.pictures import clusters as cluster_pictures
from fsslib.pictures.clusters import (
    EACH,
    HEIGHT,
    MOST,
    WIDTH,
    cluster_sheet,
    crop_box,
    heading,
    show_region,
    typical_regions,
)
from fsslib.pictures.panels import GAP, TRUTH
from tests.support.helpers import one_line
from tests.support.scenes import NAMES

BACK = np.zeros((1, 2), np.float32)


def prototypes_of(points, images, classes=None):
    return FoldPrototypes(
        foreground=np.array(points, np.float32),
        foreground_class=np.array(classes if classes is not None else [1] * len(points)),
        foreground_image=np.array(images),
        background=BACK,
    )


def clusters_of(centres, assignment):
    centres = np.array(centres, np.float32)
    return Clusters(np.vstack([BACK, centres]), np.array(assignment), 0.0, 0.0)


def test_typical_regions_are_the_nearest_of_their_own_sub_cluster():
    # The fifth lies on the second centre but belongs to the first sub-cluster.
    points = [(10, 3), (11, 0), (10, -2), (0, 0), (10, 0), (10, 0.5)]
    found = prototypes_of(points, list("abcdef"))
    clusters = clusters_of([(0, 0), (10, 0)], [2, 2, 2, 1, 1, 2])
    assert typical_regions(clusters, found, 2).tolist() == [5, 1, 2, 0]
    assert typical_regions(clusters, found, 2, count=2).tolist() == [5, 1]
    assert typical_regions(clusters, found, 1).tolist() == [3, 4]


def test_nearest_is_by_euclidean_distance_not_by_angle():
    found = prototypes_of([(30, 0), (10, 4)], ["a", "b"])
    assert typical_regions(clusters_of([(10, 0)], [1, 1]), found, 1).tolist() == [1, 0]


def test_ties_go_by_image_id():
    points = [(0, 1), (1, 0), (0, -1), (-1, 0)]
    found = prototypes_of(points, ["d", "b", "c", "a"], [1, 3, 2, 4])
    clusters = clusters_of([(0, 0)], [1] * 4)
    assert typical_regions(clusters, found, 1).tolist() == [3, 1, 2, 0]


def test_each_typical_region_is_of_another_image_where_there_are_enough():
    found = prototypes_of([(1, 0), (2, 0), (3, 0), (4, 0)], ["a", "a", "b", "c"], [1, 2, 1, 1])
    clusters = clusters_of([(0, 0)], [1] * 4)
    assert typical_regions(clusters, found, 1, count=2).tolist() == [0, 2]
    assert typical_regions(clusters, found, 1, count=3).tolist() == [0, 2, 3]
    # Too few images: the second of `a` comes after all, at its place by distance.
    assert typical_regions(clusters, found, 1, count=4).tolist() == [0, 1, 2, 3]


def region(size, rows, columns):
    inside = np.zeros(size, bool)
    inside[slice(*rows), slice(*columns)] = True
    return inside


@pytest.mark.parametrize(
    ("rows", "columns", "expected"),
    [
        ((100, 160), (200, 240), (172, 94, 268, 166)),  # 1.2 times as high, 4 : 3
        ((100, 120), (200, 320), (188, 56, 332, 164)),  # the width decides
        ((0, 60), (0, 40), (0, 0, 96, 72)),  # a corner: shifted into the photograph
        ((340, 400), (560, 600), (504, 328, 600, 400)),  # the opposite corner
        ((190, 210), (50, 550), (0, 0, 600, 400)),  # wider than there is room for
        ((200, 201), (300, 301), (268, 176, 332, 224)),  # one pixel: 48 px high
    ],
)
def test_crop_box_has_known_edges(rows, columns, expected):
    assert crop_box(region((400, 600), rows, columns)) == expected


def test_crop_box_holds_the_region_and_lies_in_the_photograph():
    rng = np.random.default_rng(0)
    for _ in range(200):
        height, width = (int(n) for n in rng.integers(1, 300, 2))
        (top, bottom), (left, right) = (
            np.sort(rng.choice(n + 1, 2, replace=False)) for n in (height, width)
        )
        box = crop_box(region((height, width), (top, bottom), (left, right)))
        assert 0 <= box[0] <= left < right <= box[2] <= width
        assert 0 <= box[1] <= top < bottom <= box[3] <= height


def test_a_region_keeps_its_colours_in_an_outline_and_the_rest_is_gray_and_pale():
    image = np.full((HEIGHT, WIDTH, 3), (200, 0, 0), np.uint8)
    tile = np.asarray(show_region(image, region((HEIGHT, WIDTH), (10, 110), (30, 130))))
    assert tile.shape == (HEIGHT, WIDTH, 3)
    assert tile[60, 80].tolist() == [200, 0, 0]
    for y, x in ((10, 80), (11, 80), (109, 80), (60, 30), (60, 129)):
        assert tuple(tile[y, x]) == TRUTH
    assert tile[12, 80].tolist() == [200, 0, 0]
    assert tile[5, 80].tolist() == [138] * 3  # 0.6 * (0.299 * 200) + 0.4 * 255


def test_a_tile_shows_the_crop_not_the_photograph():
    image = np.zeros((400, 600, 3), np.uint8)
    inside = region((400, 600), (100, 160), (200, 240))
    image[inside] = (0, 0, 250)
    tile = np.asarray(show_region(image, inside))
    # The box is 72 px high, the tile 120: the region is 60 of 72, 40 of 96 px.
    blue = (tile == (0, 0, 250)).all(axis=2)
    outline = (tile == TRUTH).all(axis=2)
    rows, columns = np.nonzero(blue | outline)
    assert np.ptp(rows) + 1 == pytest.approx(60 * HEIGHT / 72, abs=2)
    assert np.ptp(columns) + 1 == pytest.approx(40 * WIDTH / 96, abs=2)
    assert blue[HEIGHT // 2, WIDTH // 2]


def test_a_narrow_photograph_is_centred_on_white():
    image = np.full((240, 60, 3), (0, 200, 0), np.uint8)
    tile = np.asarray(show_region(image, np.ones((240, 60), bool)))
    assert tile.shape == (HEIGHT, WIDTH, 3)
    white = (tile == 255).all(axis=2)
    assert white[:, :65].all()
    assert white[:, 95:].all()
    assert (tile[:, 65:95] == (0, 200, 0)).all()


def test_heading_names_the_size_and_the_main_classes():
    classes = np.repeat([3, 1, 2], [2, 6, 2])
    assert heading(classes, NAMES) == ["10 prototypes", "60 % ant", "20 % bee", "20 % cow"]


def test_heading_sums_up_what_is_not_named():
    names = {n: f"c{n}" for n in range(1, 8)}
    classes = np.repeat([1, 2, 3, 4, 5, 6, 7], [400, 300, 200, 60, 36, 3, 1])
    assert heading(classes, names) == [
        "1000 prototypes",
        *("40 % c1", "30 % c2", "20 % c3", "6 % c4", "4 % c5"),
        "<1 % in 2 more classes",
    ]
    assert heading(classes[:-1], names)[-1] == "<1 % in 1 more class"


def of_manifest(manifest, wanted):
    """Sub-clusters of one prototype a training image and class, which lie at 0 to n on a line."""
    pairs = [(r.id, c) for r in manifest.train for c in r.pixels if c not in (BACKGROUND, IGNORE)]
    images, classes = zip(*pairs, strict=True)
    points = [(n, 0) for n in range(len(pairs))]
    assignment = np.arange(len(pairs)) * wanted // len(pairs) + 1
    centres = [(int(np.flatnonzero(assignment == n)[0]), 0) for n in range(1, wanted + 1)]
    return clusters_of(centres, assignment), prototypes_of(points, images, classes)


@pytest.fixture
def rows(monkeypatch):
    """What `cluster_sheet` hands to `grid`."""
    found = []

    def record(rows, height):
        assert height == HEIGHT
        found.extend(rows)
        return b""

    monkeypatch.setattr(cluster_pictures, "grid", record)
    return found


def test_sheet_captions_each_tile_with_the_class_that_it_shows(discs, rows):
    clusters, prototypes = of_manifest(discs, 2)
    cluster_sheet(discs, clusters, prototypes)
    assert [row[0][0] for row in rows] == ["sub-cluster 1", "sub-cluster 2"]
    records = {record.id: record for record in discs.train}
    for number, row in enumerate(rows, start=1):
        typical = typical_regions(clusters, prototypes, number)
        assert len(row) == 1 + len(typical)
        for i, (caption, picture) in zip(typical, row[1:], strict=True):
            record, class_id = records[prototypes.foreground_image[i]], NAMES_BACK[caption]
            assert class_id == prototypes.foreground_class[i]
            inside = read_mask(discs.mask_path(record)) == class_id
            expected = show_region(read_image(discs.image_path(record)), inside)
            assert np.array_equal(np.asarray(picture), np.asarray(expected))


NAMES_BACK = {name: class_id for class_id, name in NAMES.items()}


def test_a_sub_cluster_of_few_prototypes_has_a_shorter_row(discs, rows):
    clusters, prototypes = of_manifest(discs, 1)
    few = replace(clusters, assignment=np.where(np.arange(len(clusters.assignment)) < 3, 1, 2))
    few = replace(few, prototypes=np.vstack([few.prototypes, few.prototypes[:1]]))
    cluster_sheet(discs, few, prototypes)
    assert [len(row) for row in rows] == [1 + 3, 1 + EACH]


@pytest.mark.parametrize("k", [MOST, MOST + 1])
def test_many_sub_clusters_are_cut_off_and_the_last_caption_says_so(discs, rows, k):
    clusters, prototypes = of_manifest(discs, 1)
    copies = -(-k // len(prototypes.foreground))
    arrays = {n: v for n, v in vars(prototypes).items() if isinstance(v, np.ndarray) and v.ndim}
    many = replace(prototypes, **{n: np.concatenate([v] * copies)[:k] for n, v in arrays.items()})
    clusters = clusters_of(many.foreground, np.arange(1, k + 1))
    cluster_sheet(discs, clusters, many)
    captions = [row[0][0] for row in rows]
    assert captions[:MOST] == [f"sub-cluster {n}" for n in range(1, MOST + 1)]
    assert captions[MOST:] == ([] if k == MOST else ["1 of 21 not shown"])


def test_sheet_is_a_png_of_one_row_a_sub_cluster_and_of_equal_columns(discs):
    clusters, prototypes = of_manifest(discs, 2)
    sheet = Image.open(io.BytesIO(cluster_sheet(discs, clusters, prototypes)))
    assert sheet.format == "PNG"
    assert sheet.size == ((1 + EACH) * (WIDTH + GAP), 2 * (HEIGHT + 20 + GAP))
    pixels = np.asarray(sheet)
    for top in (0, HEIGHT + 20 + GAP):
        assert (pixels[top + 20 : top + 20 + HEIGHT, :WIDTH] < 128).any()  # the heading's lines


def test_sheet_does_not_hang_on_the_order_of_the_prototypes(discs):
    clusters, prototypes = of_manifest(discs, 2)
    order = np.random.default_rng(0).permutation(len(prototypes.foreground))
    shuffled = FoldPrototypes(
        prototypes.foreground[order],
        prototypes.foreground_class[order],
        prototypes.foreground_image[order],
        prototypes.background,
    )
    again = replace(clusters, assignment=clusters.assignment[order])
    assert cluster_sheet(discs, again, shuffled) == cluster_sheet(discs, clusters, prototypes)


def test_sheet_reads_only_what_it_shows(discs, rows, monkeypatch):
    opened = []

    def counted(path, size):
        opened.append(path)
        return read_image(path, size)

    monkeypatch.setattr(cluster_pictures, "read_image", counted)
    cluster_sheet(discs, *of_manifest(discs, 1))
    assert len(opened) == EACH


@pytest.fixture
def own_discs(discs, tmp_path):
    """A copy of the dataset on disk that a test may break."""
    shutil.copytree(discs.root, tmp_path / "discs")
    return replace(discs, root=tmp_path / "discs")


@pytest.mark.parametrize("kind", ["image", "mask"])
def test_an_unreadable_file_is_one_line_that_names_it(own_discs, kind):
    first = own_discs.train[0]
    path = own_discs.image_path(first) if kind == "image" else own_discs.mask_path(first)
    path.write_bytes(b"no picture")
    message = one_line(cluster_sheet, own_discs, *of_manifest(own_discs, 1))
    assert str(path) in message


def test_files_that_are_not_what_was_collected_are_refused(own_discs):
    clusters, prototypes = of_manifest(own_discs, 1)
    first = own_discs.train[0]
    remedy = "run the stages 'prepare', 'extract' and 'collect' again"
    fewer = replace(own_discs, train=own_discs.train[1:])
    message = one_line(cluster_sheet, fewer, clusters, prototypes)
    assert message == f"collected image {first.id} is not in the manifest: {remedy}"
    path = own_discs.mask_path(first)
    Image.fromarray(np.zeros((first.height, first.width), np.uint8)).save(path)
    message = one_line(cluster_sheet, own_discs, clusters, prototypes)
    expected = f"image {first.id} and its mask do not show class ant as collected: {remedy}"
    assert message == expected
    Image.fromarray(np.ones((9, 9), np.uint8)).save(path)
    message = one_line(cluster_sheet, own_discs, clusters, prototypes)
    assert message.startswith(f"mask {path} is 9x9 px, the manifest says {first.width}x")


def test_the_pictures_need_no_torch():
    code = (
        "import sys, fsslib.pictures.clusters;"
        "assert not {'torch', 'typer', 'dvc'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=True)
