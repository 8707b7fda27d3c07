"""SimCLR's contrastive loss, which the paper's table 4 compares with mining on the same pool."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from fsslib.ranks import ALONE, Ranks
from fsslib.training.across_ranks import from_all_ranks

TEMPERATURE = 0.1
PROJECTION = 128
"""SimCLR's temperature and projection width for ImageNet."""

FIRST_WEIGHT = "2.weight"
"""Name of the first weight in the projection head's state. The mining head has no such tensor."""


def contrastive_loss(
    embeddings: Tensor, temperature: float = TEMPERATURE, ranks: Ranks = ALONE
) -> Tensor:
    """Compute NT-Xent: each view must find the other view of its image among all views.

    The loss is the mean over all 2N views i, where j is the other view of the same image, of

        -log( exp(cos(z_i, z_j) / t) / sum over k other than i of exp(cos(z_i, z_k) / t) )

    Args:
        embeddings: (2N, D) float32; rows n and N + n are the two views of image n.
        temperature: t.
        ranks: ranks that hold N images each; the other views are those of all ranks.

    Returns:
        Scalar, the mean over this rank's views. It is 0 for a single image, because there is no
        other image to distinguish it from.
    """
    first, second = normalize(embeddings, dim=1).view(2, -1, embeddings.shape[1])
    count, start = len(first), ranks.number * len(first)
    everyone = torch.cat([from_all_ranks(first, ranks), from_all_ranks(second, ranks)])
    half = len(everyone) // 2
    own = start + torch.arange(count, device=embeddings.device)
    own = torch.cat([own, half + own])
    scores = everyone[own] @ everyone.T / temperature
    scores = scores.scatter(1, own[:, None], float("-inf"))
    return cross_entropy(scores, (own + half) % (2 * half))


class ProjectionHead(nn.Sequential):
    """Projection head: global average pooling and two linear layers, (B, C, h, w) to (B, 128)."""

    def __init__(self, channels: int, generator: torch.Generator) -> None:
        super().__init__(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(channels, channels),
            nn.ReLU(inplace=True),
            nn.Linear(channels, PROJECTION),
        )
        for module in self:
            if isinstance(module, nn.Linear):
                nn.init.kaiming_normal_(module.weight, generator=generator)
                nn.init.zeros_(module.bias)
