"""Properties that hold for any input: pooling, metrics, episodes, params and readers.

`HYPOTHESIS_PROFILE=nightly` tries thousands of examples each, `ci` (the default) a few dozen.
"""

# ruff: noqa: PT017 - a property is of every outcome, refused or not

import io
import json

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from PIL import Image
from ruamel.yaml import YAML

from fsslib.data.folds import balanced_folds, contiguous_folds, strided_folds
from fsslib.data.images import decode_mask, turn
from fsslib.data.manifest import ImageRecord, Manifest, load_manifest, save_manifest
from fsslib.data.scaling import scaled_size
from fsslib.datasets.layout import parse_list
from fsslib.errors import FsslibError
from fsslib.evaluation.episode_files import load_episodes, save_episodes
from fsslib.evaluation.episodes import draw_episode_set
from fsslib.evaluation.metrics import Counts, summarise
from fsslib.files.shards import split_shards
from fsslib.files.storage import (
    create_hdf5,
    json_digest,
    read_array,
    read_hdf5,
    read_json,
    write_json,
)
from fsslib.files.tensor_files import load_tensors, save_tensors
from fsslib.mining.extraction import quantise
from fsslib.mining.pooling import masked_average, masked_sums, upsample
from fsslib.mining.pseudo_masks import pseudo_mask
from stages.support.params_file import (
    load_params,
    parse_params,
)
from tests.support.project import ROOT

quiet = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
seeds = st.integers(0, 2**31 - 1)
sides = st.integers(1, 9)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | texts
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def noise(seed, *shape):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def some_mask(seed, height, width):
    return torch.from_numpy(np.random.default_rng(seed).random((height, width)) < 0.5)


# ---- Pooling -----------------------------------------------------------------------------------


@given(seeds, sides, sides, st.integers(1, 30), st.integers(1, 30))
def test_pooling_is_the_average_of_the_upsampled_feature(seed, h, w, height, width):
    feature, mask = noise(seed, 3, h, w), some_mask(seed, height, width)
    assume(mask.any())
    naive = upsample(feature, (height, width))[:, mask].double().mean(1)
    found = masked_average(feature, mask[None])[0].double()
    assert (found - naive).abs().max() < 1e-5 * (1 + feature.abs().max())


@given(seeds, sides, sides, st.integers(1, 30), st.integers(1, 30))
def test_sums_of_disjoint_masks_add_up(seed, h, w, height, width):
    feature, mask = noise(seed, 3, h, w), some_mask(seed, height, width)
    sums, counts = masked_sums(feature, torch.stack([mask, ~mask, torch.ones_like(mask)]))
    scale = 1e-6 * height * width * (1 + feature.abs().max())
    assert counts[0] + counts[1] == counts[2] == height * width
    assert (sums[0] + sums[1] - sums[2]).abs().max() <= scale


@given(seeds, sides, sides, st.integers(1, 20), st.integers(1, 20))
def test_upsampling_stays_within_the_values(seed, h, w, height, width):
    feature = noise(seed, 2, h, w)
    found = upsample(feature, (height, width))
    assert found.shape == (2, height, width)
    assert found.min() >= feature.min() - 1e-5
    assert found.max() <= feature.max() + 1e-5


@given(seeds, st.integers(1, 8), sides, sides, st.floats(0.1, 100))
def test_pseudo_masks_do_not_depend_on_the_length_of_a_feature(seed, k, h, w, factor):
    feature, prototypes = noise(seed, 6, h, w), noise(seed + 1, k + 1, 6)
    found = pseudo_mask(feature, prototypes, (h, w))
    assert found.max() <= k
    other = pseudo_mask(feature * factor, prototypes, (h, w))
    assert (found != other).mean() <= 0.02  # ties apart


