import torch
import torch.nn.functional as F

from fsslib.evaluation import matching as inference
from fsslib.evaluation.matching import label_chunks, score_margins


def problem(episodes=5, ways=2):
    generator = torch.Generator().manual_seed(2)
    feature = torch.randn(8, 6, 7, generator=generator)
    foreground = torch.randn(episodes, ways, 8, generator=generator)
    return feature, foreground, torch.randn(episodes, 8, generator=generator)


def expected_labels(feature, foreground, background, size):
    labels = []
    for ways, rest in zip(foreground, background, strict=True):
        scores = torch.stack(
            [F.cosine_similarity(feature, p[:, None, None], 0) for p in (rest, *ways)]
        )
        full = F.interpolate(scores[None], size, mode="bilinear", align_corners=True)[0]
        labels.append(full.argmax(0))
    return torch.stack(labels)


def test_margins_are_differences_of_cosines():
    feature, foreground, background = problem()
    margins = score_margins(feature, foreground, background)
    at = feature[:, 2, 3].double()
    for e, way in ((0, 0), (4, 1)):
        a = F.cosine_similarity(at, foreground[e, way].double(), 0)
        b = F.cosine_similarity(at, background[e].double(), 0)
        assert abs(float(margins[e, way, 2, 3]) - float(a - b)) < 1e-5


def test_labels_are_the_arg_max_over_background_and_ways():
    for ways in (1, 2, 3):
        parts = problem(ways=ways)
        won = torch.cat(list(label_chunks(*parts, (50, 61))))
        labels = (won * torch.arange(1, ways + 1)[:, None, None]).sum(1)
        assert won.sum(1).max() == 1
        assert torch.equal(labels.long(), expected_labels(*parts, (50, 61)))


def test_chunks_add_up(monkeypatch):
    parts = problem(episodes=7)
    whole = torch.cat(list(label_chunks(*parts, (20, 20))))
    monkeypatch.setattr(inference, "CHUNK_BYTES", 4 * 2 * 20 * 20 * 3)
    pieces = list(label_chunks(*parts, (20, 20)))
    assert [len(p) for p in pieces] == [3, 3, 1]
    assert torch.equal(torch.cat(pieces), whole)


def test_a_tie_goes_to_the_background():
    feature, foreground, _ = problem(episodes=1, ways=1)
    won = torch.cat(list(label_chunks(feature, foreground, foreground[:, 0], (9, 9))))
    assert won.sum() == 0
