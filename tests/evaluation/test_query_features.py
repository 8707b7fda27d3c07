import torch

from fsslib.evaluation.query_features import FeatureCache

SIZE = 4 * 2 * 3 * 5


def feature(image_id):
    return torch.full((2, 3, 5), float(ord(image_id)))


def filled(ids, again, memory_bytes=None):
    cache = FeatureCache(again, memory_bytes)
    for image_id in ids:
        cache.offer(image_id, feature(image_id))
    return cache


def test_only_images_that_are_asked_for_again_are_kept():
    cache = filled("abc", {"b"})
    assert cache.held_bytes == SIZE
    assert torch.equal(cache.take("b"), feature("b"))
    assert cache.held_bytes == 0
    assert cache.take("b") is None  # let go at the first time
    assert cache.take("a") is None


def test_the_budget_is_never_exceeded():
    cache = filled("abcd", set("abcd"), 2 * SIZE + 1)
    assert cache.peak_bytes == cache.held_bytes == 2 * SIZE
    found = {i: cache.take(i) for i in "abcd"}
    assert [i for i in "abcd" if found[i] is not None] == ["a", "b"]


def test_an_image_offered_twice_counts_once():
    assert filled("aa", {"a"}).held_bytes == SIZE