@given(seeds, st.integers(1, 20), st.integers(1, 70), st.floats(1e-6, 1e6))
def test_quantised_rows_are_within_half_a_step(seed, count, channels, size):
    rows = (noise(seed, count, channels) * size).numpy()
    packed, scale = quantise(rows, "int8")
    error = np.abs(packed * scale[:, None] - rows)
    assert (error <= 0.5001 * scale[:, None] + 1e-12).all()


# ---- Metrics -----------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 1) | st.just(float("nan")), max_size=8))
def test_a_mean_lies_between_least_and_largest(values):
    found = summarise(np.array(values, np.float64))
    known = [v for v in values if v == v]
    if not known:
        assert found.mean is None or found.mean != found.mean
    elif len(known) == len(values):
        assert min(known) - 1e-12 <= found.mean <= max(known) + 1e-12
        assert found.std is None or found.std >= 0


def counted(episodes):
    """Counts of (class, truth, prediction), each a mask of 4 x 5 made of its seed."""
    counts = Counts((0,), (1, 2, 3))
    for class_id, seed in episodes:
        truth, found = masks_of(seed)
        hit, predicted, true = (int(v.sum()) for v in (truth & found, found, truth))
        counts.add(0, class_id, hit, predicted, true)
        counts.add_binary(0, hit, predicted, true, truth.size)
    return counts


def masks_of(seed):
    rng = np.random.default_rng(seed)
    return rng.random((4, 5)) < 0.4, rng.random((4, 5)) < 0.4


many_episodes = st.lists(st.tuples(st.integers(1, 3), seeds), max_size=8)


@given(many_episodes)
def test_iou_is_that_of_all_pixels_of_a_class(episodes):
    found = counted(episodes).class_iou()[0]
    for class_id in (1, 2, 3):
        masks = [masks_of(seed) for c, seed in episodes if c == class_id]
        union = sum(int((a | b).sum()) for a, b in masks)
        naive = sum(int((a & b).sum()) for a, b in masks) / union if union else float("nan")
        assert np.isclose(found[class_id - 1], naive, equal_nan=True)


@given(many_episodes, st.randoms(use_true_random=False))
def test_scores_know_no_order_of_episodes(episodes, random):
    shuffled = random.sample(episodes, len(episodes))
    one, other = counted(episodes), counted(shuffled)
    assert np.array_equal(one.miou(), other.miou(), equal_nan=True)
    assert np.array_equal(one.fb_iou(), other.fb_iou(), equal_nan=True)
    if episodes:
        assert 0 <= one.fb_iou()[0] <= 1


# ---- Episodes ----------------------------------------------------------------------------------


@st.composite
def manifests(draw):
    classes = {c: f"class {c}" for c in range(1, draw(st.integers(2, 5)) + 1)}
    novel = tuple(sorted(draw(st.sets(st.sampled_from(list(classes)), min_size=1,
                                      max_size=len(classes) - 1))))  # fmt: skip
    records = tuple(
        ImageRecord(f"i{n:02d}", f"i{n}.jpg", f"i{n}.png", 40, 40,
                    {0: 100, **{c: draw(st.integers(1, 900)) for c in ids}})
        for n, ids in enumerate(draw(st.lists(st.sets(st.sampled_from(list(classes))), min_size=1,
                                              max_size=14)))
    )  # fmt: skip
    return Manifest("made", "listed", ROOT, classes, (novel,), train=records[:1], val=records)


def drawn(manifest, seed, shots, ways, count=6, protocol="paper"):
    try:
        return draw_episode_set(manifest, 0, [seed], count, [shots], ways, 50, protocol, None)
    except FsslibError as error:
        assert "\n" not in str(error)
        return None


@given(
    manifests(), seeds, st.integers(1, 4), st.integers(1, 2), st.sampled_from(["paper", "hsnet"])
)
def test_an_episode_is_legal(manifest, seed, shots, ways, protocol):
    found = drawn(manifest, seed, shots, ways, protocol=protocol)
    records = {r.id: r for r in manifest.val}
    for episode in found.episodes if found else ():
        used = [episode.query, *(i for ids in episode.supports for i in ids)]
        assert len(set(used)) == len(used) == shots * ways + 1
        assert set(episode.class_ids) <= set(manifest.novel(0))
        for class_id, ids in zip(episode.class_ids, episode.supports, strict=True):
            assert all(records[i].pixels[class_id] >= 50 for i in ids)


