"""A project whose photographs, pool and weights lie outside, and changes of them."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.torch import save_file

from fsslib.encoders.build import build_encoder
from fsslib.encoders.weights import load_weights
from tests.support.fakes import jpeg_bytes, png_bytes, write
from tests.support.world import PARAMS, edit_json, make_photographs, rewrite, set_params

PHOTOGRAPHS = {"train_photographs", "val_photographs"}
ALWAYS = "collect", "episodes", "summarize"
"""Stages that read nothing outside of the project."""


def make_outside(folder: Path, weights: bytes = b"weights") -> None:
    """`photos`, a dataset; `pool`, a folder of photographs; and `weights.safetensors`."""
    make_photographs(folder / "photos")
    for number, name in enumerate(("a.jpg", "sub/b.jpg")):
        write(folder / "pool" / name, jpeg_bytes(number, 60, 76))
    write(folder / "weights.safetensors", weights)


def outside_params(where: str = "") -> dict:
    """Params that name these; `where` is the folder that they are in, as a prefix."""
    return {
        **PARAMS,
        "data_root": f"{where}photos",
        "unlabeled": ["train", f"{where}pool"],
        "backbone": "resnet18",
        "weights": f"{where}weights.safetensors",
    }


def set_outside_params(project: Path, where: str = "") -> None:
    set_params(**outside_params(where))(project)


def real_weights(path: Path, seed: int) -> None:
    """Write weights of ResNet-18 that load."""
    encoder = build_encoder("resnet18")
    load_weights(encoder, "random", seed)
    path.unlink(missing_ok=True)
    save_file(encoder.state_dict(), path)


def turn_around(path: Path) -> None:
    """Mirror an image: a mask keeps its numbers of pixels."""
    values = np.asarray(Image.open(path))[:, ::-1].copy()
    rewrite(path, png_bytes(values, palette=values.ndim == 2))


def one_line_less(path: Path) -> None:
    rewrite(path, b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def touch(path: Path) -> None:
    os.utime(path, (1, 1))


def link_to_the_dataset(outside: Path) -> None:
    """A pool photograph of the same name and content becomes a link to one of the dataset."""
    photo, pool = outside / "photos/JPEGImages/t01.png", outside / "pool/t01.png"
    pool.unlink()
    os.link(photo, pool)


@dataclass(frozen=True)
class Change:
    """A change of what lies outside.

    Attributes:
        name: what it is.
        make: does it, in the folder of `make_outside`.
        changed: fingerprints that change.
        reads: stages that read what changed, so that they run again.
        before: done to the folder before anything runs.
    """

    name: str
    make: Callable[[Path], object]
    changed: set[str]
    reads: set[str]
    before: Callable[[Path], object] = lambda outside: None

    def __str__(self) -> str:
        return self.name


def copy_into_the_pool(outside: Path) -> None:
    shutil.copy(outside / "photos/JPEGImages/t01.png", outside / "pool")


OF_LISTS = {"prepare"}
OF_TRAIN_PHOTOGRAPHS = {"prepare", "extract", "cluster", "annotate", "train", "index", "reference"}
OF_TRAIN_MASKS = {"prepare", "extract", "cluster", "train", "reference"}
OF_VAL = {"prepare", "evaluate", "reference"}
OF_POOL = {"annotate", "train", "index"}
OF_WEIGHTS = {"extract", "annotate", "train", "reference"}

WEIGHTS = Change(
    "a weights file replaced under the same name",
    lambda outside: real_weights(outside / "weights.safetensors", 5),
    {"weights"}, OF_WEIGHTS,
)  # fmt: skip
MOVED = Change(
    "pixels of a mask moved, its numbers did not",
    lambda outside: turn_around(outside / "photos/SegmentationClass/t02.png"),
    {"train_masks"}, OF_TRAIN_MASKS,
)  # fmt: skip
VAL_PHOTOGRAPH = Change(
    "a photograph of the validation split",
    lambda outside: turn_around(outside / "photos/JPEGImages/v00.png"),
    {"val_photographs"}, OF_VAL,
)  # fmt: skip
POOL_ADDED = Change(
    "a photograph more in a folder of the pool",
    lambda outside: write(outside / "pool/sub/c.jpg", jpeg_bytes(9, 60, 76)),
    {"pool"}, OF_POOL,
)  # fmt: skip
SHORTER_LIST = Change(
    "a list", lambda outside: one_line_less(outside / "photos/ImageSets/train.txt"),
    {"lists", "train_masks", "train_photographs"}, OF_LISTS | OF_TRAIN_PHOTOGRAPHS,
)  # fmt: skip
CHANGES = (
    WEIGHTS,
    MOVED,
    VAL_PHOTOGRAPH,
    POOL_ADDED,
    SHORTER_LIST,
    Change(
        "a training photograph",
        lambda outside: turn_around(outside / "photos/JPEGImages/t02.png"),
        {"train_photographs"}, OF_TRAIN_PHOTOGRAPHS,
    ),
    Change(
        "a mask of the validation split",
        lambda outside: turn_around(outside / "photos/SegmentationClass/v00.png"),
        {"val_masks"}, OF_VAL,
    ),
    Change(
        "dataset.json",
        lambda outside: edit_json("dataset.json", lambda raw: raw["classes"].update({"1": "ape"}))(
            outside / "photos"
        ),
        {"lists"}, OF_LISTS,
    ),
    Change(
        "a photograph of the pool", lambda outside: rewrite(outside / "pool/a.jpg", jpeg_bytes(7)),
        {"pool"}, OF_POOL,
    ),
    Change(
        "a photograph less in the pool", lambda outside: (outside / "pool/sub/b.jpg").unlink(),
        {"pool"}, OF_POOL,
    ),
    Change(
        "a copy in the pool becomes a link", link_to_the_dataset, {"pool"}, OF_POOL,
        before=copy_into_the_pool,
    ),
    Change(
        "a photograph that no list names",
        lambda outside: write(outside / "photos/JPEGImages/x.png", b"x"), set(), set(),
    ),
    Change("no photograph", lambda outside: write(outside / "pool/n.txt", b"x"), set(), set()),
    Change(
        "times alone", lambda outside: touch(outside / "photos/JPEGImages/t00.png"), set(), set()
    ),
)  # fmt: skip
