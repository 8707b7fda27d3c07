import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from fsslib.encoders.base import normalise
from fsslib.encoders.resnet import ResNet
from fsslib.errors import FsslibError
from fsslib.evaluation.episodes import Episode, draw_episodes
from fsslib.evaluation.protocol import UNCHANGED, WORKING_BYTES, evaluate, predict_episode
from fsslib.evaluation.summary import fold_metrics
from fsslib.evaluation.supports import make_bank, needs, pool_support
from fsslib.mining import pooling
from fsslib.rectification.index import RegionIndex
from fsslib.rectification.rectify import Rectification
from tests.support.fakes import REAL
from tests.support.oracles import naive_class_iou, naive_episode, naive_fb_iou, naive_prototypes
from tests.support.scenes import NAMES, Scenes, TinyEncoder

LAYOUT = [(1,), (2,), (3,), (1, 2), (1, 3), (2, 3), (1, 2, 3)] * 2 + [(1,), (2,), (3,)]
NOVEL = (1, 2, 3)


@pytest.fixture(scope="module")
def scenes():
    return Scenes(LAYOUT)


@pytest.fixture(scope="module")
def episodes(scenes):
    lists = [draw_episodes(scenes.records, NOVEL, (0, 1), 12, shots, 1, 500) for shots in (1, 5)]
    return lists[0] + lists[1]


def random_index(channels, scale=1.0, images=9):
    """Images 0 and 4 hold no region."""
    generator = torch.Generator().manual_seed(5)
    owner = torch.tensor([i for i in range(images) for _ in range(1 + i % 3) if i not in (0, 4)])
    return RegionIndex(
        tuple(f"train_{i}" for i in range(images)),
        torch.randn(images, channels, generator=generator) * scale,
        torch.randn(len(owner), channels, generator=generator) * scale,
        owner,
    )


def rectification(channels, background, foreground):
    generator = torch.Generator().manual_seed(6)
    return Rectification(
        global_background=torch.randn(channels, generator=generator) if background else None,
        w=0.6,
        index=random_index(channels) if foreground else None,
        top_n=3,
        beta=0.35,
    )


def bank_of(encode, read_image, read_mask, episodes, given=UNCHANGED):
    """Prototypes of all supports, one image after the other."""
    pooled = [
        pool_support(
            encode(read_image(need.image_id)), torch.tensor(read_mask(need.image_id)), need
        )
        for need in needs(episodes)
    ]
    return make_bank(pooled, given)


def assert_same_as_naive(encode, scenes, episodes, novel, given):
    """The oracle contract of evaluation: prototypes, labels and mIoU."""
    readers = scenes.read_image, scenes.read_mask
    options = vars(given)
    with torch.no_grad():
        bank = bank_of(encode, *readers, episodes, given)
        for episode in episodes:
            ours = bank.of_episodes([episode])
            theirs = naive_prototypes(encode, *readers, episode, **options)
            for mine, other in zip((ours[0][0], ours[1][0]), theirs, strict=True):
                assert float((mine - other).norm() / other.norm()) < 1e-5
    labels = [naive_episode(encode, *readers, e, **options) for e in episodes]
    same = [
        (predict_episode(encode, *readers, e, given) == label).mean()
        for e, label in zip(episodes, labels, strict=True)
    ]
    assert np.mean(same) >= 0.9999
    result = evaluate(encode, *readers, episodes, novel, given)
    for shots, counts in result.counts.items():
        for row, seed in enumerate(counts.seeds):
            chosen = [
                (e, label)
                for e, label in zip(episodes, labels, strict=True)
                if (e.shots, e.seed) == (shots, seed)
            ]
            iou = naive_class_iou(*zip(*chosen, strict=True), scenes.read_mask)
            assert counts.miou()[row] * 100 == pytest.approx(
                100 * np.mean(list(iou.values())), abs=0.001
            )
            fb_iou = naive_fb_iou(*zip(*chosen, strict=True), scenes.read_mask)
            assert counts.fb_iou()[row] * 100 == pytest.approx(100 * fb_iou, abs=0.001)
    return result


@pytest.mark.parametrize(
    ("background", "foreground"), list(itertools.product((False, True), repeat=2))
)
def test_scores_equal_the_naive_oracle(scenes, episodes, background, foreground):
    given = rectification(24, background, foreground)
    assert_same_as_naive(TinyEncoder(), scenes, episodes, NOVEL, given)


def test_rectification_is_not_a_no_op_in_the_oracle_test(scenes, episodes):
    results = {}
    for background, foreground in itertools.product((False, True), repeat=2):
        given = rectification(24, background, foreground)
        result = run(scenes, episodes, rectification=given)
        results[background, foreground] = result.counts[1].miou().tolist()
    assert len({tuple(v) for v in results.values()}) == 4


def test_two_ways_equal_the_naive_oracle(scenes):
    episodes = draw_episodes(scenes.records, NOVEL, (0,), 12, 1, 2, 500)
    given = rectification(24, True, True)
    result = assert_same_as_naive(TinyEncoder(), scenes, episodes, NOVEL, given)
    assert result.counts[1].episodes.sum() == 24


