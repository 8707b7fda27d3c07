"""Named settings: values of `params.yaml` by dotted key."""

from collections.abc import Mapping
from typing import Any

from fsslib.encoders.backbones import DEFAULT_BACKBONE
from fsslib.errors import FsslibError

PROCEDURAL: Mapping[str, Any] = {
    "k": 5,
    "beta": 0.2,
    "w": 0.9,
    "m": 0.999,
    "top_n": 4,
    "sigma": 20,
    "pseudo_weight": 1,
    "mine": True,
    "miner": "clusters",
    "rectify_fg": True,
    "rectify_bg": True,
    "ema": True,
    "dataset": "procedural",
    "data_root": None,
    "coco_folds": "contiguous",
    "holdout": None,
    "folds": [0, 1, 2, 3],
    "unlabeled": ["train"],
    "seed": 0,
    "scenes.train": 600,
    "scenes.val": 200,
    "scenes.size": 160,
    "scenes.seed": 0,
    "backbone": DEFAULT_BACKBONE,
    "weights": "installed",
    "long_side": None,
    "precision": "float32",
    "dense_features": True,
    "feature_dtype": "int8",
    "shard_images": 256,
    "kmeans": "auto",
    "regions.kind": "label",
    "regions.min_area": 0.01,
    "training.iterations": 100,
    "training.pairs": 4,
    "training.pool_images": 8,
    "training.shot": 1,
    "training.crop": 112,
    "training.scale_min": 1.0,
    "training.scale_max": 1.0,
    "training.min_pixels": 256,
    "training.background_share": 0.9,
    "training.lr": 0.001,
    "training.head_lr": 0.01,
    "training.lr_steps": None,
    "training.momentum": 0.9,
    "training.weight_decay": 0.0005,
    "training.ema_decay": 0.99,
    "training.precision": "float32",
    "training.compile": False,
    "training.threads": 2,
    "training.micro_images": None,
    "training.checkpoint": 50,
    "training.picture_every": 50,
    "baseline_lr": 0.0005,
    "shots": [1, 5],
    "seeds": [0, 1, 2, 3, 4],
    "episodes": 1000,
    "ways": 1,
    "protocol": "paper",
    "min_pixels": 2048,
    "min_images": None,
    "search": "exact",
    "resize": None,
    "refine": "none",
    "refine_radius": 0.09,
    "refine_eps": 0.001,
    "boundary_iou": False,
}
"""The committed defaults, which are the embedded benchmark. The other presets start from them."""

PASCAL = {
    "dataset": "pascal",
    "data_root": "data/pascal",
    "weights": "imagenet",
    "training.iterations": 6000,
    "training.lr": 0.001,
    "training.pool_images": 32,
    "training.crop": 473,
    "training.precision": "auto",
    "training.checkpoint": 500,
    "training.picture_every": 500,
    "training.threads": None,
    "baseline_lr": None,
}
"""The setting of section 4.1 for PASCAL-5i."""

COCO = PASCAL | {
    "k": 15,
    "dataset": "coco",
    "data_root": "data/coco",
    "episodes": 4000,
    "dense_features": False,  # stored ones would take 400 GB (docs/performance.md)
}
"""The setting of section 4.1 for COCO-20i."""

RESNET101 = {"backbone": "resnet101", "training.pool_images": 16}
"""The paper's number of pool images for ResNet-101 when memory is short (5-shot)."""

VOC_SAMPLE = {
    "dataset": "pascal",
    "data_root": "data/voc-sample",
    "backbone": "resnet18",
    "weights": "imagenet",
    "folds": [1, 2, 3],  # few classes of fold 0 have enough validation photographs
    "min_images": 10,
    "long_side": 321,
    "m": 0.98,
    "w": 0.2,
    "top_n": 10,
    "training.iterations": 160,
    "training.lr_steps": [120],
    "training.pool_images": 8,
    "training.crop": 161,
    "training.scale_min": 0.6,
    "training.min_pixels": 500,
    "training.background_share": 0.3,
    "training.precision": "auto",
    "baseline_lr": 0.0002,
}
"""The real sample, in minutes on two cores. docs/results.md tells how its values were found."""

OWN_PHOTOGRAPHS = {
    "dataset": "folder",
    "data_root": "data/mine",
    "long_side": 480,
    "m": 0.98,
    "w": 0.2,
    "training.crop": 224,
    "training.scale_min": 0.6,
    "training.min_pixels": 500,
    "training.background_share": 0.3,
    "baseline_lr": 0.0002,
    "shots": [1],
    "seeds": [0, 1, 2],
    "episodes": 200,
}
"""The user's own photographs, some dozens of them with labels, in minutes on two cores. Photographs
are scaled to 480 px, so that a crop of 224 px shows whole objects. The background's shares and the
baseline's rate are those of the VOC sample, all other values those of the embedded benchmark."""

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "pascal-resnet50": PASCAL | {"backbone": "resnet50"},
    "pascal-resnet101": PASCAL | RESNET101,
    "coco-resnet50": COCO | {"backbone": "resnet50"},
    "coco-resnet101": COCO | RESNET101,
    "voc-sample": VOC_SAMPLE,
    "own-photographs": OWN_PHOTOGRAPHS,
    "procedural": {},
}


def preset_values(name: str) -> dict[str, Any]:
    """Return the value of every key of a preset.

    Raises:
        FsslibError: there is no such preset.
    """
    if name not in PRESETS:
        raise FsslibError(f"{name!r} is no preset: choose one of {', '.join(PRESETS)}")
    return {**PROCEDURAL, **PRESETS[name]}
