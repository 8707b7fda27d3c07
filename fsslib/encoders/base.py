"""Base class of all encoders, with frozen batch norm and seeded weights; image normalisation."""

from functools import lru_cache

import torch
from torch import Tensor, nn

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet mean and standard deviation of RGB in 0 to 1; all weight files here expect them."""


class Encoder(nn.Module):
    """Network that turns photographs into features; `build_encoder` makes one from its name.

    Attributes:
        backbone: name of the backbone, as in `params.yaml`.
        channels: number of feature channels.
        stride: image pixels per feature location.
    """

    backbone: str
    channels: int
    stride: int

    def _freeze(self) -> None:
        """Set `eval` mode and exclude batch norms from training."""
        self.train(False)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.requires_grad_(False)

    def train(self, mode: bool = True) -> "Encoder":
        """Set the mode; batch norm always stays in `eval` mode (section 4.1)."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def trained_parameters(self) -> list[nn.Parameter]:
        """Parameters that training changes: all except the frozen batch norms."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def randomise(self, seed: int) -> None:
        """Set random weights from the seed; the global generator is not changed."""
        generator = torch.Generator().manual_seed(seed)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(
                    module.weight, mode="fan_out", nonlinearity="relu", generator=generator
                )

    def download(self) -> dict[str, Tensor]:
        """Download the published weights of this backbone as a state dict.

        Raises:
            FsslibError: there are none, or the download fails.
        """
        raise NotImplementedError

    def published_name(self, key: str) -> str:
        """Name of this encoder's tensor `key` in published files."""
        return key

    def forward(self, images: Tensor) -> Tensor:
        """Encode normalised images: (B, 3, H, W) -> (B, C, ceil(H/stride), ceil(W/stride))."""
        raise NotImplementedError

    def for_inference(self, dtype: torch.dtype) -> "Encoder":
        """Return an encoder that computes the same, bit for bit, and may not be trained.

        It may do once what `forward` repeats in every pass because weights may be in training.

        Args:
            dtype: type that convolutions compute in, float32 or bfloat16.
        """
        del dtype
        return self


def normalise(images: Tensor) -> Tensor:
    """Normalise (..., 3, H, W), uint8 or float 0 to 255, by ImageNet's statistics, to float32."""
    mean, std = _statistics(images.device)
    return (images.float() - mean) / std


@lru_cache(maxsize=8)
def _statistics(device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation on the scale of 0 to 255, (3, 1, 1) float32.

    They are kept, because a copy to a GPU would wait for all that is running there.
    """
    with torch.inference_mode(False):
        mean, std = (torch.tensor(v, device=device).view(3, 1, 1) * 255 for v in (MEAN, STD))
    return mean, std


def parameter_count(encoder: nn.Module) -> int:
    """Number of parameters, including frozen batch norm (last column of tables 1, 2 and 7)."""
    return sum(p.numel() for p in encoder.parameters())
