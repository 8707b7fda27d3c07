import numpy as np

from fsslib.evaluation.episodes import Episode
from fsslib.evaluation.protocol import evaluate, predict_episode
from fsslib.evaluation.resizing import encode_at, readers_at
from tests.support.oracles import naive_episode
from tests.support.scenes import Scenes, TinyEncoder

SCENES = Scenes([(1,), (1, 2), (2,)])
EPISODE = Episode(0, 0, "val_001", (1,), (("val_000",),))


def test_encoding_at_a_size_scores_at_the_original_resolution():
    encode = encode_at(TinyEncoder(), 96)
    assert encode(SCENES.images["val_001"]).shape == (24, 12, 12)
    readers = SCENES.read_image, SCENES.read_mask
    labels = predict_episode(encode, *readers, EPISODE)
    assert labels.shape == SCENES.masks["val_001"].shape
    assert (labels == naive_episode(encode, *readers, EPISODE)).mean() > 0.9999
    assert (labels != predict_episode(TinyEncoder(), *readers, EPISODE)).any()


def test_readers_at_a_size_score_the_resized_masks():
    read_image, read_mask = readers_at(SCENES.read_image, SCENES.read_mask, 96)
    assert read_image("val_001").shape == (96, 96, 3)
    assert set(np.unique(read_mask("val_001"))) <= set(np.unique(SCENES.masks["val_001"]))
    table = evaluate(TinyEncoder(), read_image, read_mask, [EPISODE], (1, 2)).counts[1]
    valid = (read_mask("val_001") != 255).sum()
    assert table.binary_union[0, 0] + table.intersection[0, 0] == valid
