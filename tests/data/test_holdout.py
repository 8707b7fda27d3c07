"""Base classes that play novel: which, on which images, and what stays hidden."""

from pathlib import Path

import pytest

from fsslib.data.holdout import SCORED_SHARE, groups, hold_out
from fsslib.data.manifest import ImageRecord, Manifest, load_manifest, save_manifest
from fsslib.errors import FsslibError

CLASSES = {i: f"c{i}" for i in range(1, 9)}
FOLDS = ((1, 2), (3, 4), (5, 6), (7, 8))


def manifest(folds=FOLDS, images=400):
    train = tuple(
        ImageRecord(f"t{i:03}", f"t{i}.png", f"m{i}.png", 9, 9, {1 + i % 8: 40, 1 + i // 8 % 8: 9})
        for i in range(images)
    )
    val = tuple(ImageRecord(f"v{i}", f"v{i}.png", f"w{i}.png", 9, 9, {1: 5}) for i in range(9))
    return Manifest("pascal", "contiguous", Path(), CLASSES, folds, train, val)


def test_each_other_fold_is_a_group():
    assert groups(manifest(), 2) == ((1, 2), (3, 4), (7, 8))


def test_base_classes_of_an_only_fold_are_divided():
    only = manifest(((8,),))
    assert groups(only, 0) == ((1, 2, 3), (4, 5), (6, 7))


def test_overlapping_folds_never_hold_out_novel_classes():
    found = groups(manifest(((1, 2), (2, 3), (4, 5))), 0)
    assert found == ((3,), (4, 5))


@pytest.mark.parametrize("group", range(3))
def test_novel_classes_are_neither_trained_nor_scored(group):
    whole = manifest()
    held = hold_out(whole, group)
    for fold, own in enumerate(FOLDS):
        assert held.novel(fold) == groups(whole, fold)[group]
        assert set(held.base(fold)).isdisjoint({*own, *held.novel(fold)})
        assert {*held.base(fold), *own, *held.novel(fold)} == set(CLASSES)


def test_images_to_score_are_a_share_of_the_training_images_alone():
    whole = manifest()
    held = hold_out(whole, 0)
    assert {r.id for r in (*held.train, *held.val)} == {r.id for r in whole.train}
    assert len(held.train) + len(held.val) == len(whole.train)
    assert abs(len(held.val) / len(whole.train) - SCORED_SHARE) < 0.06
    fewer = hold_out(manifest(images=200), 1)
    assert {r.id for r in fewer.val} == {r.id for r in held.val} & {f"t{i:03}" for i in range(200)}


def test_it_comes_back_from_its_file_and_an_ordinary_one_says_nothing_of_it(tmp_path):
    held = hold_out(manifest(), 1)
    save_manifest(held, tmp_path / "m.json", str(Path()))
    assert load_manifest(tmp_path / "m.json") == held
    save_manifest(manifest(), tmp_path / "n.json", str(Path()))
    assert "hidden" not in (tmp_path / "n.json").read_text()


@pytest.mark.parametrize(("folds", "group", "says"), [
    (FOLDS, 3, "holdout: 3 is not one of 0 to 2"),
    (((1, 2, 3, 4), (5, 6, 7, 8)), 0, "leaves fold 0 no class to train on"),
])  # fmt: skip
def test_impossible_groups_are_refused(folds, group, says):
    with pytest.raises(FsslibError, match=says):
        hold_out(manifest(folds), group)
