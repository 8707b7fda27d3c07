"""Learn and predict: the labels of evaluation, one-line errors, classes kept in a file."""

import doctest
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import fsslib
import fsslib.prediction.segmenter
from fsslib import Segmenter
from fsslib.encoders.resnet import ResNet
from fsslib.encoders.weights import load_weights
from fsslib.evaluation.episodes import Episode
from fsslib.evaluation.protocol import evaluate, predict_episode
from fsslib.evaluation.refining import refining_named
from fsslib.prediction.segmenter import fitted
from fsslib.rectification.index import RegionIndex
from fsslib.rectification.index_building import ImageRegions, write_regions
from fsslib.rectification.index_reading import load_index
from fsslib.rectification.rectify import Rectification
from tests.support.helpers import one_line, save_trained
from tests.support.scenes import Scenes

LAYOUT = [(1,), (2,), (1, 2), (1,), (2, 1), (2,), (1, 2), (1,)]


@pytest.fixture(scope="module")
def scenes():
    return Scenes(LAYOUT, sizes=((72, 96), (80, 60)))


def encoder(seed=0):
    made = ResNet("resnet18")
    load_weights(made, "random", seed)
    return made


def rectification(seed=1):
    generator = torch.Generator().manual_seed(seed)
    images, regions = torch.randn(5, 256, generator=generator), torch.randn(9, 256)
    owner = torch.tensor([0, 0, 1, 2, 2, 2, 3, 4, 4])
    index = RegionIndex(tuple("abcde"), images, regions, owner)
    return Rectification(torch.randn(256, generator=generator), 0.3, index, 2, 0.4)


@pytest.fixture(scope="module")
def segmenter():
    return Segmenter(encoder(), device="cpu")


@pytest.fixture(autouse=True)
def _forget(segmenter):
    yield
    for name in segmenter.names:
        segmenter.forget(name)


def test_the_doctest_of_the_documentation_runs():
    result = doctest.testmod(fsslib.prediction.segmenter)
    assert result.attempted >= 10
    assert result.failed == 0


def test_importing_the_front_imports_no_library():
    probe = (
        "import fsslib, sys; assert 'Segmenter' in dir(fsslib);"
        "assert not {'torch', 'numpy', 'PIL'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", probe], check=True)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = fsslib.Nothing


@pytest.mark.parametrize("given", [Rectification(), rectification()], ids=["plain", "rectified"])
@pytest.mark.parametrize(("shots", "refine"), [(1, "none"), (2, "none"), (2, "guided")])
def test_pixels_equal_those_of_evaluation(scenes, given, shots, refine):
    ours = Segmenter(encoder(), given, device="cpu", refine=refine)
    supports = ("val_000", "val_003")[:shots]
    ours.learn(
        "ant",
        [scenes.read_image(i) for i in supports],
        [scenes.read_mask(i) for i in supports],
        mask_value=1,
    )
    queries = [i for i in scenes.images if i not in supports]
    listed = [Episode(0, n, q, (1,), (supports,)) for n, q in enumerate(queries)]
    readers = scenes.read_image, scenes.read_mask
    refining = refining_named(refine)
    counts = evaluate(ours.feature, *readers, listed, (1,), given, refining=refining).counts[shots]
    both, either = 0, 0
    for query in queries:
        found = ours.predict(scenes.read_image(query), threshold=0).of("ant")
        truth = scenes.read_mask(query)
        valid = truth != 255
        both += int((found & (truth == 1) & valid).sum())
        either += int(((found | (truth == 1)) & valid).sum())
    assert (both, either) == (counts.intersection[0, 0], counts.union[0, 0])
    assert both > 0


@pytest.mark.parametrize("refine", ["none", "guided"])
def test_two_classes_equal_an_episode_of_two_ways(scenes, refine):
    given = rectification()
    ours = Segmenter(encoder(), given, device="cpu", refine=refine)
    supports = {1: ("val_000", "val_002"), 2: ("val_001", "val_004")}
    for class_id, ids in supports.items():
        other = 3 - class_id
        masks = [scenes.read_mask(i).copy() for i in ids]
        for mask in masks:
            mask[mask == other] = 255  # neither this class nor background
        ours.learn(f"class {class_id}", [scenes.read_image(i) for i in ids], masks, class_id)
    episode = Episode(0, 0, "val_006", (1, 2), tuple(supports.values()))
    readers = scenes.read_image, scenes.read_mask
    expected = predict_episode(
        ours.feature, *readers, episode, given, refining=refining_named(refine)
    )
    found = ours.predict(scenes.read_image("val_006"), threshold=0)
    assert np.array_equal(found.mask, expected)
    assert found.names == ("class 1", "class 2")
    assert found.pixels == tuple((expected == c).sum() for c in (1, 2))


