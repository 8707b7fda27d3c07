"""Pictures for people: colours where they belong, one row an episode."""

import io

import numpy as np
import pytest
from PIL import Image

from fsslib.evaluation.episodes import Episode, EpisodeSet, draw_episodes
from fsslib.evaluation.protocol import predict_episode
from fsslib.mining.pseudo_masks import encode_png
from fsslib.pictures.episodes import episode_panel, sample_episodes
from fsslib.pictures.panels import (
    GAP,
    PREDICTION,
    TILE,
    TRUTH,
    colour_mask,
    compared_mask,
    grid,
    overlay,
    pseudo_panel,
    sheet,
)
from tests.support.scenes import NAMES, Scenes, TinyEncoder


def opened(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def test_overlay_tints_the_inside_outlines_it_and_pales_what_is_ignored():
    image = np.full((20, 20, 3), 100, np.uint8)
    mask = np.zeros((20, 20), np.uint8)
    mask[5:15, 5:15] = 1
    mask[0] = 255
    before = image.copy()
    shown = np.asarray(overlay(image, mask, TRUTH))
    assert np.array_equal(image, before)
    assert shown[10, 10].tolist() == [50, 129, 108]  # half of (0, 158, 115) and half of 100
    for y, x in ((5, 5), (6, 10), (13, 10), (10, 14)):  # two pixels of outline
        assert tuple(shown[y, x]) == TRUTH
    assert shown[7, 7].tolist() == [50, 129, 108]
    assert shown[2, 2].tolist() == [100, 100, 100]
    assert shown[0, 5].tolist() == [162, 162, 162]


def test_overlay_of_a_mask_up_to_the_border_has_no_outline_along_it():
    shown = np.asarray(overlay(np.zeros((9, 9, 3), np.uint8), np.ones((9, 9), np.uint8), TRUTH))
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) == 1


def test_overlay_without_tint_leaves_the_inside_as_it_is():
    image = np.full((20, 20, 3), 100, np.uint8)
    mask = np.zeros((20, 20), np.uint8)
    mask[5:15, 5:15] = 1
    shown = np.asarray(overlay(image, mask, TRUTH, tint=0))
    assert shown[10, 10].tolist() == [100, 100, 100]
    assert tuple(shown[5, 5]) == TRUTH


def test_colour_mask_uses_the_voc_palette():
    shown = np.asarray(colour_mask(np.array([[0, 1, 255]], np.uint8)))
    assert shown.tolist() == [[[0, 0, 0], [128, 0, 0], [224, 224, 192]]]


def test_compared_mask_is_pale_where_it_differs():
    mask, reference = np.array([[0, 1, 2]], np.uint8), np.array([[1, 1, 0]], np.uint8)
    shown = np.asarray(compared_mask(mask, reference))
    # 0.4 of black, all of dark red, 0.4 of green; the rest is white
    assert shown.tolist() == [[[153, 153, 153], [128, 0, 0], [153, 204, 153]]]


def test_sheet_puts_each_block_under_its_title():
    red, blue = Image.new("RGB", (64, 64), "red"), Image.new("RGB", (64, 64), "blue")
    shown = opened(sheet([("one", [[("a", red)]]), ("", [[("b", blue)]]), ("two", [])], 64))
    line, title = 64 + 20 + GAP, 30 + GAP
    assert shown.shape[0] == 2 * line + 2 * title
    assert shown[title + 20 + 32, 32].tolist() == [255, 0, 0]
    assert shown[title + line + 20 + 32, 32].tolist() == [0, 0, 255]
    assert (shown[:30] < 128).any()
    assert (shown[title + 2 * line :] < 128).any()
    assert sheet([("", [[("a", red)]])], 64) == grid([[("a", red)]], 64)