class RealScenes:
    """A few photographs of VOC val at half size."""

    def __init__(self, class_ids, images):
        from fsslib.data.images import read_image, read_mask

        self.images, self.masks, self.records = {}, {}, []
        found = dict.fromkeys(class_ids, 0)
        for image_id in (REAL / "voc/ImageSets/val.txt").read_text().split():
            mask = read_mask(REAL / f"voc/SegmentationClass/{image_id}.png")
            size = (mask.shape[1] // 2, mask.shape[0] // 2)
            mask = np.array(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))
            large = [c for c in class_ids if (mask == c).sum() >= 2048 and found[c] < images]
            if not large:
                continue
            for class_id in large:
                found[class_id] += 1
            photograph = Image.fromarray(read_image(REAL / f"voc/JPEGImages/{image_id}.jpg"))
            self.images[image_id] = np.asarray(photograph.resize(size))
            self.masks[image_id] = mask

    read_image, read_mask = Scenes.read_image, Scenes.read_mask


@pytest.mark.slow
@pytest.mark.skipif(not REAL.exists(), reason=f"no real photographs at {REAL}")
@pytest.mark.parametrize("rectify", [False, True])
def test_scores_equal_the_naive_oracle_on_real_photographs(rectify):
    photographs = RealScenes((12, 13), 7)
    records = Scenes.records.fget(photographs)
    encoder = ResNet("resnet18")
    weights = REAL / "weights/resnet18-imagenet-to-layer3.pth"
    encoder.load_state_dict(torch.load(weights, weights_only=True))

    def encode(image):
        with torch.no_grad():
            return encoder(normalise(torch.tensor(image).permute(2, 0, 1))[None])[0]

    episodes = draw_episodes(records, (12, 13), (0,), 5, 1)
    episodes += draw_episodes(records, (12, 13), (0,), 2, 5)
    features = torch.stack([encode(i).mean((1, 2)) for i in photographs.images.values()])
    given = UNCHANGED
    if rectify:
        ids, owner = tuple(photographs.images), torch.arange(len(features))
        given = Rectification(
            features.mean(0), index=RegionIndex(ids, features, features + 0.2, owner)
        )
    result = assert_same_as_naive(encode, photographs, episodes, (12, 13), given)
    assert 0.1 < result.counts[1].miou()[0] < 0.95


def run(scenes, episodes, encode=None, novel=NOVEL, **options):
    return evaluate(
        encode or TinyEncoder(), scenes.read_image, scenes.read_mask, episodes, novel, **options
    )


def test_each_distinct_image_is_encoded_once(scenes, episodes):
    encode = TinyEncoder()
    result = run(scenes, episodes, encode)
    distinct = {e.query for e in episodes} | {i for e in episodes for s in e.supports for i in s}
    assert encode.calls == result.encodings == result.images == len(distinct)
    assert result.episodes == len(episodes) == 48


@pytest.mark.parametrize("budget", [0, WORKING_BYTES + 200_000])
def test_the_memory_budget_costs_encodings_and_changes_nothing(scenes, episodes, budget):
    free, bound = run(scenes, episodes), run(scenes, episodes, memory_bytes=budget)
    assert free.encodings < bound.encodings <= 2 * free.images
    assert fold_metrics(bound.counts, NAMES) == fold_metrics(free.counts, NAMES)


@pytest.mark.parametrize("workers", [1, 3])
def test_threads_change_nothing(scenes, episodes, workers):
    given = rectification(24, True, True)
    alone = run(scenes, episodes, rectification=given)
    shared = run(scenes, episodes, rectification=given, workers=workers, memory_bytes=0)
    assert fold_metrics(shared.counts, NAMES) == fold_metrics(alone.counts, NAMES)
    readers = scenes.read_image, scenes.read_mask
    for episode in episodes[::20]:
        one, more = (
            predict_episode(TinyEncoder(), *readers, episode, given, workers=n)
            for n in (0, workers)
        )
        assert np.array_equal(one, more)


def test_an_image_that_cannot_be_read_stops_the_threads_with_its_error(scenes, episodes):
    def broken(image_id):
        if image_id == episodes[0].query:
            raise FsslibError(f"{image_id} is truncated")
        return scenes.read_image(image_id)

    with pytest.raises(FsslibError, match=f"{episodes[0].query} is truncated"):
        evaluate(TinyEncoder(), broken, scenes.read_mask, episodes, NOVEL, workers=2)


def test_results_do_not_depend_on_the_order_of_episodes(scenes, episodes):
    shuffled = [episodes[i] for i in np.random.default_rng(1).permutation(len(episodes))]
    first, second = (run(scenes, given).counts for given in (shuffled, episodes))
    assert fold_metrics(first, NAMES) == fold_metrics(second, NAMES)


def test_shots_and_seeds_scored_together_equal_those_scored_alone(scenes, episodes):
    together = run(scenes, episodes).counts
    for shots, seed in itertools.product((1, 5), (0, 1)):
        alone = [e for e in episodes if (e.shots, e.seed) == (shots, seed)]
        counts = run(scenes, alone).counts[shots]
        assert counts.intersection[0].tolist() == together[shots].intersection[seed].tolist()
        assert counts.union[0].tolist() == together[shots].union[seed].tolist()


