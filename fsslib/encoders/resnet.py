"""ResNet encoder, cut after layer3, without its last ReLU, stride 8, frozen batch norm (4.1)."""

import pickle  # nosec B403: only the name of its error
from collections.abc import Iterator
from copy import deepcopy
from typing import cast

import torch
import torchvision
from torch import Tensor, nn
from torch.nn.functional import conv2d
from torchvision.models.resnet import BasicBlock, Bottleneck

from fsslib.encoders.backbones import BACKBONES, CHOICES, WEIGHTS_REMEDY
from fsslib.encoders.base import Encoder
from fsslib.errors import FsslibError, reason

STRIDE = 8
"""Image pixels per feature location."""


class ResNet(Encoder):
    """ResNet up to layer3 with torchvision's key names.

    Attributes:
        backbone: one of `fsslib.encoders.backbones.BACKBONES`.
        channels: number of feature channels, see `resnet_shape`.
        stride: image pixels per feature location.
    """

    stride = STRIDE

    conv1: nn.Module
    bn1: nn.Module
    maxpool: nn.Module
    layer1: nn.Sequential
    layer2: nn.Sequential
    layer3: nn.Sequential

    def __init__(self, backbone: str) -> None:
        super().__init__()
        if backbone not in BACKBONES:
            raise FsslibError(f"backbone: {backbone!r} is not one of {CHOICES}")
        net = getattr(torchvision.models, backbone.rstrip("s"))(weights=None)
        if backbone.endswith("s"):
            _deepen_stem(net)
        _remove_stride(net.layer3)
        self.backbone = backbone
        self.conv1, self.bn1 = cast(nn.Module, net.conv1), cast(nn.Module, net.bn1)
        self.maxpool = cast(nn.Module, net.maxpool)
        self.layer1, self.layer2 = cast(nn.Sequential, net.layer1), cast(nn.Sequential, net.layer2)
        self.layer3 = cast(nn.Sequential, net.layer3)
        self.channels = resnet_shape(backbone)[0]
        self._freeze()

    def download(self) -> dict[str, Tensor]:
        """Download torchvision's first ImageNet weights (`IMAGENET1K_V1`) as a state dict.

        The literature of 2021 uses these weights.

        Raises:
            FsslibError: there are none, or the download fails.
        """
        if self.backbone.endswith("s"):
            raise FsslibError(
                f"weights: imagenet has no {self.backbone} (torchvision knows no deep stem): "
                f"{WEIGHTS_REMEDY}"
            )
        weights = torchvision.models.get_model_weights(self.backbone)["IMAGENET1K_V1"]
        try:
            state: dict[str, Tensor] = weights.get_state_dict(progress=False, check_hash=True)
        except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
            raise FsslibError(
                f"weights: imagenet could not be downloaded ({reason(error)}): {WEIGHTS_REMEDY}"
            ) from None
        return state

    def forward(self, images: Tensor) -> Tensor:
        """Encode normalised images: (B, 3, H, W) -> (B, C, ceil(H/8), ceil(W/8))."""
        x = self.maxpool(self._stem(images))
        *blocks, last = [*self.layer1, *self.layer2, *self.layer3]
        for block in blocks:
            x = torch.relu_(_residual(block, x))
        return _residual(last, x)

    def for_inference(self, dtype: torch.dtype) -> "ResNet":
        """Return a copy with every batch norm folded into its convolution, in `dtype`.

        A pass then launches one kernel per convolution, where folding and casting launch six. Small
        batches on a GPU last as long as their launches take.
        """
        folded = deepcopy(self)
        with torch.no_grad():
            for conv, norm in folded._pairs():
                weight, shift = _folded(conv, norm)
                conv.weight = nn.Parameter(weight.to(dtype), requires_grad=False)
                conv.bias = nn.Parameter(shift.to(dtype), requires_grad=False)
        return folded

    def _pairs(self) -> Iterator[tuple[nn.Conv2d, nn.BatchNorm2d]]:
        """Every convolution with the batch norm that follows it."""
        convs = [m for m in self.modules() if isinstance(m, nn.Conv2d)]
        if isinstance(self.conv1, nn.Sequential):  # its last norm is bn1, as the plain stem's is
            first, second, third = convs[:3]
            yield first, cast(nn.BatchNorm2d, self.conv1[1])
            yield second, cast(nn.BatchNorm2d, self.conv1[4])
            yield third, cast(nn.BatchNorm2d, self.bn1)
        else:
            yield convs[0], cast(nn.BatchNorm2d, self.bn1)
        for block in (*self.layer1, *self.layer2, *self.layer3):
            for name in ("1", "2", "3"):
                if hasattr(block, f"conv{name}"):
                    yield getattr(block, f"conv{name}"), getattr(block, f"bn{name}")
            if block.downsample is not None:
                conv, norm = cast(nn.Sequential, block.downsample)
                yield cast(nn.Conv2d, conv), cast(nn.BatchNorm2d, norm)

    def _stem(self, images: Tensor) -> Tensor:
        if isinstance(self.conv1, nn.Sequential):
            first, norm, _, second, norm2, _, third = self.conv1
            x = torch.relu_(_conv_bn(first, norm, images))
            x = torch.relu_(_conv_bn(second, norm2, x))
            return torch.relu_(_conv_bn(third, self.bn1, x))
        return torch.relu_(_conv_bn(self.conv1, self.bn1, images))


