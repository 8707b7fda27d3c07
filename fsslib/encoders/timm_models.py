"""Encoders made from timm models, named `timm:NAME` or `timm:NAME@STRIDE`.

`NAME` is any timm model that gives feature maps (`features_only`): ResNets, ConvNeXts, and others,
and ViTs through their patch grid. The encoder uses the deepest level with the given stride, or
without a given stride the deepest level with a stride of at most 16.
"""

import math
import re
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.nn.functional import grid_sample, interpolate

from fsslib.encoders.backbones import TIMM_PREFIX, WEIGHTS_REMEDY
from fsslib.encoders.base import MEAN, STD, Encoder
from fsslib.encoders.hub import impatient
from fsslib.errors import FsslibError, reason

DEEPEST_STRIDE = 16
"""Largest stride of the level that is used when no stride is given."""

REMEDY = "see 'timm.list_models()' for names, and docs/extending.md"
SEQUENTIAL = re.compile(r"^([A-Za-z]\w*?)_(\d+)\.")
"""timm's feature models name a block `stages_0.`, its weight files name it `stages.0.`."""


class TimmEncoder(Encoder):
    """A timm model, cut after one level of its features.

    Batch norm is frozen, as in the ResNets. Everything else that the features depend on is trained,
    including layer norms and position embeddings. Images are normalised as for the ResNets; the
    encoder converts them to the model's own mean and standard deviation, and resizes them to a size
    that the stride divides. Features of convolutional models are not changed. The locations of a
    ViT's features are patch centres, so these features are interpolated to the corner-aligned grid
    that pooling and scoring assume.

    Attributes:
        backbone: name with the prefix, as in `params.yaml`.
        channels: number of feature channels.
        stride: image pixels per feature location.
    """

    def __init__(self, backbone: str) -> None:
        nn.Module.__init__(self)  # `Encoder` has no __init__ of its own
        self.backbone = backbone
        name, self._level, self.channels, self.stride = _find_level(backbone)
        self.body = _create(name, out_indices=(self._level,))
        _drop_rest(self.body)
        self._of_patches = _is_vit(self.body)
        own = self.body.pretrained_cfg
        mean, std = (torch.tensor(own.get(key, d)) for key, d in (("mean", MEAN), ("std", STD)))
        scale, shift = torch.tensor(STD) / std, (torch.tensor(MEAN) - mean) / std
        self.register_buffer("_scale", scale.view(3, 1, 1), persistent=False)
        self.register_buffer("_shift", shift.view(3, 1, 1), persistent=False)
        self._freeze()

    def forward(self, images: Tensor) -> Tensor:
        """Encode normalised images: (B, 3, H, W) -> (B, C, ceil(H/stride), ceil(W/stride))."""
        assert isinstance(self._scale, Tensor)
        assert isinstance(self._shift, Tensor)
        x = images * self._scale + self._shift
        height, width = images.shape[-2:]
        size = [self.stride * math.ceil(n / self.stride) for n in (height, width)]
        if size != [height, width]:
            x = interpolate(x, size, mode="bilinear", align_corners=False)
        feature = self._features(x)
        return to_corners(feature, height, width) if self._of_patches else feature

    def trained_parameters(self) -> list[nn.Parameter]:
        """Parameters that the features depend on, except batch norms; found by a backward pass."""
        side = 2 * max(self.stride, 32)
        with torch.enable_grad():
            self(torch.zeros(1, 3, side, side)).sum().backward()
        used = [parameter for parameter in self.parameters() if parameter.grad is not None]
        self.zero_grad(set_to_none=True)
        return used

    def randomise(self, seed: int) -> None:
        """Set timm's initial weights from the seed; the global generator is not changed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            fresh = TimmEncoder(self.backbone)
        self.load_state_dict(fresh.state_dict())

    def download(self) -> dict[str, Tensor]:
        """Download the weights that timm publishes under this name as a state dict.

        Raises:
            FsslibError: there are none, or the download fails.
        """
        name = _split(self.backbone)[0]
        try:
            with impatient():
                body = _create(name, out_indices=(self._level,), pretrained=True)
        except Exception as error:  # from the hub's client, the network or timm
            raise FsslibError(
                f"weights: imagenet: timm's weights of {name} could not be downloaded "
                f"({reason(error)}): {WEIGHTS_REMEDY}"
            ) from None
        return {f"body.{key}": value for key, value in body.state_dict().items()}

    def published_name(self, key: str) -> str:
        """Name of this encoder's tensor `key` in timm's own files."""
        bare = key.removeprefix("body.").removeprefix("model.")
        return SEQUENTIAL.sub(r"\1.\2.", bare)

    def _features(self, x: Tensor) -> Tensor:
        (feature,) = self.body(x)
        assert isinstance(feature, Tensor)
        if feature.shape[1] != self.channels:  # (B, h, w, C), as in Swin
            feature = feature.movedim(-1, 1)
        return feature


def to_corners(feature: Tensor, height: int, width: int) -> Tensor:
    """Resample a grid of patch centres to a grid whose corners are the image's corner pixels.

    Args:
        feature: (B, C, h, w); location i belongs to the centre of patch i of an image divided into
            h x w patches.
        height: height of the image in px.
        width: width of the image in px.

    Returns:
        (B, C, h, w). The first location is at the centre of the first pixel and the last location
        at the centre of the last pixel, as pooling and scoring assume. Outside the outer patch
        centres, the nearest value is used.
    """

    def places(count: int, size: int) -> Tensor:
        edge = 1 - 1 / size
        return torch.linspace(-edge, edge, count, device=feature.device)

    y, x = places(feature.shape[-2], height), places(feature.shape[-1], width)
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)
    grid = grid.expand(len(feature), -1, -1, -1)
    return grid_sample(feature.float(), grid, padding_mode="border", align_corners=False)


def timm_shape(backbone: str) -> tuple[int, int]:
    """Channels and stride of `timm:NAME`, found without its weights.

    Raises:
        FsslibError: as `TimmEncoder`.
    """
    return _find_level(backbone)[2:]


def _find_level(backbone: str) -> tuple[str, int, int, int]:
    """Name of the model in timm, and level, channels and stride of the features that are used."""
    name, wanted = _split(backbone)
    with torch.device("meta"):
        info = _create(name).feature_info
    levels = list(zip(info.out_indices, info.channels(), info.reduction(), strict=True))
    fitting = [
        level
        for level in levels
        if (level[2] == wanted if wanted is not None else level[2] <= DEEPEST_STRIDE)
    ]
    if not fitting:
        strides = ", ".join(str(s) for s in sorted({level[2] for level in levels}))
        asked = f"stride {wanted}" if wanted else f"a stride up to {DEEPEST_STRIDE}"
        raise FsslibError(
            f"backbone: {backbone} has no features of {asked}, only of {strides}: "
            f"choose one, such as {TIMM_PREFIX}{name}@{levels[-1][2]}"
        )
    return name, *fitting[-1]


def _split(backbone: str) -> tuple[str, int | None]:
    name, _, stride = backbone.removeprefix(TIMM_PREFIX).partition("@")
    return name, int(stride) if stride else None


def _create(name: str, **options: Any) -> Any:  # noqa: ANN401 - a model of timm
    """Create timm's feature model; a ViT accepts images of any size."""
    if not timm.is_model(name):
        raise FsslibError(f"backbone: timm {timm.__version__} has no model {name!r}: {REMEDY}")
    try:
        return timm.create_model(name, features_only=True, dynamic_img_size=True, **options)
    except TypeError:  # the model takes any size anyway, or only its own
        pass
    try:
        return timm.create_model(name, features_only=True, **options)
    except (RuntimeError, AttributeError, TypeError, AssertionError) as error:
        if options.get("pretrained"):
            raise
        raise FsslibError(
            f"backbone: timm's {name} gives no feature maps ({reason(error)}): {REMEDY}"
        ) from None


def _drop_rest(body: nn.Module) -> None:
    """Remove the blocks after the chosen level, which timm computes in its EfficientNets.

    No feature depends on them. They hold three quarters of the parameters of
    tf_efficientnet_lite0.
    """
    info: Any = body.feature_info
    above, _, last = info.module_name()[-1].rpartition(".")
    blocks = getattr(body, "blocks", None)
    if above == "blocks" and isinstance(blocks, nn.Sequential):
        del blocks[int(last) + 1 :]


def _is_vit(body: nn.Module) -> bool:
    """Whether the features are those of a ViT's patches."""
    return hasattr(getattr(body, "model", None), "patch_embed")
