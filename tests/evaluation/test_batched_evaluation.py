"""The protocol in batches gives the numbers of the protocol image by image."""

import numpy as np
import pytest
import torch

from fsslib.encoders.running import make_encode
from fsslib.encoders.work import Feeding, Tally
from fsslib.errors import FsslibError
from fsslib.evaluation.batched import assemble, evaluate_in_batches, support_work
from fsslib.evaluation.episodes import draw_episodes
from fsslib.evaluation.protocol import evaluate
from fsslib.evaluation.supports import needs, pool_support
from fsslib.rectification.rectify import Rectification
from tests.support.scenes import Scenes
from tests.support.toy import make_trainer

CPU = torch.device("cpu")
LAYOUT = [(1,), (2,), (3,), (1, 2), (1, 3), (2, 3), (1, 2, 3)] * 2 + [(1,), (2,), (3,)]
NOVEL = (1, 2, 3)
MIXED = ((64, 80), (80, 64), (64, 80), (56, 72))
ONCE = tuple((56 + 2 * n, 90 - n) for n in range(len(LAYOUT)))
LARGE = (*[(56, 72)] * 16, (150, 190))


@pytest.fixture(scope="module")
def encode():
    return make_encode(make_trainer(short=True).encoder, CPU, "float32")


def episodes_of(scenes, ways):
    lists = [draw_episodes(scenes.records, NOVEL, (0, 1), 8, shots, ways, 20) for shots in (1, 3)]
    return lists[0] + lists[1]


@pytest.mark.parametrize("sizes", [MIXED, ONCE, LARGE], ids=["mixed", "once", "large"])
@pytest.mark.parametrize("ways", [1, 2])
def test_same_counts_as_image_by_image(encode, sizes, ways, monkeypatch):
    scenes = Scenes(LAYOUT, sizes)
    episodes = episodes_of(scenes, ways)
    given = Rectification(torch.randn(256, generator=torch.Generator().manual_seed(1)), w=0.3)
    alone = evaluate(encode, scenes.read_image, scenes.read_mask, episodes, NOVEL, given)
    feeding = Feeding(encode, batch=4, workers=2, tally=Tally())
    said = []
    for limit in (1 << 28, 1):  # all episodes of a batch at once, and one of each query
        monkeypatch.setattr("fsslib.evaluation.batched.SCORE_BYTES", limit)
        together = evaluate_in_batches(
            encode, scenes.read_image, scenes.read_mask, episodes, NOVEL, given,
            feeding=feeding, on_progress=lambda *told: said.append(told),
        )  # fmt: skip
        assert (together.episodes, together.images) == (alone.episodes, alone.images)
        for shots, counts in alone.counts.items():
            other = together.counts[shots]
            assert np.abs(counts.miou() - other.miou()).max() * 100 <= 0.01
            assert np.abs(counts.fb_iou() - other.fb_iou()).max() * 100 <= 0.01
            assert (counts.episodes == other.episodes).all()
    assert max(feeding.tally.batches) == (1 if sizes is ONCE else 4)
    supports, queries = len(needs(episodes)), len({e.query for e in episodes})
    assert said[:supports][-1] == ("supports", supports, supports)
    assert said[-1] == ("queries", queries, queries)
    assert together.encodings == supports + queries
    assert alone.counts[1].miou().min() > 0


def test_prototypes_agree(encode):
    scenes = Scenes(LAYOUT, MIXED)
    work = support_work(encode, scenes.read_image, scenes.read_mask)
    for need in needs(episodes_of(scenes, 2))[:6]:
        loaded = work.load(need)
        image = torch.from_numpy(loaded.photograph.copy())[None]
        mask = torch.from_numpy(loaded.planes[0])[None]
        found = work.reduce(encode.encode(image), [mask], [loaded.note])
        mine = work.finish(need, loaded, tuple(part[0].numpy() for part in found))
        theirs = work.single(need)
        for name in ("foreground", "background", "embedding"):
            a, b = getattr(mine, name), getattr(theirs, name)
            assert (a - b).norm() <= 1e-5 * b.norm()
        assert mine.has_background.tolist() == theirs.has_background.tolist()


def test_ignored_pixels_and_ways_that_cover_the_image(encode):
    mask = torch.full((16, 24), 255, dtype=torch.uint8)
    mask[:8] = 2
    scenes = Scenes([(2,)], ((16, 24),))
    (need,) = needs(episodes_of(Scenes(LAYOUT, MIXED), 1))[:1]
    need = type(need)("val_000", (2,), ((2,),))
    feature = torch.randn(5, 2, 3)
    theirs = pool_support(feature, mask, need)
    assert theirs.has_background.tolist() == [0.0]
    sums = (theirs.foreground * 192).expand(1, -1)
    mine = assemble(need, [2], theirs.embedding, sums, torch.tensor([192.0]))
    assert mine.has_background.tolist() == [0.0]
    assert torch.equal(mine.background, theirs.background)
    assert torch.allclose(mine.foreground, theirs.foreground)
    assert scenes.images.keys() == {"val_000"}


def test_a_support_without_its_class_is_one_line(encode):
    scenes = Scenes(LAYOUT, MIXED)
    episodes = episodes_of(scenes, 1)
    empty = episodes[0].ways[0][1][0]
    scenes.masks[empty][:] = 0
    with pytest.raises(FsslibError, match=f"support {empty} holds no pixel of class"):
        evaluate_in_batches(
            encode, scenes.read_image, scenes.read_mask, episodes, NOVEL,
            feeding=Feeding(encode, batch=4),
        )  # fmt: skip
    with pytest.raises(FsslibError, match="not novel"):
        evaluate_in_batches(
            encode, scenes.read_image, scenes.read_mask, episodes, (7,), feeding=Feeding(encode)
        )