def test_classes_may_differ_in_their_number_of_supports(scenes, segmenter):
    learn(segmenter, scenes, "ant", 1, ["val_000", "val_003"])
    learn(segmenter, scenes, "bee", 2, ["val_001"])
    rows = [s for name in ("ant", "bee") for s in segmenter._learned[name]]
    found = segmenter.prototypes()
    ant = (rows[0].foreground[0] + rows[1].foreground[0]) / 2
    assert torch.allclose(found.foreground[0], ant)
    assert torch.allclose(found.foreground[1], rows[2].foreground[0])
    assert torch.allclose(found.background, sum(r.background[0] for r in rows) / 3, atol=1e-6)


def learn(segmenter, scenes, name, class_id, ids):
    segmenter.learn(
        name, [scenes.read_image(i) for i in ids], [scenes.read_mask(i) for i in ids], class_id
    )


def test_a_trained_model_and_its_index_rectify_as_evaluation_does(scenes, tmp_path):
    generator = torch.Generator().manual_seed(4)
    background = torch.randn(256, generator=generator)
    save_trained(encoder(), tmp_path / "model.safetensors", background)
    parts = [
        ImageRegions(f"i{n}", torch.randn(256), torch.randn(n, 256), list(range(n)))
        for n in (1, 0, 3)
    ]
    write_regions(tmp_path / "index" / "00000.h5", parts)
    loaded = Segmenter.load(tmp_path, index=tmp_path / "index", w=0.7, beta=0.5, device="cpu")
    given = Rectification(background, 0.7, load_index(tmp_path / "index"), 4, 0.5)
    ours = Segmenter(encoder(), given, device="cpu")
    plain = Segmenter.load(tmp_path, background=False, device="cpu")
    for one in (loaded, ours, plain):
        learn(one, scenes, "ant", 1, ["val_000"])
    found, expected, other = (one.prototypes() for one in (loaded, ours, plain))
    assert torch.equal(found.foreground, expected.foreground)
    assert torch.equal(found.background, expected.background)
    assert not torch.allclose(found.foreground, other.foreground)
    assert not torch.allclose(found.background, other.background)
    narrow = [ImageRegions("i", torch.randn(8), torch.randn(1, 8), [0])]
    write_regions(tmp_path / "narrow" / "00000.h5", narrow)
    assert "8 channels, the encoder 256" in one_line(
        Segmenter.load, tmp_path, index=tmp_path / "narrow"
    )


def test_learning_again_adds_supports(scenes, segmenter):
    learn(segmenter, scenes, "ant", 1, ["val_000"])
    learn(segmenter, scenes, "ant", 1, ["val_003"])
    one_by_one = segmenter.prototypes()
    segmenter.forget("ant")
    learn(segmenter, scenes, "ant", 1, ["val_000", "val_003"])
    assert torch.equal(segmenter.prototypes().foreground, one_by_one.foreground)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_that_is_no_probability_is_refused(scenes, segmenter, threshold):
    image = scenes.read_image("val_006")
    message = one_line(segmenter.predict, image, threshold)
    assert message == f"threshold: {threshold} is not in 0 to 1"


def test_a_class_below_the_threshold_is_absent_and_leaves_its_pixels_to_others(scenes, segmenter):
    learn(segmenter, scenes, "ant", 1, ["val_000"])
    learn(segmenter, scenes, "bee", 2, ["val_001"])
    image = scenes.read_image("val_006")
    everything = segmenter.predict(image, threshold=0)
    low, high = sorted(everything.scores)
    assert 0 <= low < high <= 1
    best = int(np.argmax(everything.scores))
    some = segmenter.predict(image, threshold=(low + high) / 2)
    assert some.present == tuple(i == best for i in range(2))
    assert some.scores == everything.scores
    only = segmenter.names[best]
    assert set(np.unique(some.mask)) <= {0, best + 1}
    assert (some.of(only) | ~everything.of(only)).all()  # it kept all that it had
    nothing = segmenter.predict(image, threshold=1)
    assert nothing.present == (False, False)
    assert not nothing.mask.any()
    assert nothing.pixels == (0, 0)


def test_a_prediction_has_the_size_of_its_photograph_whatever_it_is_encoded_at(scenes):
    small = Segmenter(encoder(), device="cpu", max_side=64)
    learn(small, scenes, "ant", 1, ["val_000"])
    for size in ((9, 7), (1, 40), (150, 333)):
        image = np.zeros((*size, 3), np.uint8)
        assert small.predict(image).mask.shape == size
    assert fitted(np.zeros((100, 200, 3), np.uint8), 64).shape == (32, 64, 3)
    image = np.zeros((10, 64, 3), np.uint8)
    assert fitted(image, 64) is image


