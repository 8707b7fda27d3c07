"""Batch norm and gradients over the whole batch when several processes train together."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from fsslib.errors import FsslibError
from fsslib.ranks import Ranks


class _AddUp(torch.autograd.Function):
    """Sum over the ranks; its gradient is the sum of the ranks' gradients."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, ranks: Ranks) -> Tensor:  # noqa: ANN401 - torch's
        ctx.ranks = ranks
        total = tensor.clone(memory_format=torch.contiguous_format)
        ranks.add_up(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401 - torch's
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        ctx.ranks.add_up(total)
        return total, None


def mean_over_ranks(tensor: Tensor, ranks: Ranks) -> Tensor:
    """Return the mean over the ranks, with its gradient.

    Every rank has to call this function and run its backward pass.
    """
    total: Tensor = _AddUp.apply(tensor, ranks)
    return total / ranks.size


def from_all_ranks(rows: Tensor, ranks: Ranks) -> Tensor:
    """Gather (N, D) of each rank into (N * ranks, D) in rank order, with its gradient.

    Every rank has to call this function and run its backward pass.
    """
    if ranks.size == 1:
        return rows
    every = rows.new_zeros(ranks.size, *rows.shape)
    every = torch.cat([every[: ranks.number], rows[None], every[ranks.number + 1 :]])
    total: Tensor = _AddUp.apply(every, ranks)
    return total.flatten(0, 1)


class GlobalBatchNorm(nn.BatchNorm2d):
    """Batch norm over the images of all ranks.

    Every rank must hold the same number of images, all of one size. With a single rank this is
    `nn.BatchNorm2d`, and it has the same state. torch's SyncBatchNorm does the same, but only for
    CUDA; this class works wherever the ranks can add up tensors.
    """

    def __init__(self, channels: int, ranks: Ranks) -> None:
        super().__init__(channels)
        self.ranks = ranks

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (B, C, h, w); in training, use the statistics of all ranks' input."""
        if not self.training or self.ranks.size == 1:
            return super().forward(input)
        x = input.to(self.weight.dtype)
        mean = mean_over_ranks(x.mean(dim=(0, 2, 3)), self.ranks).view(1, -1, 1, 1)
        centred = x - mean  # a second pass: E[x^2] - E[x]^2 would lose digits
        variance = mean_over_ranks(centred.square().mean(dim=(0, 2, 3)), self.ranks)
        self._remember(mean.flatten(), variance, x.numel() // x.shape[1] * self.ranks.size)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)).to(input.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Update the running statistics; the running variance is the unbiased one, as in torch."""
        assert self.momentum is not None
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
        self.num_batches_tracked += 1


@torch.no_grad()
def average_gradients(parameters: Iterable[nn.Parameter], ranks: Ranks) -> None:
    """Replace every rank's gradients by their mean over the ranks, in one exchange per step.

    `DistributedDataParallel` is not used. With `micro_images` the encoder runs backward once per
    chunk, and DDP would have to be told which chunk is the last. DDP would also rename the weights
    in checkpoints. It hides the exchange behind the backward pass, but that gains little here: the
    exchange is 50 to 120 MB per step.
    """
    if ranks.size == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([g.flatten() for g in gradients]) / ranks.size
    ranks.add_up(flat)
    for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


def require_same_step(step: int, ranks: Ranks) -> None:
    """Check that all ranks begin at the same step.

    Raises:
        FsslibError: the steps differ, because only some ranks have found the checkpoint.
    """
    total = torch.tensor([float(step)], dtype=torch.float64)
    ranks.add_up(total)
    if ranks.any(total.item() != step * ranks.size):
        raise FsslibError(
            f"process {ranks.number} would begin at step {step}, others elsewhere: they need one "
            "file system, where all find the checkpoint in .scratch/"
        )
