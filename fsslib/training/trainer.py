"""Joint training (eq. 1): episodes for a transferable metric, pseudo-masks for latent classes."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from fsslib.data.batches import FEATURES, Batch, Miner
from fsslib.data.colours import apply_together
from fsslib.encoders.base import Encoder, normalise
from fsslib.encoders.running import Precision
from fsslib.errors import FsslibError
from fsslib.ranks import ALONE, Ranks
from fsslib.training.across_ranks import average_gradients
from fsslib.training.consistency import (
    ConsistencyHead,
    Perturbations,
    Predictions,
    agreement,
    base_accuracy,
    disagreement,
    disagreement_weight,
    draw_perturbations,
)
from fsslib.training.contrastive import ProjectionHead, contrastive_loss
from fsslib.training.gradient_cache import GradientCache, compiled
from fsslib.training.losses import MiningHead, episode_prototypes, pixel_loss, query_scores
from fsslib.training.memory import BackgroundMemory, WeightAverage
from fsslib.training.progress import foreground_iou, label_agreement

Row = dict[str, float]
"""One step's losses, learning rate and progress, by name."""

Head = MiningHead | ProjectionHead | ConsistencyHead
"""What is trained on the pool beside the encoder, one for each miner."""


@dataclass(frozen=True)
class TrainSettings:
    """Settings of a training run.

    Attributes:
        iterations: number of steps.
        lr: learning rate of the encoder.
        head_lr: learning rate of the auxiliary head.
        momentum: momentum of SGD.
        weight_decay: weight decay of SGD.
        ema_decay: decay of the weight average.
        m: momentum of the global background prototype (eq. 6).
        background_share: weight of the global background prototype in a training episode's
            background (eq. 7); 0 for none.
        sigma: factor on the cosine (eq. 5).
        pseudo_weight: lambda of eq. 1.
        precision: precision of the forward and backward passes.
        seed: seed of the head's initial weights and of the perturbations of `miner: cct`.
        lr_steps: steps at which the learning rates drop to a tenth. None drops them after each
            third of the iterations, like the paper's 2000 and 4000 of 6000.
        micro_images: images encoded at once with their gradients in memory; None for the whole
            batch.
        compile: whether to run the encoder through torch.compile.
        miner: what the pool is used for: pseudo-masks, the contrast of two views, or consistency
            under perturbations (table 4).
    """

    iterations: int
    lr: float
    head_lr: float
    momentum: float
    weight_decay: float
    ema_decay: float
    m: float
    background_share: float
    sigma: float
    pseudo_weight: float
    precision: Precision
    seed: int
    lr_steps: tuple[int, ...] | None = None
    micro_images: int | None = None
    compile: bool = False
    miner: Miner = "clusters"


