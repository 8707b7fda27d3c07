"""Files of our own that are damaged, foreign, older or swapped: refused by the stage that reads."""

# ruff: noqa: E501 - a case a line

import json
import pickle

import h5py
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from fsslib.encoders.resnet import ResNet
from fsslib.files.storage import create_hdf5, json_digest, read_text
from fsslib.files.tensor_files import save_tensors
from tests.support.world import (
    CLUSTERS,
    EPISODES,
    FEATURES,
    FOLD_METRICS,
    INDEX,
    MANIFEST,
    MODEL,
    PROTOTYPES,
    PSEUDO,
    Case,
    all_of,
    cut,
    edit_json,
    gone,
    link,
    put,
    rewrite,
    set_params,
    swap,
)

READERS = {
    MANIFEST: "extract",
    FEATURES: "collect",
    PROTOTYPES: "cluster --fold 0",
    CLUSTERS: "annotate --fold 0",
    PSEUDO: "train --fold 0",
    MODEL: "index --fold 0",
    INDEX: "evaluate --fold 0",
    EPISODES: "evaluate --fold 0",
    FOLD_METRICS: "summarize",
}
"""File -> a stage that reads it."""
MAKERS = {
    MANIFEST: "prepare",
    FEATURES: "extract",
    PROTOTYPES: "collect",
    CLUSTERS: "cluster",
    PSEUDO: "annotate",
    MODEL: "train",
    INDEX: "index",
    EPISODES: "episodes",
    FOLD_METRICS: "evaluate",
}
TENTHS = [share / 10 for share in range(10)]


def remedy(name: str) -> str:
    return f"the stage '{MAKERS[name]}'" if name != FOLD_METRICS else "'evaluate'"


@pytest.mark.parametrize("name", READERS)
def test_a_file_truncated_at_any_tenth_is_refused(check, project, name):
    whole = (project / name).read_bytes()
    for share in TENTHS:
        rewrite(project / name, whole)
        check(Case(f"{share}", READERS[name], cut(name, share), remedy(name)))


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("kind", ["missing", "text", "link to itself"])
def test_a_file_that_is_none_is_refused(check, name, kind):
    bad = {"missing": gone(name), "text": put(name, b"hello"), "link to itself": link(name, name)}
    says = "" if kind == "link to itself" else remedy(name)
    check(Case(kind, READERS[name], bad[kind], says))


@pytest.mark.parametrize("name", READERS)
def test_a_file_in_the_place_of_another_is_refused(check, project, name):
    whole = (project / name).read_bytes()
    for other in READERS:
        # Of another container each tells at its first bytes, of its own container by its kind.
        if other != name and other.split(".")[-1] == name.split(".")[-1]:
            rewrite(project / name, whole)
            check(Case(other, READERS[name], swap(name, other), remedy(name)))
    check(Case("a zip", READERS[name], swap(name, MODEL if name == PSEUDO else PSEUDO), ""))


def hdf5(name, kind=None, version=None, complete=True, **changes):
    """Write an HDF5 file anew with other marks or arrays, checksums right."""

    def damage(project):
        with h5py.File(project / name) as file:
            found, number = read_text(file, "kind"), int(file.attrs["version"])
            arrays = {key: data[:] for key, data in file.items()}
            marks = {
                k: v for k, v in file.attrs.items() if k not in ("kind", "version", "complete")
            }
        with create_hdf5(
            project / name, kind or found, number if version is None else version
        ) as out:
            for key, value in marks.items():
                out._file.attrs[key] = value
            for key, array in arrays.items():
                array = changes[key](array) if key in changes else array
                if array is not None:
                    out.put(key, array)
        if not complete:
            with h5py.File(project / name, "r+") as file:
                del file.attrs["complete"]

    return damage


def absent(array):
    return None


def as_floats(array):
    return array.astype(np.float64)


def as_text(array):
    return np.array([b"x"] * len(array))


def deeper(array):
    return array[None]


def shorter(array):
    return array[:-1]


def narrower(array):
    return np.ascontiguousarray(array[:, :-1])


def far(array):
    return array + 10_000


def negative(array):
    return -1 - array


def undefined(array):
    return np.full_like(array, np.nan)


def not_text(array):
    return np.array([b"\xff\xfe"] * len(array))


def empty(array):
    return array[:0]


