"""Labels of novel classes reach nothing that is trained, and val photographs no pool.

Every novel label of the training masks becomes background; what a fold learns must not change by a
byte. One fold of a tiny project, run in this process.
"""

import json
import shutil

import h5py
import numpy as np
import pytest
from PIL import Image

from fsslib.data.images import read_mask
from fsslib.data.manifest import load_manifest
from fsslib.datasets.description import Description, write_description
from fsslib.files.shards import file_digest
from fsslib.files.storage import read_hdf5, read_ids
from fsslib.rectification.index_building import KIND, VERSION
from tests.support.fakes import png_bytes, write
from tests.support.scenes import scene
from tests.support.world import (
    CLASSES,
    CLUSTERS,
    EPISODES,
    INDEX,
    MANIFEST,
    MODEL,
    PSEUDO,
    TRAIN,
    inside,
    make_world,
    run_steps,
    set_params,
)

pytestmark = pytest.mark.slow

NOVEL = (1, 2)
STEPS = ("prepare", "extract", "collect", "cluster", "annotate", "train", "index", "episodes")
LEARNED = (PSEUDO, MODEL, INDEX, "results/folds/0/clusters.png")
CURVES = "data/train/0/live/plots/metrics"


def hide_novel_labels(project):
    """Turn novel labels of training masks into background; the number of pixels changed."""
    changed = 0
    for path in sorted((project / "photos/SegmentationClass").glob("t*.png")):
        values = read_mask(path).copy()
        novel = np.isin(values, NOVEL)
        values[novel] = 0
        changed += novel.sum()
        path.write_bytes(png_bytes(values))
    return changed


def learn(folder, change=None):
    """The project, with stages run after a change of its photographs or params."""
    make_world(folder)
    set_params(**{"training.iterations": 3, "training.pairs": 2})(folder)
    if change is not None:
        assert change(folder)
    with inside(folder):
        run_steps(*STEPS)
    return folder


def digests(folder):
    curves = sorted(str(p.relative_to(folder)) for p in (folder / CURVES).iterdir())
    return {name: file_digest(folder / name) for name in (*LEARNED, *curves)}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    folder = learn(tmp_path_factory.mktemp("plain") / "project")
    yield folder
    shutil.rmtree(folder)


def test_novel_labels_as_background_change_nothing_that_is_learned(plain, tmp_path):
    hidden = learn(tmp_path / "project", hide_novel_labels)
    assert digests(hidden) == digests(plain)
    with h5py.File(plain / CLUSTERS) as one, h5py.File(hidden / CLUSTERS) as other:
        for name in ("assignment", "class_id", "image_id"):
            assert (one[name][:] == other[name][:]).all()
        (mine, *ours), (theirs, *others) = one["prototypes"][:], other["prototypes"][:]
    assert np.array_equal(ours, others)
    # The background prototype is pooled in two parts here and in one there, with float32 sums: the
    # same number, rounded in another order.
    assert np.abs(mine - theirs).max() <= 1e-6 * np.abs(theirs).max()
    # The test can fail: the masks did change, and with them what is kept of every class.
    assert file_digest(hidden / MANIFEST) != file_digest(plain / MANIFEST)
    assert file_digest(hidden / EPISODES) == file_digest(plain / EPISODES)
    shutil.rmtree(hidden)


def test_a_base_label_as_background_does_change_it(plain, tmp_path):
    def hide_a_base_label(project):
        path = project / "photos/SegmentationClass/t00.png"
        values = read_mask(path).copy()
        values[values == 3] = 0
        path.write_bytes(png_bytes(values))
        return True

    other = learn(tmp_path / "project", hide_a_base_label)
    assert file_digest(other / CLUSTERS) != file_digest(plain / CLUSTERS)
    assert digests(other)[MODEL] != digests(plain)[MODEL]
    shutil.rmtree(other)


def test_cross_consistency_sees_base_labels_alone_and_needs_no_pseudo_masks(tmp_path):
    """Neither clusters nor pseudo-masks are there."""

    def trained(name, change=None):
        folder = make_world(tmp_path / name)
        set_params(**{"training.iterations": 2, "training.pairs": 2, "miner": "cct"})(folder)
        set_params(**{"training.picture_every": 2})(folder)
        assert change is None or change(folder)
        with inside(folder):
            run_steps("prepare", "train")
        curves = sorted((folder / CURVES).iterdir())
        assert {"pseudo.tsv", "agreement.tsv", "base_accuracy.tsv"} <= {p.name for p in curves}
        picture = folder / "results/folds/0/training.png"
        return [file_digest(p) for p in (folder / MODEL, picture, *curves)]

    assert trained("hidden", hide_novel_labels) == trained("plain")