def _conv_bn(conv: nn.Module, norm: nn.Module, x: Tensor) -> Tensor:
    """Apply a convolution and its frozen batch norm in one step.

    The frozen batch norm is a fixed scale and shift per channel, so it is folded into the weights.
    This saves the passes over the activations that a separate batch norm needs, forward and
    backward (measured in docs/performance.md). The folding is repeated in every pass, because the
    weights may be in training.
    """
    assert isinstance(conv, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    weight, shift = conv.weight, conv.bias
    if shift is None:  # else `for_inference` has folded them
        weight, shift = _folded(conv, norm)
    return conv2d(x, weight, shift, conv.stride, conv.padding, conv.dilation)


def _folded(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Weights and shift of a convolution and its frozen batch norm together."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    return conv.weight * scale.view(-1, 1, 1, 1), norm.bias - norm.running_mean * scale


def _residual(block: BasicBlock | Bottleneck, x: Tensor) -> Tensor:
    """Residual block of torchvision without its last ReLU, which the caller may add.

    Without a ReLU at the end of layer3, cosines can take values from -1 to 1 (section 4.1).
    """
    out = torch.relu_(_conv_bn(block.conv1, block.bn1, x))
    out = _conv_bn(block.conv2, block.bn2, out)
    if isinstance(block, Bottleneck):
        out = _conv_bn(block.conv3, block.bn3, torch.relu_(out))
    if block.downsample is None:
        return out + x
    conv, norm = block.downsample
    return out + _conv_bn(conv, norm, x)


def _remove_stride(layer: nn.Module) -> None:
    """Remove the stride of layer3 so that its filters still see the taps they were trained on.

    The strided 3x3 convolution gets stride 1, and all 3x3 convolutions after it get dilation 2. At
    every second location, the features then equal those of the strided network. In ResNet-18 and
    -34, the second convolution of the first block already comes after the strided one.
    """
    after = False
    for module in layer.modules():
        if not isinstance(module, nn.Conv2d):
            continue
        if module.kernel_size == (3, 3):
            if after:
                module.dilation = module.padding = (2, 2)
            after = after or module.stride == (2, 2)
        module.stride = (1, 1)


def _deepen_stem(net: nn.Module) -> None:
    """Replace the 7x7 stem by three 3x3 convolutions, 64-64-128 (key layout of timm)."""
    net.conv1 = nn.Sequential(
        nn.Conv2d(3, 64, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(inplace=True),
        nn.Conv2d(64, 64, 3, padding=1, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(inplace=True),
        nn.Conv2d(64, 128, 3, padding=1, bias=False),
    )
    net.bn1 = nn.BatchNorm2d(128)
    first = cast(Bottleneck, cast(nn.Sequential, net.layer1)[0])
    first.conv1 = nn.Conv2d(128, 64, 1, bias=False)
    cast(nn.Sequential, first.downsample)[0] = nn.Conv2d(128, 256, 1, bias=False)


def resnet_shape(backbone: str) -> tuple[int, int]:
    """Channels and stride: 256 channels for ResNet-18 and -34, 1024 for deeper ones; stride 8."""
    return 256 if backbone in ("resnet18", "resnet34") else 1024, STRIDE
