"""Prototypes of a fold: novel classes are background, exactly as if they were never labelled."""

from dataclasses import fields

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from fsslib.files.storage import create_hdf5
from fsslib.mining.extraction import describe_image, write_shard
from fsslib.mining.prototypes import (
    collect_prototypes,
    fold_prototypes,
    load_prototypes,
    save_prototypes,
)
from tests.support.helpers import one_line

BASE, NOVEL = (1, 2), (3, 4)
REMEDY = "run the stage 'collect' again"


def scene(number, values):
    """A (6, 7, 9) feature and a (50, 66) mask of random blocks of `values`."""
    rng = np.random.default_rng(number)
    blocks = rng.choice(values, (5, 6))
    mask = np.kron(blocks, np.ones((10, 11))).astype(np.uint8)
    feature = torch.randn(6, 7, 9, generator=torch.Generator().manual_seed(number))
    return feature, mask


SCENES = {
    "b both": scene(0, [0, 1, 2, 3, 255]),
    "a base": scene(1, [0, 1]),
    "c novel only": scene(2, [0, 3, 4]),
    "d ignored": scene(3, [255]),
    "e no background": scene(4, [1, 255]),
    "f novel behind": scene(5, [2, 3, 4]),
    "ß empty": scene(6, [0, 255]),
}


def table_of(folder, scenes=SCENES, shard=3):
    described = [describe_image(i, f, m, None) for i, (f, m) in scenes.items()]
    for start in range(0, len(described), shard):
        write_shard(folder / f"{start:05d}.h5", described[start : start + shard], None)
    return collect_prototypes(folder)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return table_of(tmp_path_factory.mktemp("features"))


def eq2(feature, where):
    """The mean of the upsampled feature over the pixels of `where`, in float64."""
    full = interpolate(feature[None].double(), where.shape, mode="bilinear", align_corners=True)[0]
    return full[:, torch.from_numpy(where)].mean(dim=1).numpy()


def expected_prototypes():
    """P_fg by (image, class) and P_bg by image, from masks in which novel classes became 0."""
    foreground, background = {}, {}
    for image_id, (feature, mask) in sorted(SCENES.items()):
        edited = mask.copy()
        for class_id in NOVEL:
            edited[mask == class_id] = 0
        present = [c for c in BASE if (edited == c).any()]
        if not present:
            continue
        for class_id in present:
            foreground[image_id, class_id] = eq2(feature, edited == class_id)
        if (edited == 0).any():
            background[image_id] = eq2(feature, edited == 0)
    return foreground, background


def test_fold_prototypes_equal_eq_2_on_masks_with_novel_classes_painted_over(table):
    ours = fold_prototypes(table, BASE, NOVEL)
    foreground, background = expected_prototypes()
    keys = zip(ours.foreground_image.tolist(), ours.foreground_class.tolist(), strict=True)
    assert list(keys) == list(foreground)
    assert np.allclose(ours.foreground, np.stack(list(foreground.values())), atol=1e-5)
    assert ours.background.shape == (len(background), 6)
    assert np.allclose(ours.background, np.stack(list(background.values())), atol=1e-5)
    assert ours.foreground.dtype == ours.background.dtype == np.float32


def test_painting_novel_labels_over_changes_nothing(table, tmp_path):
    painted = {
        i: (f, np.where(np.isin(m, NOVEL), 0, m).astype(np.uint8)) for i, (f, m) in SCENES.items()
    }
    ours = fold_prototypes(table, BASE, NOVEL)
    without_labels = fold_prototypes(table_of(tmp_path, painted), BASE, NOVEL)
    for field in fields(ours):
        mine, theirs = getattr(ours, field.name), getattr(without_labels, field.name)
        if field.name == "origin":
            assert mine == theirs
        elif mine.dtype == np.float32:
            assert np.allclose(mine, theirs, atol=1e-5)
        else:
            assert mine.tolist() == theirs.tolist()


def test_exchanging_the_labels_of_novel_classes_changes_nothing(table, tmp_path):
    swap = np.arange(256, dtype=np.uint8)
    swap[[3, 4]] = [4, 3]
    swapped = table_of(tmp_path, {i: (f, swap[m]) for i, (f, m) in SCENES.items()})
    ours, theirs = (fold_prototypes(t, BASE, NOVEL) for t in (table, swapped))
    assert np.array_equal(ours.foreground, theirs.foreground)
    assert np.allclose(ours.background, theirs.background, atol=1e-6)


def test_images_without_a_base_class_give_no_prototype(table):
    ours = fold_prototypes(table, BASE, NOVEL)
    assert set(ours.foreground_image) == {"a base", "b both", "e no background", "f novel behind"}
    assert len(ours.background) == 3  # "e no background" has none


def test_another_fold_makes_its_own_use_of_the_same_table(table):
    ours = fold_prototypes(table, NOVEL, BASE)
    assert set(ours.foreground_class) == set(NOVEL)
    assert set(ours.foreground_image) == {"b both", "c novel only", "f novel behind"}


def test_fold_without_a_base_image_is_refused(table):
    message = one_line(fold_prototypes, table, (9,), NOVEL)
    assert message == "no training image holds a base class of this fold: check the masks"


def test_table_is_sorted_by_image_and_class_whatever_the_shards(table, tmp_path):
    keys = list(zip(table.image_id.tolist(), table.class_id.tolist(), strict=True))
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)
    assert "d ignored" not in table.image_id
    backwards = table_of(tmp_path, dict(reversed(SCENES.items())), shard=2)
    for field in fields(table):
        assert np.array_equal(getattr(table, field.name), getattr(backwards, field.name))


def test_saved_table_reads_back_the_same_and_twice_the_same_bytes(table, tmp_path):
    for name in ("a.h5", "b.h5"):
        save_prototypes(table, tmp_path / name)
    read = load_prototypes(tmp_path / "a.h5")
    for field in fields(table):
        assert np.array_equal(getattr(table, field.name), getattr(read, field.name))
    assert "ß empty" in read.image_id
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_bad_table_is_one_line_with_the_remedy(table, tmp_path):
    path = tmp_path / "a.h5"
    assert one_line(load_prototypes, path) == f"{path} does not exist: {REMEDY}"
    with create_hdf5(path, "clusters", 1):
        pass
    assert one_line(load_prototypes, path).endswith(REMEDY)
    save_prototypes(table, path)
    content = bytearray(path.read_bytes())
    content[content.index(table.sums.tobytes()) + 8] ^= 1
    path.write_bytes(content)
    message = one_line(load_prototypes, path)
    assert message.startswith(f"{path} is damaged")
    assert message.endswith(REMEDY)