def same_photographs_in_a_folder(project):
    """A pool of the photographs of val and one more, as copies would be in real life: links."""
    pool = project / "pool"
    pool.mkdir()
    for path in (project / "photos/JPEGImages").glob("v*.png"):
        (pool / path.name).symlink_to(path)
    Image.new("RGB", (64, 64), "teal").save(pool / "other.png")
    set_params(unlabeled=["train", "remaining", "photos/JPEGImages", "pool"])(project)
    return True


def test_val_photographs_never_enter_the_pool(tmp_path):
    project = learn(tmp_path / "project", same_photographs_in_a_folder)
    manifest = load_manifest(project / MANIFEST, project)
    val = {record.id for record in manifest.val}
    with read_hdf5(project / INDEX, KIND, VERSION, "") as file:
        ids = read_ids(file)
    stems = {image_id.rsplit("/")[-1].removesuffix(".png") for image_id in ids}
    assert stems == {record.id for record in manifest.train} | {"other"}
    assert not stems & val
    shutil.rmtree(project)


FOLDS = ((1,), (2,), (3, 4))


def eighty_photographs(project):
    """Three folds and eighty training photographs, so that a fifth of them can be scored."""
    root = project / "photos"
    ids = [f"t{number:02d}" for number in range(80)]
    for number, image_id in enumerate(ids):
        image, mask = scene(number, TRAIN[number % len(TRAIN)], (60, 76))
        write(root / f"JPEGImages/{image_id}.png", png_bytes(image, palette=False))
        write(root / f"SegmentationClass/{image_id}.png", png_bytes(mask))
    write(root / "ImageSets/train.txt", "".join(f"{i}\n" for i in ids).encode())
    write_description(root, Description("folder", CLASSES, FOLDS, "listed"))
    set_params(holdout=0)(project)
    return True


def without_what_is_novel(project):
    """No pixel of the fold's novel class, and val photographs and masks that nothing can read."""
    eighty_photographs(project)
    changed = 0
    for path in (project / "photos/SegmentationClass").glob("t*.png"):
        values = read_mask(path).copy()
        changed += (values == 1).sum()
        values[values == 1] = 0
        path.write_bytes(png_bytes(values))
    for path in (project / "photos").glob("*/v*.png"):
        path.write_bytes(b"not a picture")
    return changed


def test_held_out_classes_are_scored_without_a_look_at_novel_ones_or_val(tmp_path):
    """The whole pipeline, scores included, does not change by a byte.

    The background prototype is rounded in another order (see above). So the rest of the pipeline
    starts from the same one.
    """
    plain = learn(tmp_path / "plain", eighty_photographs)
    blind = make_world(tmp_path / "blind")
    set_params(**{"training.iterations": 3, "training.pairs": 2})(blind)
    assert without_what_is_novel(blind)
    with inside(blind):
        run_steps(*STEPS[:4])
        with h5py.File(plain / CLUSTERS) as one, h5py.File(blind / CLUSTERS) as other:
            (mine, *ours), (theirs, *others) = one["prototypes"][:], other["prototypes"][:]
        assert np.array_equal(ours, others)
        assert np.abs(mine - theirs).max() <= 1e-6 * np.abs(theirs).max()
        shutil.copy(plain / CLUSTERS, CLUSTERS)
        run_steps(*STEPS[4:], "evaluate")
    with inside(plain):
        run_steps("evaluate")
    manifest = load_manifest(plain / MANIFEST, plain)
    assert (manifest.novel(0), manifest.base(0)) == ((2,), (3, 4))
    names = [name for name in LEARNED if name.endswith(("zip", "safetensors", "h5"))]
    assert [file_digest(blind / n) for n in names] == [file_digest(plain / n) for n in names]
    metrics = "results/folds/0/metrics.json"
    assert file_digest(blind / metrics) == file_digest(plain / metrics)
    assert json.loads((plain / metrics).read_text())["shot1"]["classes"].keys() == {"bee"}
