"""The embedded benchmark: layout, determinism, masks."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fsslib.data.folds import IGNORE
from fsslib.data.images import read_image, read_mask
from fsslib.data.manifest import Manifest
from fsslib.data.palette import voc_palette
from fsslib.datasets.rendering.colours import Coat, draw_surface
from fsslib.datasets.rendering.curves import ellipse
from fsslib.datasets.rendering.paint import Canvas, Part, Pose, paint_figure
from fsslib.datasets.rendering.patterns import PATTERNS, draw_grain
from fsslib.datasets.rendering.scenes import CLASSES, draw_classes, make_scenes, render_scene

SIZE = 64


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return make_scenes(tmp_path_factory.mktemp("scenes"), 12, 8, SIZE, seed=3)


def files(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_two_processes_write_the_bytes_of_one(made: Manifest, tmp_path: Path) -> None:
    make_scenes(tmp_path, 12, 8, SIZE, seed=3, processes=2)
    assert files(tmp_path) == files(made.root)


def test_a_scene_depends_on_seed_split_and_index_alone() -> None:
    image, mask = render_scene(0, "train", 5, SIZE)
    render_scene(0, "train", 4, SIZE)
    again, same = render_scene(0, "train", 5, SIZE)
    assert np.array_equal(image, again)
    assert np.array_equal(mask, same)
    for other in (render_scene(1, "train", 5, SIZE), render_scene(0, "val", 5, SIZE)):
        assert other[0].shape != image.shape or not np.array_equal(other[0], image)


def test_layout_and_lists(made: Manifest) -> None:
    assert (made.dataset, made.folds_rule, len(made.train), len(made.val)) == (
        "procedural",
        "contiguous",
        12,
        8,
    )
    for split, records in (("train", made.train), ("val", made.val)):
        listed = (made.root / "ImageSets" / f"{split}.txt").read_text().split()
        assert listed == [record.id for record in records] == sorted(listed)
        for record in records:
            assert record.image == f"JPEGImages/{record.id}.jpg"
            assert record.mask == f"SegmentationClass/{record.id}.png"
            assert read_image(made.image_path(record)).shape == (record.height, record.width, 3)
            assert max(record.height, record.width) == SIZE


def test_counts_equal_the_masks(made: Manifest) -> None:
    for record in (*made.train, *made.val):
        mask = read_mask(made.mask_path(record))
        assert mask.shape == (record.height, record.width)
        assert dict(record.pixels) == {int(v): int((mask == v).sum()) for v in np.unique(mask)}
        assert set(record.pixels) <= {0, IGNORE, *made.classes}


def test_masks_carry_the_palette_of_voc(made: Manifest) -> None:
    with Image.open(made.mask_path(made.train[0])) as image:
        assert image.mode == "P"
        palette = image.getpalette()
    assert palette is not None
    assert tuple(palette[: 3 * 21]) == voc_palette()[: 3 * 21]


def test_four_folds_of_five_distinct_names(made: Manifest) -> None:
    assert len(set(CLASSES)) == 20
    assert tuple(made.classes.values()) == CLASSES
    assert made.folds == tuple(tuple(range(5 * f + 1, 5 * f + 6)) for f in range(4))


def test_every_class_leads_a_scene_in_turn_and_has_company() -> None:
    drawn = [draw_classes(np.random.default_rng([0, i]), i) for i in range(200)]
    assert [ids[0] for ids in drawn[:20]] == list(range(1, 21))
    assert {len(ids) for ids in drawn} == {2, 3, 4}
    assert sum(len(set(ids)) > 1 for ids in drawn) > 180


@pytest.mark.parametrize("number", range(20), ids=CLASSES)
def test_every_class_is_visible_in_the_scene_it_leads(number: int) -> None:
    _, mask = render_scene(0, "train", number, 96)
    assert (mask == number + 1).sum() > 0.01 * mask.size


def test_objects_are_ringed_by_ignored_px() -> None:
    _, mask = render_scene(0, "train", 0, 96)
    same_row = (mask[:, :-1] == mask[:, 1:]) | (mask[:, :-1] == IGNORE) | (mask[:, 1:] == IGNORE)
    assert same_row.all()
    assert 0 < (mask == IGNORE).mean() < 0.2


def test_a_disc_covers_its_area_and_its_shadow_falls_away_from_the_light() -> None:
    canvas = Canvas(
        rgb=np.full((120, 120, 3), 0.8, dtype=np.float32),
        labels=np.zeros((120, 120), dtype=np.uint8),
        light=(0.0, -1.0),
        mottle=np.ones((120, 120), dtype=np.float32),
    )
    surface = draw_surface(np.random.default_rng(0), Coat(("plain",), ("red",), ("red",)))
    disc = [Part(ellipse(0, 0, 1, 1), "main")]
    paint_figure(canvas, disc, {"main": surface}, Pose(60, 60, 30), 7)
    assert (canvas.labels == 7).sum() == pytest.approx(np.pi * 30**2, rel=0.03)
    assert canvas.rgb[94, 60, 0] < canvas.rgb[26, 60, 0] == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize("name", PATTERNS)
def test_patterns_are_shares_of_the_second_colour(name: str) -> None:
    rng = np.random.default_rng(0)
    v, u = np.mgrid[-1:1:50j, -1:1:60j].astype(np.float32)
    share = PATTERNS[name](u, v, draw_grain(rng, 0.3, 20))
    assert share.shape == (50, 60)
    assert share.dtype == np.float32
    assert 0 <= share.min() < share.max() <= 1
