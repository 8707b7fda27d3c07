import torch

from fsslib.feature_cache import FeatureCache

SIZE = 4 * 2 * 3 * 5


def feature(image_id):
    return torch.full((2, 3, 5), float(ord(image_id)))


def test_only_images_that_are_asked_for_again_are_kept():
    cache = FeatureCache(feature, {"b"}, None)
    for image_id in "abc":
        cache.look(image_id)
    assert cache.held_bytes == SIZE
    assert torch.equal(cache.take("b"), feature("b"))
    assert (cache.encodings, cache.held_bytes) == (3, 0)
    cache.take("b")
    assert cache.encodings == 4  # let go at the first time


def test_the_budget_is_never_exceeded():
    cache = FeatureCache(feature, set("abcd"), 2 * SIZE + 1)
    for image_id in "abcd":
        cache.look(image_id)
    assert cache.peak_bytes == cache.held_bytes == 2 * SIZE
    assert [float(cache.take(i)[0, 0, 0]) for i in "abcd"] == [float(ord(i)) for i in "abcd"]
    assert cache.encodings == 4 + 2


def test_half_precision_features_come_back_as_float32():
    cache = FeatureCache(lambda i: feature(i).bfloat16(), {"a"}, None)
    assert cache.look("a").dtype == cache.take("a").dtype == torch.float32
