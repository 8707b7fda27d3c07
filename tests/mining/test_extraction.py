"""The feature store: bounded loss, the same sums in every mode, damaged files refused."""

import pickle

import h5py
import numpy as np
import pytest
import torch

from fsslib.files.storage import create_hdf5
from fsslib.mining.extraction import FeatureStore, describe_image, quantise, write_shard
from fsslib.mining.feature_files import prototype_rows
from fsslib.mining.pooling import masked_average
from fsslib.mining.pseudo_masks import pseudo_mask
from tests.support.helpers import one_line

REMEDY = "run the stage 'extract' again"
CHANNELS = 12


def make_image(number, channels=CHANNELS):
    """Feature and mask: sizes differ, image 2 is ignored throughout, image 3 has no background."""
    generator = torch.Generator().manual_seed(number)
    h, w = 5 + number, 9 - number
    feature = torch.randn(channels, h, w, generator=generator) * 10.0 ** (number - 1)
    mask = np.random.default_rng(number).choice([0, 3, 7, 255], (8 * h - 3, 8 * w - 1))
    if number == 2:
        mask[:] = 255
    if number == 3:
        mask[mask == 0] = 7
    return feature, mask.astype(np.uint8)


IMAGES = {f"im{n}": make_image(n) for n in range(5)}


def write(folder, dtype, images=IMAGES):
    """Two shards: two images and the rest."""
    described = [describe_image(i, f, m, dtype) for i, (f, m) in images.items()]
    write_shard(folder / "00000.h5", described[:2], dtype)
    write_shard(folder / "00001.h5", iter(described[2:]), dtype)
    return FeatureStore(folder)


def rows_of(store):
    """{(image, class): (sum, count)} of all shards."""
    return {
        (i, int(c)): (s, float(n))
        for ids, classes, sums, counts in prototype_rows(store.files[0].parent)
        for i, c, s, n in zip(ids, classes, sums, counts, strict=True)
    }


@pytest.mark.parametrize("dtype", ["int8", "float16", None])
def test_sums_over_counts_are_eq_2_whatever_is_kept(tmp_path, dtype):
    found = rows_of(write(tmp_path, dtype))
    expected = {
        (i, int(c)): (f, m == c) for i, (f, m) in IMAGES.items() for c in np.unique(m) if c != 255
    }
    assert set(found) == set(expected)
    for key, (feature, where) in expected.items():
        sums, count = found[key]
        assert count == where.sum()
        prototype = masked_average(feature, torch.from_numpy(where)[None])[0].numpy()
        assert np.abs(sums / count - prototype).max() <= 1e-5 * np.abs(prototype).max()


def test_sums_and_embeddings_are_the_same_bytes_with_and_without_dense_features(tmp_path):
    for dtype in ("int8", "float16", None):
        (tmp_path / str(dtype)).mkdir()
        write(tmp_path / str(dtype), dtype)
    for shard in ("00000.h5", "00001.h5"):
        with h5py.File(tmp_path / "None" / shard) as bare:
            assert "feature" not in bare
            for dtype in ("int8", "float16"):
                with h5py.File(tmp_path / dtype / shard) as dense:
                    for name in bare:
                        assert bare[name][:].tobytes() == dense[name][:].tobytes(), name


def test_an_image_with_everything_ignored_has_no_row_but_its_feature(tmp_path):
    store = write(tmp_path, "int8")
    assert not [i for i, _ in rows_of(store) if i == "im2"]
    [(_, size, feature)] = store.features(["im2"])
    assert size == IMAGES["im2"][1].shape
    assert feature.shape == IMAGES["im2"][0].shape


def test_a_shard_in_which_everything_is_ignored_can_be_written_and_read(tmp_path):
    store_images = {"a": IMAGES["im0"], "b": IMAGES["im1"], "c": IMAGES["im2"]}
    store = write(tmp_path, "int8", store_images)
    assert {i for i, _ in rows_of(store)} == {"a", "b"}
    assert store.ids() == ["a", "b", "c"]


def test_int8_errs_by_half_a_step_of_each_locations_own_scale(tmp_path):
    store = write(tmp_path, "int8")
    for image_id, size, read in store.features(list(IMAGES)):
        feature, mask = IMAGES[image_id]
        assert size == mask.shape
        assert read.dtype == torch.float32
        for y in range(feature.shape[1]):
            for x in range(feature.shape[2]):
                step = float(feature[:, y, x].abs().max()) / 127
                error = float((read[:, y, x] - feature[:, y, x]).abs().max())
                assert error <= 0.501 * step