ARRAYS = {
    FEATURES: {
        "image_id": [absent, shorter, not_text, deeper, lambda a: np.arange(len(a))],
        "row_image": [absent, far, negative, as_floats, shorter],
        "row_class": [absent, as_text, shorter, deeper],
        "row_sum": [absent, narrower, as_text, deeper, shorter, undefined],
        "row_count": [absent, shorter, deeper, undefined],
    },
    PROTOTYPES: {
        "image_id": [absent, shorter, not_text, deeper],
        "class_id": [absent, as_text, shorter, deeper],
        "sum": [absent, as_text, deeper, shorter, undefined],
        "count": [absent, shorter, deeper, undefined, lambda a: a * 0],
    },
    CLUSTERS: {"prototypes": [absent, as_text, deeper, undefined, empty, as_floats]},
    INDEX: {
        "image_id": [absent, shorter, not_text],
        "image": [absent, as_text, deeper, shorter, narrower],
        "region": [absent, as_text, deeper, shorter, narrower, undefined],
        "owner": [absent, far, negative, as_floats, deeper],
    },
}
BAD_ARRAYS = [
    (name, key, number)
    for name, arrays in ARRAYS.items()
    for key, changes in arrays.items()
    for number in range(len(changes))
]


@pytest.mark.parametrize(("name", "key", "number"), BAD_ARRAYS)
def test_an_array_of_another_shape_or_type_is_refused(check, name, key, number):
    change = ARRAYS[name][key][number]
    check(Case(key, READERS[name], hdf5(name, **{key: change}), remedy(name)))


DENSE = {
    "grid": [absent, far, negative, shorter, deeper],
    "size": [absent, shorter, negative],
    "start": [absent, far, negative],
    "feature": [absent, narrower, deeper],
    "scale": [absent, deeper, undefined],
}


@pytest.mark.parametrize(
    ("key", "number"), [(k, n) for k, c in DENSE.items() for n in range(len(c))]
)
def test_dense_features_of_another_shape_are_refused(check, key, number):
    damage = hdf5(FEATURES, **{key: DENSE[key][number]})
    check(Case(key, "annotate --fold 0", damage, "run the stage"))


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize(
    ("marks", "says"),
    [
        ({"version": 0}, "has layout 0, this code reads 1"),
        ({"version": 99}, "has layout 99, this code reads 1"),
        ({"kind": "else"}, "holds 'else', expected"),
        ({"complete": False}, "is incomplete, its writer was interrupted"),
    ],
)
def test_hdf5_of_another_layout_is_refused(check, name, marks, says):
    check(Case(says, READERS[name], hdf5(name, **marks), says))


def model(change_head=lambda head: None, change=lambda tensors: None):
    def damage(project):
        with safe_open(project / MODEL, "pt") as file:
            head = json.loads(file.metadata()["fsslib"])
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
        change(tensors)
        change_head(head)
        save_tensors(project / MODEL, tensors, head)

    return damage