class Trainer:
    """The state that training changes, and one step of training.

    With several ranks, each rank holds its own trainer, and all of them step at the same time on
    their parts of the batch. They stay bit-identical, because every change is computed from sums
    over all ranks.

    Args:
        encoder: encoder with its initial weights; it is trained in place.
        classes: classes of the head with the background, or None to train on episodes alone: K + 1
            pseudo-labels, or 1 + the base classes with `miner: cct`. `miner: simclr` ignores it.
        settings: see `TrainSettings`.
        device: device to train on.
        ranks: this process among those that train together.
    """

    def __init__(
        self,
        encoder: Encoder,
        classes: int | None,
        settings: TrainSettings,
        device: torch.device,
        ranks: Ranks = ALONE,
    ) -> None:
        self.settings, self.device, self.ranks = settings, device, ranks
        self.encoder = encoder.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.encoder.train()
        self._run = compiled(self.encoder) if settings.compile else self.encoder
        self._cache = GradientCache(self._encode, settings.micro_images)
        generator = torch.Generator().manual_seed(settings.seed)
        self.head: Head | None = None
        groups = [{"params": encoder.trained_parameters()}]
        if classes is not None:
            self.head = _new_head(settings.miner, encoder.channels, classes, generator, ranks)
            self.head.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            groups.append({"params": list(self.head.parameters())})
        self.optimizer = torch.optim.SGD(
            groups, settings.lr, settings.momentum, weight_decay=settings.weight_decay
        )
        self.average = WeightAverage(self.encoder, settings.ema_decay)
        self.memory = BackgroundMemory(encoder.channels, settings.m)
        self.step_number = 0

    def learning_rate(self, step: int) -> float:
        """Return the encoder's learning rate at a step, counted from 0 (section 4.1)."""
        settings = self.settings
        if settings.lr_steps is None:
            drops = 3 * step // settings.iterations
        else:
            drops = sum(step >= at for at in settings.lr_steps)
        return settings.lr * 0.1**drops

    def step(self, batch: Batch) -> Row:
        """Make one update and return its row: losses, learning rate and progress, over all ranks.

        The progress numbers tell how well both branches do, from 0 to 1.

        Raises:
            FsslibError: the loss is not finite.
        """
        settings = self.settings
        rate = self.learning_rate(self.step_number)
        for group, start in zip(
            self.optimizer.param_groups, (settings.lr, settings.head_lr), strict=False
        ):
            group["lr"] = rate * start / settings.lr
        images = self._images(batch)
        features = self._cache.encode(images)
        episode, pseudo, progress = self._losses(features, batch)
        loss = episode if pseudo is None else episode + settings.pseudo_weight * pseudo  # eq. 1
        row = self._means(loss=loss, episode=episode, pseudo=pseudo, **progress)
        if not math.isfinite(row["loss"]):  # the same on every rank
            raise FsslibError(
                f"the loss became {row['loss']} at step {self.step_number}: lower training.lr"
            )
        self.optimizer.zero_grad(set_to_none=True)
        self._cache.backward(loss, images, features)
        average_gradients(self.parameters(), self.ranks)
        self.optimizer.step()
        self.average.update(self.encoder, self.step_number)
        self.step_number += 1
        return {**row, "lr": rate}

    def parameters(self) -> list[nn.Parameter]:
        """Return all optimised parameters, in the optimiser's order."""
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    def _images(self, batch: Batch) -> Tensor:
        """Move all images of a batch to the device: supports, queries, pool; (n, 3, c, c) uint8."""
        parts = [batch["support_images"].flatten(0, 1), batch["query_images"]]
        if self.head is not None:
            parts.append(batch["pool_images"])
        parts = [self._sent(p) for p in parts]
        if self.head is not None and "pool_colours" in batch:
            parts[-1] = apply_together(parts[-1], batch["pool_colours"])
        return torch.cat(parts)

    def _sent(self, tensor: Tensor) -> Tensor:
        """Move a tensor to the device; from pinned memory, without waiting for its running work."""
        return tensor.to(self.device, non_blocking=True)

    def _autocast(self) -> torch.autocast:
        wanted = self.settings.precision == "bfloat16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=wanted)

    def _encode(self, images: Tensor) -> Tensor:
        """Encode images (n, 3, c, c) uint8 to features (n, C, h, w) in the set precision."""
        ready = normalise(images).contiguous(memory_format=torch.channels_last)
        with self._autocast():
            features: Tensor = self._run(ready)
        return features

    def _losses(
        self, features: Tensor, batch: Batch
    ) -> tuple[Tensor, Tensor | None, dict[str, Tensor]]:
        """Compute L_gt of eq. 4, L_pseudo and progress; update the background memory (eq. 6)."""
        pairs, shot = batch["support_images"].shape[:2]
        with self._autocast():
            output = self._head_output(features[pairs * shot :], pairs)
        features = features[: pairs * (shot + 1)].float()
        masks = self._sent(batch["support_masks"])
        support_features = features[: pairs * shot].unflatten(0, (pairs, shot))
        foreground, background = episode_prototypes(support_features, masks)
        self._remember(background, masks)
        scores = query_scores(
            features[pairs * shot :],
            foreground,
            background,
            self.memory.value(),
            self.settings.background_share,
            self.settings.sigma,
        )
        truth = self._sent(batch["query_masks"])
        episode = pixel_loss(scores, truth)
        progress = {"episode_iou": foreground_iou(scores, truth)}
        if output is None:
            return episode, None, progress
        pseudo, more = self._pool_loss(output, batch)
        return episode, pseudo, progress | more

    def _head_output(self, features: Tensor, queries: int) -> Tensor | Predictions | None:
        """Apply the head to features of the queries and the pool, (P + B, C, h, w)."""
        if self.head is None:
            return None
        if not isinstance(self.head, ConsistencyHead):
            scores: Tensor = self.head(features[queries:])
            return scores
        rng = np.random.default_rng([self.settings.seed, FEATURES, self.step_number])
        size = (features.shape[-2], features.shape[-1])
        drawn = draw_perturbations(rng, len(features) - queries, size, self.ranks)
        sent = Perturbations(self._sent(drawn.noise), drawn.threshold, self._sent(drawn.channels))
        found: Predictions = self.head(features, queries, sent)
        return found

    def _pool_loss(
        self, output: Tensor | Predictions, batch: Batch
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute L_pseudo, or the loss that stands in its place, and its progress."""
        if isinstance(output, Predictions):
            labels = self._sent(batch["query_labels"])
            weight = disagreement_weight(self.step_number, self.settings.iterations)
            loss = pixel_loss(output.labelled, labels) + weight * disagreement(output)
            accuracy = base_accuracy(output, labels)
            return loss, {"base_accuracy": accuracy, "agreement": agreement(output)}
        if self.settings.miner == "simclr":
            return contrastive_loss(output.float(), ranks=self.ranks), {}
        labels = self._sent(batch["pool_masks"])
        return pixel_loss(output, labels), {"pseudo_accuracy": label_agreement(output, labels)}

    def _remember(self, background: Tensor, masks: Tensor) -> None:
        """Apply eq. 6 with the mean over the pairs of all ranks whose supports show background.

        Without such a pair nothing changes.
        """
        present = (masks == 0).flatten(1).any(dim=1)
        total = torch.cat([background[present].detach().sum(dim=0), present.sum().view(1)])
        self.ranks.add_up(total)
        if total[-1] > 0:
            self.memory.update(total[:-1] / total[-1])

    def _means(self, **terms: Tensor | None) -> Row:
        """Return the means over the ranks as numbers, for the terms that are not None."""
        known = {name: term.detach() for name, term in terms.items() if term is not None}
        total = torch.stack(list(known.values()))
        self.ranks.add_up(total)
        return dict(zip(known, (total / self.ranks.size).tolist(), strict=True))

    def run(self, batches: Iterator[Batch]) -> Iterator[Row]:
        """Step through `batches` and yield each step's row."""
        for batch in batches:
            yield self.step(batch)


def _new_head(
    miner: Miner, channels: int, classes: int, generator: torch.Generator, ranks: Ranks
) -> Head:
    if miner == "simclr":
        return ProjectionHead(channels, generator)
    head = ConsistencyHead if miner == "cct" else MiningHead
    return head(channels, classes, generator, ranks)
