"""TensorFlow's "same" padding of timm's EfficientNets, in a form that ONNX keeps for any size."""

import copy
from typing import Any

import torch
from timm.layers.conv2d_same import Conv2dSame
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad


class OpenPadding(nn.Module):
    """A `Conv2dSame` whose padding is computed from the size of each input.

    timm computes it with Python's `max` and `ceil`, whose results the exporter takes for constants.
    """

    def __init__(self, convolution: Conv2dSame) -> None:
        super().__init__()
        self.convolution = convolution

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', ceil(H/stride), ceil(W/stride)), as `Conv2dSame`."""
        of = self.convolution
        padding: list[Any] = []
        for axis in (1, 0):  # `pad` begins with the last axis
            size, stride = x.shape[2 + axis], of.stride[axis]
            reach = (of.kernel_size[axis] - 1) * of.dilation[axis] + 1
            total = torch.sym_max(((size + stride - 1) // stride - 1) * stride + reach - size, 0)
            padding += [total // 2, total - total // 2]
        return conv2d(pad(x, padding), of.weight, of.bias, of.stride, 0, of.dilation, of.groups)


def with_open_padding(module: nn.Module) -> nn.Module:
    """A copy of a module in which each `Conv2dSame` is an `OpenPadding`; same results."""
    copied = copy.deepcopy(module)
    for parent in list(copied.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Conv2dSame):
                setattr(parent, name, OpenPadding(child))
    return copied
