from collections import Counter
from dataclasses import replace

import pytest

from fsslib.data.manifest import ImageRecord
from fsslib.errors import FsslibError
from fsslib.evaluation.episodes import draw_episode_set, draw_episodes, never_drawn
from tests.support.scenes import NAMES, Scenes


def record(image_id, **pixels):
    sizes = {int(name[1:]): n for name, n in pixels.items()}
    return ImageRecord(image_id, "i", "m", 100, 100, {0: 5000, **sizes})


def records(number=12):
    """Classes 1 and 2 large in many images, together in some; 3 in two images only; 4 small."""
    rows = [record(f"a{i:02d}", c1=3000, c4=100) for i in range(number)]
    rows += [record(f"b{i:02d}", c2=2048) for i in range(number)]
    rows += [record(f"c{i:02d}", c1=4000, c2=2500) for i in range(number)]
    rows += [record("d0", c3=3000), record("d1", c3=3000), record("e0", c1=2047)]
    return rows


NOVEL = (1, 2, 3, 4)


@pytest.mark.parametrize("protocol", ["paper", "hsnet"])
@pytest.mark.parametrize("shots", [1, 5])
def test_supports_are_distinct_large_and_never_the_query(protocol, shots):
    rows = {r.id: r for r in records()}
    drawn = draw_episodes(list(rows.values()), NOVEL, (0, 3), 60, shots, 1, 2048, protocol)
    assert [(e.seed, e.index) for e in drawn] == [(s, i) for s in (0, 3) for i in range(60)]
    for episode in drawn:
        used = [episode.query, *episode.supports[0]]
        assert len(set(used)) == len(used) == shots + 1
        assert all(rows[i].pixels[episode.class_ids[0]] >= 2048 for i in used)


@pytest.mark.parametrize("protocol", ["paper", "hsnet"])
def test_an_episode_is_a_function_of_seed_and_index(protocol):
    rows = records()
    many = draw_episodes(rows, NOVEL, (0, 1, 2), 50, 1, protocol=protocol)
    few = draw_episodes(rows[::-1], NOVEL[::-1], (2,), 20, 1, protocol=protocol)
    assert few == many[100:120]
    assert many[:20] != tuple(replace(e, seed=0) for e in few)


def test_one_shot_supports_are_the_first_of_the_five_shot_ones():
    rows = [r for r in records() if not r.has_any([3, 4])]
    one, five = (draw_episodes(rows, (1, 2), (0,), 30, shots) for shots in (1, 5))
    assert [e.query for e in one] == [e.query for e in five]
    assert [e.supports[0][0] for e in one] == [e.supports[0][0] for e in five]


def test_paper_protocol_is_uniform_over_queries_then_over_classes_in_the_query():
    drawn = draw_episodes(records(), NOVEL, (0,), 4000, 1)
    queries = Counter(e.query for e in drawn)
    assert len(queries) == 38
    assert 60 < min(queries.values()) <= max(queries.values()) < 160  # 105 expected
    within = Counter(e.class_ids[0] for e in drawn if e.query.startswith("c"))
    assert abs(within[1] / sum(within.values()) - 0.5) < 0.05


def test_hsnet_protocol_gives_each_class_and_each_of_its_pairs_equal_turns():
    drawn = draw_episodes(records(), (1, 2, 3), (0,), 300, 1, 1, 2048, "hsnet")
    classes = Counter(e.class_ids[0] for e in drawn)
    assert classes == {1: 100, 2: 100, 3: 100}
    pairs = Counter((e.query, e.class_ids[0]) for e in drawn)
    assert sorted({n for (_, c), n in pairs.items() if c == 1}) == [4, 5]
    assert len([p for p in pairs if p[1] == 1]) == 24
    assert len([p for p in pairs if p[1] == 3]) == 2


def test_hsnet_protocol_has_no_least_size_by_default():
    drawn = draw_episodes(records(), NOVEL, (0,), 40, 1, protocol="hsnet")
    assert {e.class_ids[0] for e in drawn} == {1, 2, 3, 4}
    assert 4 not in {e.class_ids[0] for e in draw_episodes(records(), NOVEL, (0,), 400, 1)}


def test_a_class_with_fewer_images_than_shots_is_never_drawn():
    assert 3 in {e.class_ids[0] for e in draw_episodes(records(), NOVEL, (0,), 400, 1)}
    drawn = draw_episodes(records(), NOVEL, (0,), 400, 2)
    assert never_drawn(drawn, NOVEL) == (3, 4)
    assert not {e.query for e in drawn} & {"d0", "d1"}


def test_a_class_with_fewer_images_than_asked_for_is_never_drawn():
    rows = records(number=6)  # class 1 in 12 images, class 2 in 12, class 3 in 2
    for least, classes in ((1, {1, 2, 3}), (3, {1, 2}), (12, {1, 2})):
        drawn = draw_episodes(rows, NOVEL, (0,), 300, 1, 1, 2048, min_images=least)
        assert {e.class_ids[0] for e in drawn} == classes
    with pytest.raises(FsslibError, match=r"needs at least 13 val images .* or min_images"):
        draw_episodes(rows, NOVEL, (0,), 5, 1, 1, 2048, min_images=13)


def test_two_ways_have_distinct_classes_and_images():
    drawn = draw_episodes(records(), NOVEL, (0,), 50, 2, ways=2)
    for episode in drawn:
        assert set(episode.class_ids) == {1, 2}
        images = [episode.query, *episode.supports[0], *episode.supports[1]]
        assert len(set(images)) == 5
    assert len({e.class_ids for e in drawn}) == 2


def test_too_few_images_are_an_error_that_says_how_many_there_are():
    expected = (
        r"shots: 50 needs at least 51 val images .* found ant 24, bee 24, cow 2, dog 0: lower"
    )
    with pytest.raises(FsslibError, match=expected):
        draw_episodes(records(), NOVEL, (0,), 1, 50, names=NAMES)
    with pytest.raises(FsslibError, match="each of 3 novel classes"):
        draw_episodes(records(), NOVEL, (0,), 1, 5, ways=3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"protocol": "panet"}, "protocol: 'panet' is not one of paper, hsnet"),
        ({"count": 0}, "episodes: 0 must be at least 1"),
        ({"shots": 0}, "shots: 0 must be"),
        ({"ways": 0}, "ways: 0 must be"),
        ({"min_pixels": 0}, "min_pixels: 0 must be"),
        ({"seeds": (-1,)}, "seeds: -1 must not be negative"),
    ],
)
def test_impossible_values_are_named(options, message):
    arguments = {"seeds": (0,), "count": 1, "shots": 1, **options}
    with pytest.raises(FsslibError, match=message):
        draw_episodes(records(), NOVEL, **arguments)


def test_a_set_holds_every_list_in_order_of_shots_seed_index():
    manifest = Scenes([(1, 2)] * 4 + [(3,)] * 3).manifest
    drawn = draw_episode_set(manifest, 0, (4, 2), 5, (2, 1), min_pixels=300)
    keys = [(e.shots, e.seed, e.index) for e in drawn.episodes]
    assert keys == [(shots, seed, i) for shots in (1, 2) for seed in (4, 2) for i in range(5)]
    assert (drawn.shots, drawn.seeds, drawn.novel) == ((1, 2), (4, 2), (1, 2, 3))