def test_grid_puts_pictures_of_a_row_beside_each_other_at_one_height():
    red, blue = Image.new("RGB", (50, 100), "red"), Image.new("RGB", (64, 32), "blue")
    sheet = opened(grid([[("a", red), ("b", blue)], [("c", blue)]]))
    widths = TILE // 2, TILE * 2
    assert sheet.shape == (2 * (TILE + 20 + GAP), sum(widths) + 2 * GAP, 3)
    middle = 20 + TILE // 2
    assert sheet[middle, widths[0] // 2].tolist() == [255, 0, 0]
    assert sheet[middle, widths[0] + GAP + 10].tolist() == [0, 0, 255]
    assert sheet[middle, widths[0] + GAP // 2].tolist() == [255, 255, 255]
    second = TILE + 20 + GAP + middle
    assert sheet[second, 10].tolist() == [0, 0, 255]
    assert sheet[second, TILE * 2 + 20].tolist() == [255, 255, 255]
    assert (sheet[:20] < 128).any()  # captions
    assert grid([[("a", red)]]) == grid([[("a", red)]])


def test_grid_takes_another_height():
    red = Image.new("RGB", (30, 20), "red")
    sheet = opened(grid([[("a", red)]], height=100))
    assert sheet.shape == (100 + 20 + GAP, 150 + GAP, 3)
    assert sheet[70, 75].tolist() == [255, 0, 0]


def episode(class_id, query, shots=1, seed=0):
    supports = tuple(f"s{n}" for n in range(shots))
    return Episode(seed, 0, query, (class_id,), (supports,))


def test_sample_takes_the_first_episodes_of_every_class_with_fewest_shots():
    listed = [episode(c, f"q{n}", shots) for shots in (5, 1) for n, c in enumerate((2, 1, 2, 2, 1))]
    chosen = sample_episodes(make_set(listed), each=2)
    assert [(e.class_ids[0], e.query, e.shots) for e in chosen] == [
        (1, "q1", 1),
        (1, "q4", 1),
        (2, "q0", 1),
        (2, "q2", 1),
    ]


def test_sample_is_ten_at_most():
    listed = [episode(c, f"q{n}") for c in range(1, 8) for n in range(3)]
    assert len(sample_episodes(make_set(listed), each=3)) == 10


def make_set(episodes):
    shots = tuple(sorted({e.shots for e in episodes}))
    return EpisodeSet("discs", "paper", 0, (1, 2), shots, 1, (0,), 5, 500, 1, tuple(episodes))


@pytest.fixture(scope="module")
def scenes():
    return Scenes([(1,), (2,), (1, 2), (1,), (2,), (1, 2)])


def test_episode_panel_shows_support_truth_and_prediction_with_the_iou(scenes, monkeypatch):
    captions, pictures = [], {}

    def record(rows):
        captions.extend([[caption for caption, _ in row] for row in rows])
        pictures.update({(y, x): p for y, row in enumerate(rows) for x, (_, p) in enumerate(row)})
        return b""

    monkeypatch.setattr("fsslib.pictures.episodes.grid", record)
    episodes = draw_episodes(scenes.records, (1, 2), (0,), 3, 1, 1, 500)
    encode, readers = TinyEncoder(), (scenes.read_image, scenes.read_mask)
    predictions = [predict_episode(encode, *readers, e) for e in episodes]
    episode_panel(*readers, episodes, predictions, NAMES)
    assert [len(row) for row in captions] == [6, 3]
    for number, one in enumerate(episodes):
        class_id = one.class_ids[0]
        predicted = predictions[number]
        truth = scenes.read_mask(one.query)
        hits, either = 0, 0
        for y, x in np.ndindex(truth.shape):
            if truth[y, x] != 255:
                a, b = truth[y, x] == class_id, predicted[y, x] == class_id
                hits, either = hits + (a and b), either + (a or b)
        row, first = number // 2, 3 * (number % 2)
        assert captions[row][first : first + 3] == [
            f"support: {NAMES[class_id]}",
            "truth",
            f"prediction, IoU {100 * hits / either:.0f}",
        ]
        image = scenes.read_image(one.query)
        shown = np.where(truth == 255, 255, truth == class_id).astype(np.uint8)
        expected = (
            overlay(image, shown, TRUTH),
            overlay(image, (predicted == class_id).astype(np.uint8), PREDICTION),
        )
        for offset, picture in enumerate(expected, start=1):
            assert np.array_equal(np.asarray(pictures[row, first + offset]), np.asarray(picture))


def test_episode_panel_is_a_png(scenes):
    episodes = draw_episodes(scenes.records, (1, 2), (0,), 2, 1, 1, 500)
    readers = scenes.read_image, scenes.read_mask
    predictions = [predict_episode(TinyEncoder(), *readers, e) for e in episodes]
    panel = episode_panel(*readers, episodes, predictions, NAMES)
    assert opened(panel).shape[0] == TILE + 20 + GAP


def test_pseudo_panel_shows_images_that_hide_novel_classes(discs, monkeypatch):
    rows = []
    monkeypatch.setattr("fsslib.pictures.panels.grid", lambda found: rows.extend(found) or b"")
    pseudo = {r.id: np.full((r.height, r.width), 3, np.uint8) for r in discs.train}
    monkeypatch.setattr("fsslib.data.manifest.ImageRecord.has_any", _any_at_all)
    pseudo_panel(discs, 1, pseudo, pseudo.__getitem__, count=3)
    captions = [[caption for caption, _ in row] for row in rows]
    assert [c[2] for c in captions] == ["hidden: dog", "hidden: eel", "hidden: fox"]
    for row in rows:
        base, everything = (set(map(tuple, np.asarray(p).reshape(-1, 3))) for _, p in row[1:3])
        novel_colours = {tuple(v) for v in ((0, 0, 128), (128, 0, 128), (0, 128, 128))}
        assert not base & novel_colours
        assert len(everything & novel_colours) == 1
        assert np.array_equal(
            np.asarray(row[3][1])[0, 0], opened(encode_png(np.full((1, 1), 3, np.uint8)))[0, 0]
        )


def _any_at_all(record, class_ids, at_least=1):
    """Small test images hold fewer pixels than the panel's threshold."""
    return any(record.pixels.get(c, 0) >= 1 for c in class_ids)
