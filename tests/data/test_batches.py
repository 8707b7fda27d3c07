"""Batches: item i follows (seed, i) alone, novel classes stay background."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from fsslib.data.batches import BatchPlan, StepBatches, images_by_class
from fsslib.data.images import read_image, read_mask
from fsslib.data.pool import PoolImage
from fsslib.data.transforms import binary_mask
from tests.support.helpers import one_line

PLAN = BatchPlan(pairs=3, shot=2, pool_images=5, crop=32, min_pixels=40, scale=(1.0, 1.0), seed=0)
PSEUDO_LABELS = 4


def pseudo_mask(image_id):
    """Any mask of the image's size: the photograph in four steps of brightness."""
    return (read_image(PHOTOS[image_id]).mean(axis=2) // 64).astype(np.uint8)


PHOTOS = {}


@pytest.fixture(scope="module")
def pool(discs):
    PHOTOS.update((r.id, discs.image_path(r)) for r in discs.train)
    return [PoolImage(r.id, discs.image_path(r)) for r in discs.train]


def make(discs, pool=(), steps=12, fold=1, **changes):
    pseudo = pseudo_mask if pool else None
    return StepBatches(discs, fold, replace(PLAN, **changes), steps, pool, pseudo)


def same(a, b):
    return set(a) == set(b) and all(torch.equal(a[k], b[k]) for k in a)


def test_shapes_and_types_of_a_batch(discs, pool):
    batch = make(discs, pool)[0]
    shapes = {k: tuple(v.shape) for k, v in batch.items()}
    assert shapes == {
        "support_images": (3, 2, 3, 32, 32),
        "support_masks": (3, 2, 32, 32),
        "query_images": (3, 3, 32, 32),
        "query_masks": (3, 32, 32),
        "pool_images": (5, 3, 32, 32),
        "pool_masks": (5, 32, 32),
    }
    assert {v.dtype for v in batch.values()} == {torch.uint8}


def test_the_baseline_has_no_pool(discs):
    assert set(make(discs)[0]) == {
        "support_images",
        "support_masks",
        "query_images",
        "query_masks",
    }


def test_an_item_follows_its_number_and_the_seed_alone(discs, pool):
    first, again = make(discs, pool), make(discs, pool, steps=99)
    torch.manual_seed(5)
    backwards = {i: again[i] for i in (7, 3, 0)}
    assert all(same(first[i], batch) for i, batch in backwards.items())
    assert not same(first[0], first[1])
    assert not same(first[0], make(discs, pool, seed=1)[0])


@pytest.mark.parametrize("start", [0, 4])
def test_workers_and_a_restart_change_nothing(discs, pool, start):
    batches = make(discs, pool, steps=6)
    expected = [batches[i] for i in range(start, 6)]
    for workers in (0, 2):
        loader = DataLoader(batches, batch_size=None, sampler=range(start, 6), num_workers=workers)
        found = list(loader)
        assert len(found) == 6 - start
        assert all(same(a, b) for a, b in zip(found, expected, strict=True))


def test_a_pair_does_not_depend_on_how_many_there_are(discs):
    many, few = make(discs)[3], make(discs, pairs=1)[3]
    assert torch.equal(many["query_images"][:1], few["query_images"])


class Recorder(StepBatches):
    """Notes which photographs a batch reads."""

    def _read(self, image_id):
        self.read.append(image_id)
        return super()._read(image_id)


def recorder(discs, **changes):
    batches = Recorder(discs, changes.pop("fold", 1), replace(PLAN, **changes), 40)
    batches.read = []
    return batches


def test_supports_and_query_are_different_images_of_one_base_class(discs):
    batches = recorder(discs)
    held = {r.id: {c for c in (1, 2, 3) if r.pixels.get(c, 0) >= 40} for r in discs.train}
    classes = set()
    for step in range(40):
        batches.read.clear()
        batches[step]
        for pair in range(3):
            chosen = batches.read[3 * pair : 3 * pair + 3]
            assert len(set(chosen)) == 3
            shared = set.intersection(*(held[i] for i in chosen))
            assert shared
            classes |= shared
    assert classes == {1, 2, 3}


def full_size(discs, **changes):
    """Crops so large that they hold the whole image: nothing is lost to the crop."""
    return recorder(discs, crop=96, **changes)


def test_novel_classes_are_background_and_ignored_pixels_stay_ignored(discs):
    batches = full_size(discs)
    novel_seen = False
    for step in range(12):
        batches.read.clear()
        batch = batches[step]
        masks = torch.cat([batch["support_masks"], batch["query_masks"][:, None]], 1).flatten(0, 1)
        for image_id, found in zip(batches.read, masks, strict=True):
            labels = read_mask(discs.root / "SegmentationClass" / f"{image_id}.png")
            present = {int(c) for c in np.unique(labels)}
            novel_seen |= bool(present & {4, 5, 6})
            h, w = labels.shape
            candidates = []
            for class_id in (1, 2, 3):
                expected = np.zeros((96, 96), np.uint8)
                expected[:h, :w] = labels == class_id
                expected[:h, :w][labels == 255] = 255
                expected[h:, :] = expected[:, w:] = 255
                candidates += [expected, expected[:, ::-1]]
            assert any(np.array_equal(found.numpy(), c) for c in candidates)
            assert (found == 1).any()
    assert novel_seen


def test_an_image_reads_as_its_photograph(discs):
    batches = full_size(discs, pairs=1, shot=1)
    batch = batches[0]
    image = torch.from_numpy(
        read_image(discs.root / "JPEGImages" / f"{batches.read[0]}.png").copy()
    )
    h, w = image.shape[:2]
    shown = batch["support_images"][0, 0]
    if shown[:, :, -1].float().mean() != 124:  # padding lies left: the crop was flipped
        shown = shown.flip(-1)
    assert torch.equal(shown[:, :h, :w].permute(1, 2, 0), image)


def test_every_crop_shows_the_class(discs):
    for step in range(25):
        batch = make(discs, crop=32)[step]
        masks = torch.cat([batch["support_masks"], batch["query_masks"][:, None]], 1).flatten(0, 1)
        assert ((masks == 1).flatten(1).sum(1) > 0).all()


def test_rescaled_photographs_are_of_the_scales_asked_for(discs):
    small = full_size(discs, scale=(0.5, 0.5), pairs=1, shot=1)[0]["query_masks"][0]
    whole = full_size(discs, pairs=1, shot=1)[0]["query_masks"][0]
    share = float((small == 1).sum()) / float((whole == 1).sum())
    assert share == pytest.approx(0.25, abs=0.06)


def pool_order(discs, pool, count, **changes):
    """Ids of the pool images in the order in which they are read."""
    order = []

    def pseudo(image_id):
        order.append(image_id)
        return pseudo_mask(image_id)

    plan = replace(PLAN, **changes)
    batches = StepBatches(discs, 1, plan, count, pool, pseudo)
    for step in range(count):
        for slot in range(plan.pool_images):
            batches._pool_image(step, slot)
    return order


def test_each_pool_image_comes_once_an_epoch_in_a_new_order(discs, pool):
    order = pool_order(discs, pool, 12)  # 60 images, 5 epochs of 12, none a whole number of steps
    epochs = [order[i : i + 12] for i in range(0, 60, 12)]
    for epoch in epochs:
        assert sorted(epoch) == [i.id for i in pool]
    assert len({tuple(e) for e in epochs}) == 5
    assert order != pool_order(discs, pool, 12, seed=1)


def test_a_pool_smaller_than_a_step_is_repeated(discs, pool):
    order = pool_order(discs, pool[:2], 1)
    assert [order.count(i.id) for i in pool[:2]] in ([3, 2], [2, 3])


def test_pool_masks_hold_pseudo_labels_only(discs, pool):
    batches = make(discs, pool)
    for step in range(6):
        assert int(batches[step]["pool_masks"].max()) < PSEUDO_LABELS


def test_pseudo_mask_of_another_size_is_refused(discs, pool):
    batches = StepBatches(discs, 1, PLAN, 1, pool, lambda i: np.zeros((9, 9), np.uint8))
    message = one_line(batches.__getitem__, 0)
    assert "is (9, 9), its image (" in message
    assert message.endswith("run the stage 'annotate' again")


def test_binary_mask_of_known_values():
    labels = torch.tensor([[0, 1, 2], [255, 3, 2]], dtype=torch.uint8)
    assert binary_mask(labels, 2).tolist() == [[0, 0, 1], [255, 0, 1]]
    assert binary_mask(labels, 2).dtype == torch.uint8


def test_classes_with_fewer_images_than_an_episode_needs_are_left_out(discs):
    counts = {c: sum(r.pixels.get(c, 0) >= 40 for r in discs.train) for c in (4, 5, 6)}
    assert counts == {4: 3, 5: 2, 6: 3}
    assert set(images_by_class(discs, 0, 40, 2)) == {4, 5, 6}
    assert set(images_by_class(discs, 0, 40, 3)) == {4, 6}


def test_images_with_too_few_pixels_of_the_class_are_not_drawn(discs):
    least = 250
    found = images_by_class(discs, 1, least, 1)
    for class_id, image_ids in found.items():
        expected = [r.id for r in discs.train if r.pixels.get(class_id, 0) >= least]
        assert image_ids == expected
    assert sum(map(len, found.values())) < sum(map(len, images_by_class(discs, 1, 1, 1).values()))


def test_no_class_with_enough_images_says_what_to_change(discs):
    message = one_line(make, discs, shot=20)
    assert message == (
        "no base class of fold 1 has 21 training images with 40 px: "
        "lower training.shot or training.min_pixels, or add images"
    )


def test_pixels_of_the_class_count_at_the_size_that_long_side_makes(discs):
    least = 40
    for long_side in (24, 96):
        found = images_by_class(discs, 1, least, 1, long_side)
        for class_id, image_ids in found.items():
            expected = [
                r.id
                for r in discs.train
                if r.pixels.get(class_id, 0) * (long_side / max(r.height, r.width)) ** 2 >= least
            ]
            assert image_ids == expected
    small, large = (images_by_class(discs, 1, least, 1, s) for s in (24, 96))
    assert sum(map(len, small.values())) < sum(map(len, large.values()))


def test_long_side_scales_photographs_before_the_drawn_factor(discs):
    """The drawn factors are independent of it, so twice the side at half the factor is the same."""
    halved = make(discs, scale=(0.5, 0.5), long_side=96)
    plain = make(discs, scale=(1.0, 1.0), long_side=48)
    own = make(discs, scale=(1.0, 1.0))
    for step in range(4):
        assert same(halved[step], plain[step])
    assert not all(same(plain[step], own[step]) for step in range(4))


@pytest.mark.parametrize("miner", ["clusters", "simclr", "cct"])
def test_colours_done_later_are_those_done_at_once(discs, pool, miner):
    def batch(later):
        pseudo = pseudo_mask if miner == "clusters" else None
        extra = {"miner": miner, "colours_later": later}
        return StepBatches(discs, 1, PLAN, 3, pool, pseudo, **extra)[2]

    ready, later = batch(False), batch(True)
    drawn = later.pop("pool_colours")
    assert not torch.equal(ready["pool_images"], later["pool_images"])
    done = [
        colours.apply(image) for colours, image in zip(drawn, later["pool_images"], strict=True)
    ]
    later["pool_images"] = torch.stack(done)
    assert ready.keys() == later.keys()
    assert all(torch.equal(ready[name], later[name]) for name in ready)