@given(manifests(), seeds, st.integers(1, 3), st.integers(2, 8))
def test_an_episode_depends_on_its_seed_and_number_alone(manifest, seed, shots, count):
    few, many = (drawn(manifest, seed, shots, 1, n) for n in (count - 1, count + 5))
    if few is not None:
        assert few.episodes == many.episodes[: count - 1]


@quiet
@given(manifests(), seeds, st.integers(1, 3))
def test_episodes_come_back_from_their_file(tmp_path, manifest, seed, shots):
    found = drawn(manifest, seed, shots, 1)
    assume(found is not None)
    save_episodes(found, tmp_path / "e.json")
    assert load_episodes(tmp_path / "e.json") == found


@quiet
@given(manifests())
def test_a_manifest_comes_back_from_its_file(tmp_path, manifest):
    save_manifest(manifest, tmp_path / "m.json", str(ROOT))
    assert load_manifest(tmp_path / "m.json") == manifest


# ---- Params ------------------------------------------------------------------------------------

COMMITTED = (ROOT / "params.yaml").read_text(encoding="utf-8")
KEYS = sorted(YAML(typ="safe").load(COMMITTED))


@given(st.sampled_from(KEYS), plain)
def test_any_value_of_any_key_is_taken_or_refused_in_one_line(key, value):
    raw = YAML(typ="safe").load(COMMITTED)
    raw[key] = value
    stream = io.StringIO()
    YAML(typ="safe", pure=True).dump(raw, stream)
    try:
        parse_params(stream.getvalue(), ROOT / "params.yaml")
    except FsslibError as error:
        assert len(str(error).splitlines()) == 1
        assert len(str(error)) < 5000


@given(st.text(max_size=60), st.integers(0, 200))
def test_any_text_in_params_is_read_or_refused_in_one_line(text, line):
    rows = COMMITTED.splitlines()
    rows[line % len(rows)] = text
    try:
        parse_params("\n".join(rows), ROOT / "params.yaml")
    except FsslibError as error:
        assert "\n" not in str(error)


@quiet
@given(st.binary(max_size=200))
def test_any_bytes_as_params_are_refused_in_one_line(tmp_path, content):
    (tmp_path / "p.yaml").write_bytes(content)
    with pytest.raises(FsslibError) as caught:
        load_params(tmp_path / "p.yaml")
    assert "\n" not in str(caught.value)


# ---- Readers -----------------------------------------------------------------------------------


@given(st.binary(max_size=120))
def test_any_bytes_as_a_list_give_plain_ids_or_problems(content):
    try:
        ids, problems = parse_list(content, "list")
    except FsslibError as error:
        ids, problems = [], [str(error)]
    assert ids or problems
    assert len(set(ids)) == len(ids)
    for image_id in ids:
        assert "/" not in image_id
        assert image_id not in (".", "..")
        assert image_id.isprintable()
    assert not [p for p in problems if "\n" in p]


@given(st.lists(st.from_regex(r"[a-z0-9_]{1,8}", fullmatch=True), min_size=1, unique=True),
       st.sampled_from(["\n", "\r\n"]), st.booleans())  # fmt: skip
def test_plain_ids_are_read_whatever_ends_a_line(ids, end, mark):
    content = b"\xef\xbb\xbf" * mark + (end.join(ids) + end).encode()
    assert parse_list(content, "list") == (ids, [])


@given(seeds, sides, sides, st.sampled_from(["P", "L"]))
def test_a_mask_comes_back_from_its_png(seed, height, width, mode):
    values = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)
    image = Image.fromarray(values)
    if mode == "P":
        image.putpalette(list(range(256)) * 3)
    stream = io.BytesIO()
    image.save(stream, "PNG")
    assert (decode_mask(ROOT / "m.png", stream.getvalue())[0] == values).all()


