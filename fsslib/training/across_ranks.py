"""What makes several processes one training: batch norm and gradients over the whole batch."""

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
    """Mean over the ranks, with its gradient; every rank has to call this, and go backward."""
    total: Tensor = _AddUp.apply(tensor, ranks)
    return total / ranks.size


def from_all_ranks(rows: Tensor, ranks: Ranks) -> Tensor:
    """(N, D) of each rank to (N * ranks, D) in their order, with its gradient, as above."""
    if ranks.size == 1:
        return rows
    every = rows.new_zeros(ranks.size, *rows.shape)
    every = torch.cat([every[: ranks.number], rows[None], every[ranks.number + 1 :]])
    total: Tensor = _AddUp.apply(every, ranks)
    return total.flatten(0, 1)


class GlobalBatchNorm(nn.BatchNorm2d):
    """Batch norm over the images of all ranks, which hold equally many of one size.

    Alone it is `nn.BatchNorm2d`, whose state it has. torch's SyncBatchNorm is the same for CUDA
    only; this runs wherever the ranks can add up.
    """

    def __init__(self, channels: int, ranks: Ranks) -> None:
        super().__init__(channels)
        self.ranks = ranks

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (B, C, h, w), in training by the statistics of all ranks' input."""
        if not self.training or self.ranks.size == 1:
            return super().forward(input)
        x = input.to(self.weight.dtype)
        mean = mean_over_ranks(x.mean(dim=(0, 2, 3)), self.ranks).view(1, -1, 1, 1)
        centred = x - mean  # a second pass: the mean square less the squared mean would cancel
        variance = mean_over_ranks(centred.square().mean(dim=(0, 2, 3)), self.ranks)
        self._remember(mean.flatten(), variance, x.numel() // x.shape[1] * self.ranks.size)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)).to(input.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Move the running statistics; their variance is the unbiased one, as in torch."""
        assert self.momentum is not None
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
        self.num_batches_tracked += 1


@torch.no_grad()
def average_gradients(parameters: Iterable[nn.Parameter], ranks: Ranks) -> None:
    """Make every rank's gradients their mean over the ranks, in one exchange a step.

    Not `DistributedDataParallel`: with `micro_images` the encoder goes backward once a chunk, and
    DDP would have to be told which is the last. It would also rename the weights in checkpoints.
    It hides the exchange behind the backward pass, which gains little here: 50 to 120 MB a step.
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
        FsslibError: they do not, since only some of them have found the checkpoint.
    """
    total = torch.tensor([float(step)], dtype=torch.float64)
    ranks.add_up(total)
    if ranks.any(total.item() != step * ranks.size):
        raise FsslibError(
            f"process {ranks.number} would begin at step {step}, others elsewhere: they need one "
            "file system, where all find the checkpoint in .scratch/"
        )
