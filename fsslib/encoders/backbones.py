"""Names of backbones; this module does not import torch, so params are checked quickly."""

import re

BACKBONES = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet50s", "resnet101s")
"""ResNets; the suffix `s` marks the deep stem (three 3x3 convolutions, 64-64-128)."""

TIMM_PREFIX = "timm:"

DEFAULT_BACKBONE = f"{TIMM_PREFIX}tf_efficientnet_lite2"
"""Default backbone; its ImageNet weights come with the project (`fsslib.encoders.installed`)."""

CHOICES = ", ".join((*BACKBONES, f"{TIMM_PREFIX}NAME", f"{TIMM_PREFIX}NAME@STRIDE"))
"""Allowed names, for the error message about an unknown name."""

NAMED_WEIGHTS = ("installed", "imagenet", "random")
"""Sources of weights other than a file: installed by pip, downloaded, or random for tests."""

WEIGHTS_REMEDY = "set 'weights' to a .pth or .safetensors file of this backbone"
"""End of the error messages about weights."""

_TIMM_NAME = re.compile(TIMM_PREFIX + r"[A-Za-z0-9_.]+(@[1-9][0-9]?)?")


def is_backbone(name: str) -> bool:
    """Whether a name has a form that `fsslib.encoders.build.build_encoder` accepts."""
    return name in BACKBONES or _TIMM_NAME.fullmatch(name) is not None
