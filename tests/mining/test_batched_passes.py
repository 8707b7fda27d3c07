"""Batches give what single photographs give: extraction, annotation and the region index."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from fsslib.encoders.feeding import feed
from fsslib.encoders.running import make_encode
from fsslib.encoders.work import Feeding, Tally
from fsslib.mining.annotation_pass import annotation_work
from fsslib.mining.extraction_pass import extraction_work
from fsslib.rectification.index_pass import index_work
from tests.support.scenes import scene
from tests.support.toy import make_trainer

CPU = torch.device("cpu")
MIXED = [(64, 80), (80, 64), (64, 80), (56, 56), (64, 80), (80, 64), (64, 80), (64, 80), (56, 56)]
ONCE = [(48 + 3 * n, 60 - n) for n in range(7)]
ONE_LARGE = [(48, 56)] * 6 + [(160, 200)] + [(48, 56)] * 3
LAYOUTS = pytest.mark.parametrize("sizes", [MIXED, ONCE, ONE_LARGE], ids=["mixed", "once", "large"])


@pytest.fixture(scope="module")
def encoder():
    return make_trainer(short=True).encoder


def photographs(sizes):
    """(id, photograph, mask), with more values in some masks than in others."""
    classes = [(1,), (1, 2), (2, 3, 1), (3,), ()]
    return [(f"im{n}", *scene(n, classes[n % len(classes)], size)) for n, size in enumerate(sizes)]


def both(work, items, encode, **changes):
    """Results one by one and in batches of at most four."""
    options = {"workers": 2, "batch": 4, "tally": Tally()} | changes
    feeding = Feeding(encode, **options)
    alone = list(feed(work, items, Feeding(encode, workers=0)))
    together = list(feed(work, items, feeding))
    assert sum(feeding.tally.batches) == len(items) == len(alone)
    return alone, together, feeding.tally.batches


def near(a, b):
    """To 1e-5 of the largest value, as floats of other orders of sums are."""
    a, b = (np.asarray(v, np.float64) for v in (a, b))
    return a.shape == b.shape and np.abs(a - b).max(initial=0) <= 1e-5 * np.abs(a).max(initial=0)


@LAYOUTS
@pytest.mark.parametrize("dtype", ["int8", "float16", None])
def test_extraction(encoder, sizes, dtype):
    encode = make_encode(encoder, CPU, "float32")
    items = photographs(sizes)
    alone, together, batches = both(extraction_work(encode, tuple, dtype), items, encode)
    assert max(batches) == (1 if sizes is ONCE else 4)
    for a, b in zip(alone, together, strict=True):
        assert (a.id, a.size, a.grid) == (b.id, b.size, b.grid)
        assert a.class_ids.tolist() == b.class_ids.tolist()
        assert a.counts.tolist() == b.counts.tolist()
        assert near(a.embedding, b.embedding)
        assert near(a.sums, b.sums)
        assert (a.packed is None) == (b.packed is None) == (dtype is None)
        if a.packed is not None:
            assert a.packed[0].dtype == b.packed[0].dtype
            assert a.packed[1].dtype == b.packed[1].dtype == np.float32
            rows = [
                packed.astype(np.float64) * scale[:, None] for packed, scale in (a.packed, b.packed)
            ]
            step = a.packed[1].max() if dtype == "int8" else np.abs(rows[0]).max() / 1024
            assert np.abs(rows[0] - rows[1]).max() <= 1.01 * step
            assert (a.packed[0] == b.packed[0]).mean() > 0.98


def test_features_are_those_of_the_photograph_alone(encoder):
    encode = make_encode(encoder, CPU, "float32")
    images = [image for _, image, _ in photographs([(64, 80)] * 5)]
    with torch.no_grad():
        together = encode.encode(torch.from_numpy(np.stack(images)))
    for image, feature in zip(images, together, strict=True):
        assert near(encode(image), feature)


@LAYOUTS
@pytest.mark.parametrize("long_side", [None, 72])
def test_annotation(encoder, sizes, long_side):
    encode = make_encode(encoder, CPU, "float32", long_side)
    items = [(image_id, image) for image_id, image, _ in photographs(sizes)]
    prototypes = torch.randn(4, 256, generator=torch.Generator().manual_seed(0))
    # Encoded in processes too, which write the PNGs.
    for processes in (False, True):
        alone, together, _ = both(
            annotation_work(encode, tuple, prototypes), items, encode, processes=processes
        )
        same = pixels = 0
        for (a_id, a), (b_id, b), (_, image) in zip(alone, together, items, strict=True):
            assert a_id == b_id
            labels = [np.asarray(Image.open(io.BytesIO(png))) for png in (a, b)]
            assert labels[0].shape == labels[1].shape == image.shape[:2]
            same += (labels[0] == labels[1]).sum()
            pixels += labels[0].size
        assert same / pixels >= 0.9999


@LAYOUTS
@pytest.mark.parametrize(("kind", "min_area"), [("label", 0.01), ("component", 0.0)])
def test_index(encoder, sizes, kind, min_area):
    encode = make_encode(encoder, CPU, "float32")
    items = photographs(sizes)
    if kind == "component":  # more regions than uint8 can number
        items[0][2][:] = np.indices(sizes[0]).sum(0) % 2
        assert items[0][2].sum() > 255
    alone, together, _ = both(index_work(encode, tuple, kind, min_area), items, encode)
    for a, b in zip(alone, together, strict=True):
        assert (a.id, a.labels) == (b.id, b.labels)
        assert a.regions.shape == (len(a.labels), 256)
        assert near(a.image, b.image)
        assert near(a.regions, b.regions)
    assert {len(r.labels) for r in alone} != {1}


def test_memory_for_masks_is_bounded_without_a_change(encoder, monkeypatch):
    encode = make_encode(encoder, CPU, "float32")
    work = extraction_work(encode, tuple, None)
    items = photographs(MIXED)
    whole = list(feed(work, items, Feeding(encode, batch=4)))
    monkeypatch.setattr("fsslib.mining.pooling_batches.MASK_BYTES", 1)
    monkeypatch.setattr("fsslib.mining.annotation_pass.SCORE_BYTES", 1)
    for a, b in zip(whole, feed(work, items, Feeding(encode, batch=4)), strict=True):
        assert near(a.sums, b.sums)
        assert a.counts.tolist() == b.counts.tolist()