def test_refinement_sharpens_masks_and_changes_no_score(scenes):
    plain, guided = (
        Segmenter(encoder(), device="cpu", max_side=64, refine=refine)
        for refine in ("none", "guided")
    )
    for one in (plain, guided):
        learn(one, scenes, "ant", 1, ["val_000"])
        learn(one, scenes, "bee", 2, ["val_001"])
    image = np.kron(scenes.read_image("val_006"), np.ones((5, 5, 1), np.uint8))  # above max_side
    before, after = plain.predict(image, 0), guided.predict(image, 0)
    assert after.mask.shape == before.mask.shape == image.shape[:2]
    assert after.scores == before.scores
    assert (after.mask != before.mask).any()
    assert set(np.unique(after.mask)) <= {0, 1, 2}
    absent = guided.predict(image, 1)
    assert absent.present == (False, False)
    assert not absent.mask.any()
    assert Segmenter(encoder(), device="cpu").refining == guided.refining
    assert one_line(Segmenter, encoder(), refine="crf") == "refine: 'crf' is not none or guided"


def test_files_and_arrays_give_the_same(scenes, segmenter, tmp_path):
    image, mask = scenes.read_image("val_000"), scenes.read_mask("val_000")
    Image.fromarray(image).save(tmp_path / "a.png")
    Image.fromarray(mask).save(tmp_path / "a_mask.png")
    segmenter.learn("array", image, mask, 1)
    segmenter.learn("file", tmp_path / "a.png", str(tmp_path / "a_mask.png"), 1)
    first, second = segmenter.prototypes().foreground
    assert torch.equal(first, second)
    assert segmenter.predict(tmp_path / "a.png").scores[0] == segmenter.predict(image).scores[1]


def test_learned_classes_are_kept_in_a_file(scenes, segmenter, tmp_path):
    learn(segmenter, scenes, "ant", 1, ["val_000", "val_003"])
    learn(segmenter, scenes, "bee", 2, ["val_001"])
    path = tmp_path / "classes.safetensors"
    segmenter.save_classes(path)
    assert path.stat().st_size < 15_000
    again = Segmenter(encoder(), device="cpu")
    again.load_classes(path)
    image = scenes.read_image("val_006")
    expected, found = segmenter.predict(image, 0), again.predict(image, 0)
    assert found.names == ("ant", "bee")
    assert found.scores == expected.scores
    assert np.array_equal(found.mask, expected.mask)
    assert "'ant', which is learned already" in one_line(again.load_classes, path)


def test_classes_of_another_encoder_are_refused(scenes, segmenter, tmp_path):
    learn(segmenter, scenes, "ant", 1, ["val_000"])
    path = tmp_path / "classes.safetensors"
    segmenter.save_classes(path)
    other = Segmenter(encoder(seed=1), device="cpu")
    message = one_line(other.load_classes, path)
    assert segmenter.digest[:12] in message
    assert other.digest[:12] in message
    assert "learn them again" in message
    (tmp_path / "bad.safetensors").write_bytes(b"no")
    assert "damaged" in one_line(segmenter.load_classes, tmp_path / "bad.safetensors")


def test_wrong_input_is_told_in_one_line(scenes, segmenter):
    image, mask = scenes.read_image("val_000"), scenes.read_mask("val_000")
    assert "nothing is learned" in one_line(segmenter.predict, image)
    assert "1 photographs and 2 masks" in one_line(segmenter.learn, "ant", image, [mask, mask])
    assert "at least one" in one_line(segmenter.learn, "ant", [], [])
    wide = mask[:, :-1]
    assert "95x72 px, its photograph 96x72 px" in one_line(segmenter.learn, "ant", image, wide)
    assert "marks no pixel" in one_line(segmenter.learn, "ant", image, mask * 0)
    message = one_line(segmenter.learn, "ant", image, mask, 7)
    assert "no pixel of value 7, it holds 0, 1, 255" in message
    assert "float32" in one_line(segmenter.learn, "ant", image.astype(np.float32), mask)
    assert "expected (H, W)" in one_line(segmenter.learn, "ant", image, mask / 2.0)
    for name in ("", " ", "a\nb", "background"):
        assert "printable name" in one_line(segmenter.learn, name, image, mask)
    assert "nothing is" in one_line(segmenter.forget, "ant")
    assert segmenter.names == ()


def test_a_failed_learn_changes_nothing(scenes, segmenter):
    learn(segmenter, scenes, "ant", 1, ["val_000"])
    before = segmenter.prototypes()
    image, mask = scenes.read_image("val_003"), scenes.read_mask("val_003")
    one_line(segmenter.learn, "ant", [image, image], [mask, mask * 0])
    assert segmenter.prototypes() is before
