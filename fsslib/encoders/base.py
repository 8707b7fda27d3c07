"""What every encoder is: frozen batch norm, weights by seed, and how images come in."""

import torch
from torch import Tensor, nn

WEIGHTS_REMEDY = "set 'weights' to a .pth or .safetensors file of this backbone"

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet statistics of RGB in 0 to 1, which every weight file here expects."""


class Encoder(nn.Module):
    """Photographs to features; `fsslib.encoders.build.build_encoder` makes one by its name.

    Attributes:
        backbone: its name, as in `params.yaml`.
        channels: of the features.
        stride: image pixels for one feature location.
    """

    backbone: str
    channels: int
    stride: int

    def _freeze(self) -> None:
        """Begin in `eval` mode with batch norms that are not trained."""
        self.train(False)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.requires_grad_(False)

    def train(self, mode: bool = True) -> "Encoder":
        """Set the mode; batch norm stays in `eval` whatever is asked (section 4.1)."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def trained_parameters(self) -> list[nn.Parameter]:
        """What training changes: all but the frozen batch norms."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def randomise(self, seed: int) -> None:
        """Random weights as a function of the seed; the global generator is left alone."""
        generator = torch.Generator().manual_seed(seed)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(
                    module.weight, mode="fan_out", nonlinearity="relu", generator=generator
                )

    def download(self) -> dict[str, Tensor]:
        """State dict with the weights that are published for this backbone.

        Raises:
            FsslibError: there are none, or they cannot be had.
        """
        raise NotImplementedError

    def published_name(self, key: str) -> str:
        """The name in published files of a tensor of this encoder."""
        return key

    def forward(self, images: Tensor) -> Tensor:
        """Encode normalised images: (B, 3, H, W) -> (B, C, ceil(H/stride), ceil(W/stride))."""
        raise NotImplementedError


def normalise(images: Tensor) -> Tensor:
    """(..., 3, H, W) uint8 or 0-255 float -> float32 with ImageNet's mean 0 and deviation 1."""
    mean = torch.tensor(MEAN, device=images.device).view(3, 1, 1) * 255
    std = torch.tensor(STD, device=images.device).view(3, 1, 1) * 255
    return (images.float() - mean) / std


def parameter_count(encoder: nn.Module) -> int:
    """Number of parameters, frozen batch norm included (last column of tables 1, 2 and 7)."""
    return sum(p.numel() for p in encoder.parameters())