def test_many_episodes_of_one_query_cross_the_chunk_border(scenes, monkeypatch):
    episodes = draw_episodes(scenes.records, NOVEL, (0,), 40, 1, 1, 500)
    whole = run(scenes, episodes).counts[1]
    monkeypatch.setattr("fsslib.evaluation.matching.CHUNK_BYTES", 4 * 204 * 252 * 2)
    pieces = run(scenes, episodes).counts[1]
    assert abs(whole.intersection - pieces.intersection).max() <= 2
    assert pieces.episodes.sum() == 40


def test_a_mask_that_vanishes_at_feature_size_still_has_its_prototype(scenes):
    masks = {**scenes.masks, "val_000": np.zeros((204, 252), np.uint8)}
    masks["val_000"][101, 3] = 1  # one pixel between feature locations of stride 8
    episode = Episode(0, 0, "val_003", (1,), (("val_000",),))
    encode = TinyEncoder()
    bank = bank_of(encode, scenes.images.get, masks.get, [episode])
    ours, _ = bank.of_episodes([episode])
    theirs, _ = naive_prototypes(encode, scenes.images.get, masks.get, episode)
    assert float(ours.norm()) > 0
    assert torch.allclose(ours[0], theirs, rtol=1e-5, atol=1e-6)


def test_a_query_that_is_all_ignored_adds_nothing(scenes, episodes):
    masks = {**scenes.masks, "blank": np.full((204, 252), 255, np.uint8)}
    pictures = {**scenes.images, "blank": scenes.images["val_000"]}
    blank = Episode(0, 99, "blank", (1,), (("val_003",),))
    with_blank = evaluate(TinyEncoder(), pictures.get, masks.get, [*episodes, blank], NOVEL)
    plain = run(scenes, episodes)
    assert np.array_equal(with_blank.counts[1].union, plain.counts[1].union)
    assert np.array_equal(with_blank.counts[1].binary_union, plain.counts[1].binary_union)
    assert with_blank.counts[1].episodes[0, 0] == plain.counts[1].episodes[0, 0] + 1
    only = evaluate(TinyEncoder(), pictures.get, masks.get, [blank], NOVEL)
    assert fold_metrics(only.counts, NAMES)["shot1"]["miou"] is None


def test_ignored_pixels_do_not_change_the_counts(scenes):
    episode = Episode(0, 0, "val_003", (1,), (("val_000",),))
    whole = run(scenes, [episode]).counts[1]
    masks = {**scenes.masks, "val_003": scenes.masks["val_003"].copy()}
    masks["val_003"][:, :126] = 255
    half = evaluate(TinyEncoder(), scenes.read_image, masks.get, [episode], NOVEL).counts[1]
    label = naive_episode(TinyEncoder(), scenes.read_image, masks.get, episode)
    seen = masks["val_003"] != 255
    truth = masks["val_003"] == 1
    assert half.union[0, 0] == ((label == 1) & seen | truth).sum() < whole.union[0, 0]


def test_a_support_that_its_class_covers_wholly_has_no_background(scenes):
    masks = {**scenes.masks, "val_000": np.ones((204, 252), np.uint8)}
    episode = Episode(0, 0, "val_003", (1,), (("val_000", "val_004"),))
    encode = TinyEncoder()
    bank = bank_of(encode, scenes.images.get, masks.get, [episode])
    _, background = bank.of_episodes([episode])
    alone = replace(episode, supports=(("val_004",),))
    _, expected = bank.of_episodes([alone])
    assert torch.allclose(background, expected)
    covered = replace(episode, supports=(("val_000",),))
    score = evaluate(encode, scenes.read_image, masks.get, [covered], NOVEL).counts[1].class_iou()
    assert 0 <= score[0, 0] <= 1


def test_a_support_without_its_class_is_refused(scenes):
    episode = Episode(0, 0, "val_003", (3,), (("val_000",),))
    with pytest.raises(FsslibError, match="val_000 holds no pixel of class 3"):
        run(scenes, [episode])


def test_no_episodes_and_foreign_classes_are_refused(scenes, episodes):
    with pytest.raises(FsslibError, match="none to score"):
        run(scenes, [])
    with pytest.raises(FsslibError, match=r"classes \[.*3.*\] are not novel"):
        run(scenes, episodes, novel=(1, 2))


def test_progress_counts_every_image_of_both_phases(scenes, episodes):
    calls = []
    run(scenes, episodes, on_progress=lambda *call: calls.append(call))
    for phase in ("supports", "queries"):
        ticks = [(done, total) for name, done, total in calls if name == phase]
        assert ticks == [(i + 1, len(ticks)) for i in range(len(ticks))]
        assert ticks


def test_evaluation_leaves_autograd_usable(scenes, episodes):
    pooling._interpolation_matrix.cache_clear()
    run(scenes, episodes[:1])
    image = scenes.read_image(episodes[0].query)
    feature = TinyEncoder()(image).requires_grad_()
    pooling.upsample(feature, image.shape[:2]).sum().backward()
    assert feature.grad is not None
