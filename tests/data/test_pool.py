"""The pool: which images a fold may mine, capped by seed, never a validation image."""

from dataclasses import replace
from pathlib import Path

import pytest

from fsslib.data.manifest import ImageRecord
from fsslib.data.pool import PoolSource, build_pool
from tests.support.fakes import jpeg_bytes, write
from tests.support.helpers import one_line

NOVEL_ONLY = {"train_000", "train_001", "train_002", "train_006", "train_007"}
"""Images of tests.support.helpers.LAYOUT without a class of 4 to 6, base in fold 0."""


def ids(manifest, *sources, fold=0, seed=0, base_dir=Path()):
    sources = [s if isinstance(s, PoolSource) else PoolSource(s) for s in sources]
    return [i.id for i in build_pool(manifest, fold, sources, seed, base_dir)]


def test_train_is_every_image_with_a_base_class(discs):
    expected = [r.id for r in discs.train if set(r.pixels) & {4, 5, 6}]
    assert ids(discs, "train") == expected
    assert set(expected) == {r.id for r in discs.train} - NOVEL_ONLY


def test_remaining_is_the_rest_of_train(discs):
    assert ids(discs, "remaining") == sorted(NOVEL_ONLY)


def test_both_are_all_of_train_in_sorted_order_each_once(discs):
    assert ids(discs, "remaining", "train", "train") == [r.id for r in discs.train]


def test_folds_split_train_differently(discs):
    assert ids(discs, "train", fold=1) != ids(discs, "train", fold=0)


def test_validation_images_never_enter(discs):
    record = ImageRecord("val_000", "i", "m", 9, 9, {0: 50, 4: 31})
    manifest = replace(discs, val=(record,))
    assert "val_000" not in ids(manifest, "train", "remaining")


def test_paths_lead_to_the_photographs(discs):
    for image in build_pool(discs, 0, [PoolSource("train")], 0, Path()):
        assert image.path == discs.root / "JPEGImages" / f"{image.id}.png"
        assert image.path.is_file()


def test_a_cap_draws_by_seed_alone(discs):
    capped = PoolSource("train", 4)
    everything = ids(discs, "train")
    first = ids(discs, capped, seed=1)
    assert len(set(first)) == 4
    assert first == sorted(first)
    assert set(first) < set(everything)
    assert first == ids(discs, capped, seed=1)
    assert any(ids(discs, capped, seed=s) != first for s in range(2, 8))


def test_a_cap_above_the_number_of_images_changes_nothing(discs):
    assert ids(discs, PoolSource("train", 99)) == ids(discs, "train")


def test_each_source_is_capped_for_itself(discs):
    found = ids(discs, PoolSource("train", 2), PoolSource("remaining", 3))
    assert len(found) == 5
    assert len(set(found) & NOVEL_ONLY) == 3


@pytest.fixture
def folder(tmp_path):
    for number, name in enumerate(("b.jpg", "sub/deep/a.JPEG", "sub/b.png", "train_000.jpg")):
        write(tmp_path / "photos" / name, jpeg_bytes(number))
    write(tmp_path / "photos" / "notes.txt", b"no photograph")
    (tmp_path / "photos" / "folder.jpg").mkdir()
    return tmp_path


def test_a_folder_is_searched_with_its_sub_folders_under_ids_of_its_own(discs, folder):
    found = build_pool(discs, 0, [PoolSource("train"), PoolSource("photos")], 0, folder)
    own = [i for i in found if i.id.startswith("@")]
    assert [i.id for i in own] == [
        "@1/b.jpg",
        "@1/sub/b.png",
        "@1/sub/deep/a.JPEG",
        "@1/train_000.jpg",
    ]
    assert own[2].path == folder / "photos" / "sub" / "deep" / "a.JPEG"
    assert len(found) == len(ids(discs, "train")) + 4


def test_a_folder_may_be_absolute(discs, folder):
    assert len(ids(discs, str(folder / "photos"))) == 4


