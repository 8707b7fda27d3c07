"""Names of backbones, without torch, so that params are checked before anything heavy loads."""

import re

BACKBONES = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet50s", "resnet101s")
"""ResNets; `s` marks the deep stem (three 3x3 convolutions, 64-64-128)."""

TIMM_PREFIX = "timm:"

DEFAULT_BACKBONE = f"{TIMM_PREFIX}tf_efficientnet_lite2"
"""Its ImageNet weights come with the project (`fsslib.encoders.installed`)."""

CHOICES = ", ".join((*BACKBONES, f"{TIMM_PREFIX}NAME", f"{TIMM_PREFIX}NAME@STRIDE"))
"""For the message that refuses another name."""

NAMED_WEIGHTS = ("installed", "imagenet", "random")
"""Weights that are no file: what pip installed, what is downloaded, and random ones for tests."""

_TIMM_NAME = re.compile(TIMM_PREFIX + r"[A-Za-z0-9_.]+(@[1-9][0-9]?)?")


def is_backbone(name: str) -> bool:
    """Whether the form of a name is one that `fsslib.encoders.build.build_encoder` takes."""
    return name in BACKBONES or _TIMM_NAME.fullmatch(name) is not None