KEY = "average.body.blocks.4.3.conv_pwl.weight"
MODELS = {
    "another kind": (model(lambda h: h.update(kind="x")), "holds 'x', expected 'model'"),
    "no kind": (model(lambda h: h.pop("kind")), "holds None, expected 'model'"),
    "no backbone": (model(lambda h: h.pop("backbone")), "does not say its backbone"),
    "another backbone": (model(lambda h: h.update(backbone="resnet34")), "lacks"),
    "unknown backbone": (model(lambda h: h.update(backbone="vgg")), "unknown backbone 'vgg'"),
    "backbone a list": (model(lambda h: h.update(backbone=[1])), "says backbone [1], no str"),
    "no about": (model(lambda h: h.pop("about")), "does not say its about"),
    "a tensor less": (model(change=lambda t: t.pop(KEY)), f"lacks {KEY}"),
    "a tensor more": (
        model(change=lambda t: t.update(more=torch.zeros(1))), "has more, which nothing reads"),
    "another shape": (
        model(change=lambda t: t.update({KEY: t[KEY][:1].clone()})), f"has {KEY} as float32 (1, 720"),
    "another type": (
        model(change=lambda t: t.update({KEY: t[KEY].half()})), f"has {KEY} as float16"),
    "not finite": (
        model(change=lambda t: t[KEY].view(-1)[:1].fill_(float("nan"))), "that are not finite"),
    "background of another length": (
        model(change=lambda t: t.update(background=torch.zeros(3))), "has background as float32 (3,)"),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_a_model_of_another_form_is_refused(check, name):
    check(Case(name, "index --fold 0", *MODELS[name]))


def flip(name, *places):
    """Flip a bit at these shares of a file."""

    def damage(project):
        content = bytearray((project / name).read_bytes())
        for place in places:
            content[int(place * len(content))] ^= 4
        rewrite(project / name, bytes(content))

    return damage


@pytest.mark.parametrize("place", [0.2, 0.5, 0.9])
def test_a_model_with_a_flipped_bit_is_refused(check, place):
    check(Case("a flipped bit", "index --fold 0", flip(MODEL, place), "is damaged"))


def signed(change):
    """A change after which the hash fits again."""

    def apply(content):
        change(content)
        content.pop("sha256")
        content["sha256"] = json_digest(content)

    return apply


JSON = {
    "manifest: version": (MANIFEST, lambda d: d.update(version=3), "has layout 3, expected 2"),
    "manifest: kind": (MANIFEST, lambda d: d.update(kind="x"), "is not a dataset manifest"),
    "manifest: no train": (MANIFEST, signed(lambda d: d.pop("train")), "is damaged"),
    "manifest: train a number": (MANIFEST, signed(lambda d: d.update(train=4)), "is damaged"),
    "manifest: an id outside": (
        MANIFEST, signed(lambda d: d["train"][0].update(id="../x")), "is not a plain file name"),
    "manifest: size": (MANIFEST, signed(lambda d: d["train"][0].update(size=[1])), "is damaged"),
    "manifest: pixels": (MANIFEST, signed(lambda d: d["train"][0].update(pixels=[1])), "is damaged"),
    "manifest: changed": (
        MANIFEST, lambda d: d["train"][0]["pixels"].update({"1": 7}), "was changed"),
    "episodes: version": (EPISODES, lambda d: d.update(version=1), "has layout 1, expected 2"),
    "episodes: kind": (EPISODES, lambda d: d.update(kind="x"), "is not a file of episodes"),
    "episodes: changed": (EPISODES, lambda d: d.update(fold=1), "was changed, its sha256"),
    "episodes: no hash": (EPISODES, lambda d: d.pop("sha256"), "was changed, its sha256"),
    "metrics: empty": (FOLD_METRICS, lambda d: d.clear(), "the stage 'evaluate'"),
    "metrics: no seeds": (FOLD_METRICS, lambda d: d["shot1"].pop("seeds"), "the stage 'evaluate'"),
    "metrics: shot a number": (FOLD_METRICS, lambda d: d.update(shot1=4), "the stage 'evaluate'"),
    "metrics: text for a number": (
        FOLD_METRICS, lambda d: d["shot1"].update(miou_seeds=["x"]), "the stage 'evaluate'"),
}  # fmt: skip


@pytest.mark.parametrize("name", JSON)
def test_json_of_another_form_is_refused(check, name):
    path, change, says = JSON[name]
    check(Case(name, READERS[path], edit_json(path, change), says))


@pytest.mark.parametrize("name", READERS)
def test_json_too_deep_to_read_is_refused(check, name):
    if name.endswith(".json"):
        check(Case(name, READERS[name], put(name, b"[" * 200_000), "is not readable JSON"))


class Code:
    """Pickles to a call that makes a file, in the folder of the command."""

    def __reduce__(self):
        return open, ("marker", "w")


def state_with(value):
    return {**ResNet("resnet18").state_dict(), "extra": value}


@pytest.mark.parametrize("command", [
    "extract",
    "train --fold 0",
    "predict --support photos/JPEGImages/t00.png photos/SegmentationClass/t00.png "
    "--query photos/JPEGImages --out found --model w.pth",
    "calibrate --model w.pth",
])  # fmt: skip
@pytest.mark.parametrize("way", ["torch", "pickle", "a module"])
def test_weights_with_code_are_refused_and_never_run(check, project, command, way):
    content = ResNet("resnet18") if way == "a module" else state_with(Code())
    if way == "pickle":
        (project / "w.pth").write_bytes(pickle.dumps(content))
    else:
        torch.save(content, project / "w.pth")
    says = "w.pth is not a state dict"
    check(Case(way, command, set_params(weights="w.pth", dense_features=False), says))
    assert not (project / "marker").exists()


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_weights_truncated_at_any_tenth_are_refused(check, project, suffix):
    state = {k: v for k, v in ResNet("resnet18").state_dict().items() if "tracked" not in k}
    path = project / f"w.{suffix}"
    (torch.save if suffix == "pth" else save_file)(state, path)
    whole = path.read_bytes()
    for share in TENTHS:
        path.write_bytes(whole)
        damage = all_of(set_params(weights=path.name), cut(path.name, share))
        check(Case(f"{share}", "extract", damage, f"w.{suffix} is not a state dict"))