def test_absent_folder_names_the_param_and_where_it_looked(discs, folder):
    message = one_line(ids, discs, "pohtos", base_dir=folder)
    assert message.startswith("unlabeled: 'pohtos' is neither 'train' nor 'remaining' nor a folder")
    assert str(folder / "pohtos") in message


def test_folder_without_images_and_empty_pool_are_refused(discs, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "holds no image (.jpg, " in one_line(ids, discs, "empty", base_dir=tmp_path)
    labelled = replace(discs, train=tuple(r for r in discs.train if r.id not in NOVEL_ONLY))
    assert one_line(ids, labelled, "remaining").startswith("unlabeled: the sources hold no image")


def test_fold_that_is_not_there_is_refused(discs):
    assert one_line(ids, discs, "train", fold=2).startswith("folds: 2 is not one of 0 to 1")


@pytest.fixture
def held_back(discs):
    """`discs` with its last three photographs as the validation split."""
    return replace(discs, train=discs.train[:-3], val=discs.train[-3:])


def test_validation_photographs_in_a_folder_never_enter(held_back, folder):
    """By any path that leads to them: the dataset's own folder, a link, a detour."""
    (folder / "link").symlink_to(held_back.root / "JPEGImages")
    detour = held_back.root / "SegmentationClass" / ".." / "JPEGImages"
    expected = [f"@0/{r.id}.png" for r in held_back.train]
    for source in (held_back.root / "JPEGImages", "link", detour):
        assert ids(held_back, str(source), base_dir=folder) == expected


def test_a_folder_of_validation_photographs_alone_is_an_empty_pool(held_back, tmp_path):
    photograph = held_back.image_path(held_back.val[0]).resolve()
    (tmp_path / "photo.png").symlink_to(photograph)
    message = one_line(ids, held_back, str(tmp_path))
    assert message.startswith("unlabeled: the sources hold no image")


def test_a_folder_listed_twice_counts_once(discs, folder):
    once = ids(discs, "photos", base_dir=folder)
    assert ids(discs, "photos", str(folder / "photos"), "photos/sub", base_dir=folder) == once


def test_a_cap_is_of_the_images_that_are_left(discs, folder):
    found = ids(discs, "photos/sub", PoolSource("photos", 2), base_dir=folder)
    assert found == ["@0/b.png", "@0/deep/a.JPEG", "@1/b.jpg", "@1/train_000.jpg"]


@pytest.mark.parametrize("link", ["hardlink_to", "symlink_to"])
def test_a_folder_that_holds_the_dataset_too_adds_only_what_is_new(discs, tmp_path, link):
    """Own photographs lie in one folder, the labelled ones among them; the dataset links them."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for record in discs.train:
        getattr(folder / Path(record.image).name, link)(discs.image_path(record))
    write(folder / "new.jpg", jpeg_bytes(1))
    manifest = replace(discs, val=discs.train[:1], train=discs.train[1:])
    labelled = [i for i in ids(discs, "train") if i != discs.train[0].id]
    rest = [f"{name}.png" for name in NOVEL_ONLY - {discs.train[0].id}]
    for number, sources in ((1, ("train", str(folder))), (0, (str(folder), "train"))):
        new = {f"@{number}/{name}" for name in ("new.jpg", *rest)}
        assert set(ids(manifest, *sources)) == {*labelled, *new}
    alone = ids(manifest, str(folder))
    assert len(alone) == len(discs.train)  # one of them is new, one is for validation
    assert not any(discs.train[0].id in name for name in alone)


def test_hidden_files_of_a_folder_are_no_photographs(discs, tmp_path):
    for name in ("a.jpg", "._a.jpg", ".trash/b.jpg", "in/c.jpg"):
        write(tmp_path / "pool" / name, jpeg_bytes(1) if name in ("a.jpg", "in/c.jpg") else b"x")
    assert ids(discs, str(tmp_path / "pool")) == ["@0/a.jpg", "@0/in/c.jpg"]
