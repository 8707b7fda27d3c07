"""Labels of base classes for `miner: cct`: novel and hidden classes are background."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fsslib.data.batches import BatchPlan, StepBatches
from fsslib.data.images import read_mask
from fsslib.data.transforms import base_labels
from tests.support.toy import make_batches

PLAN = BatchPlan(pairs=3, shot=1, pool_images=2, crop=96, min_pixels=40, scale=(1.0, 1.0), seed=0)
STEPS = 8


def test_base_labels_of_known_values():
    labels = torch.tensor([[0, 7, 2], [255, 3, 254]], dtype=torch.uint8)
    found = base_labels(labels, (7, 2, 254))
    assert found.tolist() == [[0, 2, 1], [255, 0, 3]]
    assert found.dtype == torch.uint8
    assert base_labels(labels[None], (3,)).tolist() == [[[0, 0, 0], [255, 1, 0]]]


class Recorder(StepBatches):
    """Notes which photographs a batch reads."""

    def _read(self, image_id):
        self.read.append(image_id)
        return super()._read(image_id)


@pytest.mark.parametrize("fold", [0, 1])
def test_queries_carry_base_classes_and_novel_ones_are_background(discs, fold):
    """Crops as large as the images: nothing is lost to the crop."""
    pool = make_batches(discs).pool
    batches = Recorder(discs, fold, PLAN, STEPS, pool, miner="cct")
    novel, values = (1, 2, 3) if fold == 0 else (4, 5, 6), set()
    numbers = {c: n for n, c in enumerate(sorted({1, 2, 3, 4, 5, 6} - set(novel)), start=1)}
    novel_seen = 0
    for step in range(STEPS):
        batches.read = []
        batch = batches[step]
        for image_id, found in zip(batches.read[1::2], batch["query_labels"], strict=True):
            labels = read_mask(discs.root / "SegmentationClass" / f"{image_id}.png")
            novel_seen += np.isin(labels, novel).sum()
            expected = np.full((96, 96), 255, np.uint8)
            inside = expected[: labels.shape[0], : labels.shape[1]]
            inside[labels != 255] = 0
            for value, number in numbers.items():
                inside[labels == value] = number
            assert any(np.array_equal(found, e) for e in (expected, expected[:, ::-1]))
            values |= set(found.unique().tolist())
        same = batch["query_labels"] == 255
        assert torch.equal(same, batch["query_masks"] == 255)
    assert values == {0, 1, 2, 3, 255}
    assert novel_seen > 0


def test_hidden_classes_are_background_too(discs):
    held = replace(discs, folds=((1,), (4,)), hidden=((2, 3), (5, 6)))
    for step in range(3):
        plain, other = (
            StepBatches(m, 0, PLAN, STEPS, make_batches(discs).pool, miner="cct")[step]
            for m in (discs, held)
        )
        assert torch.equal(plain["query_labels"], other["query_labels"])


def test_episodes_and_pool_crops_are_those_of_mining_and_no_mask_is_read(discs):
    ours, mined = make_batches(discs, miner="cct"), make_batches(discs)
    for step in range(3):
        batch, other = ours[step], mined[step]
        assert set(batch) - set(other) == {"query_labels"}
        assert set(other) - set(batch) == {"pool_masks"}
        assert all(torch.equal(batch[name], other[name]) for name in set(batch) & set(other))
        labels = batch["query_labels"]
        shown = [labels[i][batch["query_masks"][i] == 1].unique() for i in range(len(labels))]
        assert all(len(classes) == 1 and classes[0] in (1, 2, 3) for classes in shown)
