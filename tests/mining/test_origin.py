"""What made features is carried on to prototypes and sub-clusters, and compared."""

import numpy as np
import pytest
import torch

from fsslib.encoders.build import build_encoder
from fsslib.encoders.identity import weights_identity
from fsslib.encoders.installed import INSTALLED
from fsslib.encoders.running import make_encode
from fsslib.encoders.weights import load_weights
from fsslib.files.storage import create_hdf5
from fsslib.mining.clusters import cluster_prototypes, load_clusters, save_clusters
from fsslib.mining.extraction import FeatureStore, describe_image, write_shard
from fsslib.mining.feature_files import (
    CODE,
    KIND,
    UNKNOWN,
    VERSION,
    Origin,
    features_origin,
    require_origin,
)
from fsslib.mining.prototypes import (
    collect_prototypes,
    fold_prototypes,
    load_prototypes,
    save_prototypes,
)
from tests.support.fakes import write
from tests.support.helpers import one_line
from tests.support.scenes import scene

ORIGIN = Origin("resnet18", "a" * 64, 321)


def shard(path, numbers, origin):
    """Images whose features are random, with classes 1 and 2 and background."""
    generator = torch.Generator().manual_seed(0)
    mask = np.zeros((16, 16), np.uint8)
    mask[:8], mask[8:12] = 1, 2
    features = [torch.randn(6, 2, 2, generator=generator) for _ in numbers]
    images = [
        describe_image(f"im{n}", f, mask, "int8") for n, f in zip(numbers, features, strict=True)
    ]
    write_shard(path, images, "int8", origin)


def test_features_prototypes_and_sub_clusters_say_what_made_them(tmp_path):
    shard(tmp_path / "f/00000.h5", range(4), ORIGIN)
    shard(tmp_path / "f/00001.h5", range(4, 6), ORIGIN)
    assert FeatureStore(tmp_path / "f").origin == features_origin(tmp_path / "f") == ORIGIN
    save_prototypes(collect_prototypes(tmp_path / "f"), tmp_path / "p.h5")
    of_fold = fold_prototypes(load_prototypes(tmp_path / "p.h5"), [1], [2])
    save_clusters(cluster_prototypes(of_fold, 2, 0), of_fold, tmp_path / "c.h5")
    assert load_clusters(tmp_path / "c.h5").origin == ORIGIN


def test_shards_of_two_weights_are_refused(tmp_path):
    shard(tmp_path / "00000.h5", range(2), ORIGIN)
    shard(tmp_path / "00001.h5", range(2, 4), Origin("resnet18", "random 0", 321))
    for read in (FeatureStore, collect_prototypes):
        assert one_line(read, tmp_path) == (
            f"{tmp_path / '00001.h5'} was made with weights random 0, not aaaaaaaaaaaa...: "
            "run the stages from 'extract' again"
        )


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (UNKNOWN, "does not say which weights made it"),
        (Origin("resnet34", "a" * 64, 321), "was made with backbone resnet34, not resnet18"),
        (Origin("resnet18", "b" * 64, 321), "with weights bbbbbbbbbbbb..., not aaaaaaaaaaaa..."),
        (Origin("resnet18", "a" * 64, None), "was made with long_side null, not 321"),
        (Origin("resnet18", "a" * 64, 321, 0), f"was made with code 0, not {CODE}"),
    ],
)
def test_another_origin_is_refused_in_one_line(tmp_path, found, says):
    message = one_line(require_origin, found, ORIGIN, tmp_path / "x.h5", "extract")
    assert message.startswith(f"{tmp_path / 'x.h5'} ")
    assert says in message
    assert message.endswith(": run the stages from 'extract' again")


def test_the_same_origin_passes(tmp_path):
    require_origin(Origin("resnet18", "a" * 64, 321), ORIGIN, tmp_path / "x.h5", "extract")


@pytest.mark.parametrize("text", ["{", "[]", "3", '{"backbone": "x"}'])
def test_a_damaged_origin_is_one_line(tmp_path, text):
    with create_hdf5(tmp_path / "00000.h5", KIND, VERSION) as file:
        file.text("origin", text)
    assert "00000.h5 is damaged" in one_line(features_origin, tmp_path)


def test_a_file_of_before_has_an_unknown_origin(tmp_path):
    shard(tmp_path / "00000.h5", range(2), UNKNOWN)
    assert FeatureStore(tmp_path).origin == UNKNOWN


def test_the_identity_of_weights_is_their_content(tmp_path):
    for name, content in (("a.pth", b"a"), ("b.pth", b"a"), ("c.pth", b"c")):
        write(tmp_path / name, content)
    a, b, c = (weights_identity("resnet18", str(tmp_path / f"{n}.pth"), 0) for n in "abc")
    assert a == b != c
    assert weights_identity("resnet18", "random", 3) == "random 3"
    assert weights_identity("resnet18", "imagenet", 3) == "imagenet"
    lite = "timm:tf_efficientnet_lite0"
    assert weights_identity(f"{lite}@8", "installed", 3) == INSTALLED[lite].sha256
    assert weights_identity("resnet18", "installed", 3) == "installed"
    gone = str(tmp_path / "gone.pth")
    assert one_line(weights_identity, "resnet18", gone, 0).startswith(f"weights: {gone} does not")


GRIDS = {None: (8, 10), 48: (5, 6)}
EMBEDDING = {
    None: (0.856487, 0.457085, 1.060249, -0.033814),
    48: (0.514128, 0.108049, 0.434743, -0.204952),
}
PROTOTYPE = {
    None: (0.283388, -0.301349, 1.115072, -0.839483),
    48: (-0.038053, 0.089593, 0.663428, -0.415907),
}


@pytest.mark.parametrize("long_side", [None, 48])
def test_code_that_makes_other_features_has_another_number(long_side):
    """If this fails since features are meant to change: new numbers here, and raise `CODE`."""
    encoder = build_encoder("resnet18")
    load_weights(encoder, "random", 0)
    image, mask = scene(3, (1, 4), (60, 76))
    encode = make_encode(encoder, torch.device("cpu"), "float32", long_side)
    found = describe_image("a", encode(image), mask, "int8")
    assert CODE == 1
    assert found.grid == GRIDS[long_side]
    assert np.allclose(found.embedding[:4], EMBEDDING[long_side], atol=1e-3)
    assert np.allclose(found.sums[1, :4] / found.counts[1], PROTOTYPE[long_side], atol=1e-3)