def test_float16_errs_by_its_own_precision(tmp_path):
    for image_id, _, read in write(tmp_path, "float16").features(list(IMAGES)):
        feature = IMAGES[image_id][0]
        assert ((read - feature).abs() <= feature.abs() * 2**-11 + 2**-24).all()


def test_known_locations_quantise_to_known_bytes():
    packed, scale = quantise(np.array([[127, -63.6, 0.4], [0, 0, 0]], np.float32), "int8")
    assert packed.tolist() == [[127, -64, 0], [0, 0, 0]]
    assert packed.dtype == np.int8
    assert scale[0] == 1
    assert np.isfinite(scale).all()


@pytest.mark.parametrize("dtype", ["int8", "float16"])
def test_pseudo_masks_from_kept_features_agree_with_exact_ones(tmp_path, dtype):
    images = {n: make_image(i, channels=256) for i, n in enumerate(IMAGES)}
    prototypes = torch.randn(6, 256, generator=torch.Generator().manual_seed(9))
    same = []
    for image_id, size, read in write(tmp_path, dtype, images).features(list(images)):
        exact = pseudo_mask(images[image_id][0], prototypes, size)
        same.append(pseudo_mask(read, prototypes, size) == exact)
    assert np.concatenate([s.ravel() for s in same]).mean() >= 0.995


def test_features_come_in_any_order_asked_for(tmp_path):
    store = write(tmp_path, "float16")
    order = ["im4", "im0", "im3", "im1", "im0"]
    found = list(store.features(order))
    assert [i for i, _, _ in found] == order
    assert torch.equal(found[1][2], found[4][2])
    assert not torch.equal(found[0][2][:, :5, :5], found[1][2][:, :5, :5])


def test_the_same_features_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, "int8")
    for shard in ("00000.h5", "00001.h5"):
        assert (tmp_path / "a" / shard).read_bytes() == (tmp_path / "b" / shard).read_bytes()


def test_a_store_that_was_used_can_be_sent_to_another_process(tmp_path):
    store = write(tmp_path, "int8")
    half_read = store.features(["im1", "im4"])
    first = next(half_read)
    copy = pickle.loads(pickle.dumps(store))
    assert torch.equal(next(copy.features(["im1"]))[2], first[2])


def test_what_was_not_kept_is_refused(tmp_path):
    message = one_line(lambda: list(write(tmp_path, None).features(["im0"])))
    assert message == "no dense features were kept: set dense_features to true"


def test_unknown_image_is_refused(tmp_path):
    store = write(tmp_path, "int8")
    assert "im0" in store
    assert "im9" not in store
    message = one_line(lambda: list(store.features(["im9"])))
    assert message == f"image im9 has no features: {REMEDY}"


def test_empty_folder_is_refused(tmp_path):
    assert one_line(FeatureStore, tmp_path) == f"{tmp_path} holds no features: {REMEDY}"


def incomplete(path):
    with h5py.File(path, "r+") as file:
        del file.attrs["complete"]


def foreign(path):
    with create_hdf5(path, "prototypes", 1):
        pass


def older(path):
    with create_hdf5(path, "features", 0):
        pass


def truncated(path):
    path.write_bytes(path.read_bytes()[:-20])


@pytest.mark.parametrize("damage", [incomplete, foreign, older, truncated])
def test_unfinished_foreign_older_or_truncated_shard_is_one_line_with_the_remedy(tmp_path, damage):
    write(tmp_path, "int8")
    damage(tmp_path / "00001.h5")
    message = one_line(FeatureStore, tmp_path)
    assert message.startswith(str(tmp_path / "00001.h5"))
    assert message.endswith(REMEDY)


def flip(path, values):
    """Change one bit of the stored `values`."""
    content = bytearray(path.read_bytes())
    content[content.index(values.tobytes()) + 3] ^= 4
    path.write_bytes(content)


def test_a_flipped_byte_of_a_feature_is_told(tmp_path):
    store = write(tmp_path, "int8")
    flip(tmp_path / "00001.h5", quantise(IMAGES["im3"][0].flatten(1).T.numpy(), "int8")[0])
    message = one_line(lambda: list(store.features(["im3"])))
    assert message.startswith(f"{tmp_path / '00001.h5'} is damaged")
    assert message.endswith(REMEDY)


def test_a_flipped_byte_of_a_sum_is_told(tmp_path):
    store = write(tmp_path, "int8")
    flip(tmp_path / "00000.h5", rows_of(store)["im1", 3][0])
    message = one_line(lambda: list(prototype_rows(store.files[0].parent)))
    assert message.startswith(f"{tmp_path / '00000.h5'} is damaged")
    assert message.endswith(REMEDY)
