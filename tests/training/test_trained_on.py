"""What a model says of the images that trained it."""

import pytest

from fsslib.training.trained_on import KEY, TrainedOn
from tests.support.helpers import make_dataset


def test_a_fold_tells_its_images_and_classes(tmp_path):
    manifest = make_dataset(tmp_path)
    seen = TrainedOn.of_fold(manifest, 0)
    assert seen.images == len(manifest.labelled(0))
    assert seen.classes == tuple(manifest.classes[c] for c in (4, 5, 6))
    assert not seen.rendered
    assert TrainedOn.read({KEY: seen.header()}) == seen
    assert str(seen) == f"{seen.images} photographs of discs, 3 classes"


def test_models_of_the_rendered_weights_of_old_saw_no_photograph():
    seen = TrainedOn.read({"weights": "procedural", "fold": 0})
    assert seen is not None
    assert seen.rendered
    assert str(seen) == "rendered scenes of procedural"


@pytest.mark.parametrize(
    "about", [{}, {"weights": "imagenet"}, {KEY: {"dataset": "coco"}}, {KEY: 3}]
)
def test_a_header_that_does_not_say_it_is_unknown(about):
    assert TrainedOn.read(about) is None