@given(st.binary(max_size=100))
def test_any_bytes_as_a_mask_are_refused_in_one_line(content):
    with pytest.raises(FsslibError) as caught:
        decode_mask(ROOT / "m.png", b"\x89PNG\r\n\x1a\n" + content)
    assert "\n" not in str(caught.value)


@given(seeds, sides, sides, st.integers(1, 8))
def test_a_turned_mask_holds_the_same_values(seed, height, width, orientation):
    values = np.random.default_rng(seed).integers(0, 9, (height, width)).astype(np.uint8)
    found = turn(values, orientation)
    assert found.shape == ((width, height) if orientation >= 5 else (height, width))
    assert sorted(found.ravel()) == sorted(values.ravel())


@quiet
@given(plain)
def test_json_comes_back_and_its_digest_knows_no_order(tmp_path, value):
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json", "") == value
    if isinstance(value, dict):
        assert json_digest(dict(reversed(value.items()))) == json_digest(value)


@quiet
@given(st.binary(max_size=80))
def test_any_bytes_as_json_are_read_or_refused_in_one_line(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    try:
        json.dumps(read_json(tmp_path / "a.json", "mend it"), ensure_ascii=False).encode()
    except FsslibError as error:
        assert str(error).endswith("mend it")
        assert "\n" not in str(error)


@quiet
@given(seeds, st.lists(st.integers(0, 4), min_size=1, max_size=3),
       st.sampled_from(["float32", "int64", "int8", "float16"]))  # fmt: skip
def test_an_array_comes_back_from_hdf5(tmp_path, seed, shape, dtype):
    array = (np.random.default_rng(seed).normal(size=shape) * 9).astype(dtype)
    with create_hdf5(tmp_path / "a.h5", "any", 1) as file:
        file.put("array", array)
    with read_hdf5(tmp_path / "a.h5", "any", 1, "") as file:
        found = read_array(file, "array", dtype, *shape)
    assert found.dtype == array.dtype
    assert np.array_equal(found, array)


@quiet
@given(st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), st.tuples(seeds, sides),
                       max_size=4), st.dictionaries(texts, plain, max_size=3))  # fmt: skip
def test_tensors_and_header_come_back_from_their_file(tmp_path, sizes, about):
    tensors = {name: noise(seed, side) for name, (seed, side) in sizes.items()}
    save_tensors(tmp_path / "a", tensors, {"kind": "any", "about": about})
    found, head = load_tensors(tmp_path / "a", "any", "")
    assert head["about"] == about
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)


# ---- Folds, sizes, shards ----------------------------------------------------------------------


@given(st.integers(2, 60), st.integers(2, 8))
def test_folds_hold_every_class_once(classes, folds):
    assume(folds <= classes)
    found = balanced_folds(list(range(1, classes + 1)), folds)
    assert sorted(c for fold in found for c in fold) == list(range(1, classes + 1))
    assert max(map(len, found)) - min(map(len, found)) <= 1


@given(st.integers(1, 20))
def test_the_papers_folds_hold_every_class_once(quarter):
    ids = list(range(1, 4 * quarter + 1))
    for folds in (contiguous_folds(ids), strided_folds(ids)):
        assert sorted(c for fold in folds for c in fold) == ids


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(32, 4096))
def test_a_scaled_size_fits_and_keeps_its_shape(height, width, long_side):
    h, w = scaled_size(height, width, long_side)
    assert h >= 1
    assert w >= 1
    assert max(h, w) == long_side
    assert abs(h - height * long_side / max(height, width)) <= 1
    assert scaled_size(height, width, None) == (height, width)


@given(st.lists(st.integers()), st.integers(1, 9))
def test_shards_joined_are_the_whole(items, size):
    shards = split_shards(items, size)
    assert [i for shard in shards for i in shard] == items
    assert all(len(shard) == size for shard in shards[:-1])
