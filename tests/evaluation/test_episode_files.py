import json
from dataclasses import replace

import pytest

from fsslib.errors import FsslibError
from fsslib.evaluation.episode_files import (
    check_episodes,
    episodes_hash,
    load_episodes,
    save_episodes,
)
from fsslib.evaluation.episodes import draw_episode_set
from tests.support.scenes import Scenes


@pytest.fixture(scope="module")
def manifest():
    return Scenes([(1, 2)] * 5 + [(3,)] * 4).manifest


@pytest.fixture(scope="module")
def drawn(manifest):
    return draw_episode_set(manifest, 0, (0, 8), 6, (1, 2), min_pixels=300)


def test_what_is_saved_is_loaded(tmp_path, drawn):
    save_episodes(drawn, tmp_path / "e.json")
    assert load_episodes(tmp_path / "e.json") == drawn


def test_two_ways_survive_the_file(tmp_path, manifest):
    drawn = draw_episode_set(manifest, 0, (0,), 6, (1,), 2, 300)
    save_episodes(drawn, tmp_path / "e.json")
    assert load_episodes(tmp_path / "e.json") == drawn


def test_the_same_episodes_give_the_same_bytes(tmp_path, drawn):
    save_episodes(drawn, tmp_path / "a.json")
    save_episodes(load_episodes(tmp_path / "a.json"), tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_the_file_is_readable_one_episode_a_line(tmp_path, drawn):
    save_episodes(drawn, tmp_path / "e.json")
    first = drawn.episodes[0]
    line = (tmp_path / "e.json").read_text().splitlines()[2]
    assert json.loads(line.rstrip(",")) == [first.query, [*first.class_ids], [[*first.supports[0]]]]
    assert episodes_hash(drawn) in (tmp_path / "e.json").read_text()


def test_the_hash_knows_the_protocol_and_every_episode(drawn):
    other = replace(drawn, episodes=(*drawn.episodes[1:], drawn.episodes[0]))
    assert len({episodes_hash(e) for e in (drawn, other, replace(drawn, protocol="hsnet"))}) == 3


@pytest.mark.parametrize(("old", "new"), [("val_00", "val_99"), ('"seed": 8', '"seed": 9')])
def test_a_changed_payload_is_refused(tmp_path, drawn, old, new):
    save_episodes(drawn, tmp_path / "e.json")
    text = (tmp_path / "e.json").read_text()
    assert old in text
    (tmp_path / "e.json").write_text(text.replace(old, new, 1))
    with pytest.raises(FsslibError, match=r"was changed.*run the stage 'episodes' again"):
        load_episodes(tmp_path / "e.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not readable JSON"),
        ('{"kind": "fsslib-manifest"}', "not a file of episodes"),
        ("[]", "not a file of episodes"),
        ('{"kind": "fsslib-episodes", "version": 0}', "layout 0, expected 2"),
    ],
)
def test_foreign_files_are_refused(tmp_path, content, message):
    (tmp_path / "e.json").write_text(content)
    with pytest.raises(FsslibError, match=message):
        load_episodes(tmp_path / "e.json")


def test_drawn_episodes_fit_their_dataset(drawn, manifest):
    check_episodes(drawn, manifest)


def with_first(drawn, **changes):
    return replace(drawn, episodes=(replace(drawn.episodes[0], **changes), *drawn.episodes[1:]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: replace(d, dataset="coco"), "drawn on dataset coco, this one is discs"),
        (lambda d: replace(d, fold=1), "fold 1 has novel classes"),
        (lambda d: replace(d, protocol="x"), "protocol 'x' is unknown"),
        (lambda d: with_first(d, query="zebra"), "seed 0, index 0: image zebra is not in the val"),
        (lambda d: with_first(d, class_ids=(6,)), r"classes \[6\] are not all novel in fold 0"),
        (lambda d: with_first(d, supports=((d.episodes[0].query,),)), "an image occurs twice"),
        (lambda d: with_first(d, supports=(("val_007",) * 3,)), "supports is not one of shots"),
        (lambda d: with_first(d, class_ids=(1, 2)), "2 classes instead of ways: 1"),
        (
            lambda d: with_first(d, query="val_000", class_ids=(1,), supports=(("val_007",),)),
            "image val_007 holds no pixel of class 1",
        ),
    ],
)
def test_episodes_that_cannot_be_scored_are_named(drawn, manifest, change, message):
    with pytest.raises(FsslibError, match=message):
        check_episodes(change(drawn), manifest)
