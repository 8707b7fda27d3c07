"""Boundary regions and their IoU against plain loops over pixels."""

import numpy as np
import pytest
import torch

from fsslib.evaluation.boundary import boundary_regions, boundary_width
from fsslib.evaluation.episodes import draw_episodes
from fsslib.evaluation.protocol import evaluate, predict_episode
from fsslib.evaluation.refining import Refining
from fsslib.evaluation.summary import fold_metrics
from tests.support.scenes import NAMES, Scenes, TinyEncoder

NOVEL = (1, 2)


def naive_region(mask, width):
    """Published: the mask without what is left after `width` erosions, beyond the border is out."""
    eroded = np.pad(mask, 1)
    for _ in range(width):
        inner = eroded.copy()
        for y in range(1, mask.shape[0] + 1):
            for x in range(1, mask.shape[1] + 1):
                inner[y, x] = eroded[y - 1 : y + 2, x - 1 : x + 2].all()
        eroded = inner
    return mask & ~eroded[1:-1, 1:-1]


@pytest.mark.parametrize("width", [1, 2, 4, 30])
def test_regions_are_what_repeated_erosion_takes_away(width):
    rng = np.random.default_rng(width)
    masks = rng.random((3, 15, 22)) < 0.5
    masks[1, 2:14, 3:20] = True
    masks[2] = True
    found = boundary_regions(torch.tensor(masks).float(), width)
    for one, mask in zip(found, masks, strict=True):
        assert np.array_equal(one.numpy() > 0, naive_region(mask, width))


def test_the_width_is_a_fiftieth_of_the_diagonal():
    assert boundary_width((300, 400)) == 10
    assert boundary_width((3, 4)) == 1


@pytest.fixture(scope="module")
def scenes():
    return Scenes([(1,), (2,), (1, 2), (1,), (2,)], sizes=((72, 96), (80, 60)))


@pytest.mark.parametrize("ways", [1, 2])
@pytest.mark.parametrize("refining", [None, Refining()])
def test_counts_equal_those_of_predicted_masks(scenes, ways, refining):
    episodes = draw_episodes(scenes.records, NOVEL, (0,), 6, 1, ways, 100)
    encode, readers = TinyEncoder(), (scenes.read_image, scenes.read_mask)
    result = evaluate(encode, *readers, episodes, NOVEL, refining=refining, boundary=True)
    counts = result.counts[1]
    found = {c: np.zeros((2, 2), int) for c in NOVEL}
    for episode in episodes:
        predicted = predict_episode(encode, *readers, episode, refining=refining)
        mask = scenes.read_mask(episode.query)
        width = boundary_width(mask.shape)
        for class_id in episode.class_ids:
            where, here = mask == class_id, (predicted == class_id) & (mask != 255)
            edges = naive_region(where, width), naive_region(here, width)
            for row, (a, b) in enumerate(((where, here), edges)):
                found[class_id][row] += (a & b).sum(), (a | b).sum()
    for place, class_id in enumerate(NOVEL):
        whole, edge = found[class_id]
        assert abs(counts.intersection[0, place] - whole[0]) <= 2  # by rounding
        assert abs(counts.union[0, place] - whole[1]) <= 2
        assert abs(counts.boundary_intersection[0, place] - edge[0]) <= 6
        assert abs(counts.boundary_union[0, place] - edge[1]) <= 6
        assert edge[0] > 0
    metrics = fold_metrics(result.counts, NAMES)["shot1"]
    assert metrics["boundary_iou"] == metrics["boundary_iou_seeds"][0] > 0


def test_what_is_not_asked_for_leaves_no_trace_in_the_metrics(scenes):
    episodes = draw_episodes(scenes.records, NOVEL, (0,), 6, 1, 1, 100)
    readers = scenes.read_image, scenes.read_mask
    plain, asked = (
        fold_metrics(
            evaluate(TinyEncoder(), *readers, episodes, NOVEL, boundary=boundary).counts, NAMES
        )["shot1"]
        for boundary in (False, True)
    )
    assert not [key for key in plain if "boundary" in key]
    assert {k: v for k, v in asked.items() if "boundary" not in k} == plain


def test_a_mask_that_is_right_but_for_ignored_pixels_is_perfect(scenes):
    from fsslib.evaluation.tallies import _Edges

    truth = torch.tensor(scenes.read_mask("val_000"))
    edges = _Edges(truth, (1,))
    for filled in (False, True):
        won = (truth == 1) | ((truth == 255) & filled)
        ((hits, predicted),) = edges.hits(won[None, None].float())[0]
        assert hits == predicted == edges._sizes[0] > 0
