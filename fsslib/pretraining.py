"""Pretraining the small encoder of `weights: procedural`, the stand-in for ImageNet's.

Each location of the feature map is classified by the cosine to one learnt vector per class, on
rendered scenes whose classes are disjoint from the benchmark's. The paper starts from ImageNet
(section 4.1), which takes a million photographs; per-location labels make do with a few thousand
scenes and minutes, and the cosine is what equations 3 and 5 measure afterwards.
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize
from torchvision.models.resnet import BasicBlock

from fsslib.data.folds import BACKGROUND, IGNORE
from fsslib.encoder import STRIDE, Encoder, normalise
from fsslib.errors import FsslibError
from fsslib.storage import write_bytes

SCALE = 20.0
"""Of the cosines in the softmax, as eq. 5's sigma."""


class Classifier(nn.Module):
    """The encoder and a cosine classifier over its locations.

    Attributes:
        encoder: what is kept.
        vectors: (classes + 1, C) one direction per class, background first.
    """

    def __init__(self, backbone: str, classes: int) -> None:
        super().__init__()
        self.encoder = Encoder(backbone)
        self.vectors = nn.Parameter(torch.randn(classes + 1, self.encoder.channels))

    def thaw(self) -> "Classifier":
        """Batch norm in train mode with trained scales: the encoder freezes both by itself."""
        for module in self.encoder.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.train()
                module.requires_grad_(True)
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images (B, 3, H, W) -> scores (B, classes + 1, h, w) in -20 to 20."""
        feature = normalize(live_features(self.encoder, images).float(), dim=1)
        return SCALE * torch.einsum("kc,bchw->bkhw", normalize(self.vectors, dim=1), feature)


def live_features(encoder: Encoder, images: Tensor) -> Tensor:
    """`Encoder.forward` for ResNet-18 and -34 with batch norm as a layer, which can be trained.

    The encoder's own forward folds the frozen norms into the convolutions.

    Args:
        encoder: of basic blocks.
        images: (B, 3, H, W) normalised.

    Returns:
        (B, 256, h, w).
    """
    x = encoder.maxpool(torch.relu_(encoder.bn1(encoder.conv1(images))))
    x = encoder.layer3[:-1](encoder.layer2(encoder.layer1(x)))
    last = cast(BasicBlock, encoder.layer3[-1])
    out = last.relu(last.bn1(last.conv1(x)))
    feature: Tensor = last.bn2(last.conv2(out)) + x
    return feature


def crop_and_flip(
    images: Tensor, masks: Tensor, crop: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Cut one random square of `crop` px for the batch and mirror half of the scenes.

    Args:
        images: (B, 3, H, W) uint8, H and W at least `crop`.
        masks: (B, H, W) uint8.
        crop: side in px.
        generator: randomness.

    Returns:
        images: (B, 3, crop, crop) uint8.
        masks: (B, crop, crop) uint8.
    """
    spare = (images.shape[-2] - crop, images.shape[-1] - crop)
    top, left = (int(torch.randint(n + 1, (), generator=generator)) for n in spare)
    rows, columns = slice(top, top + crop), slice(left, left + crop)
    mirror = torch.rand(len(images), generator=generator) < 0.5
    cut, target = images[..., rows, columns], masks[..., rows, columns]
    return (
        torch.where(mirror.view(-1, 1, 1, 1), cut.flip(-1), cut),
        torch.where(mirror.view(-1, 1, 1), target.flip(-1), target),
    )


def dense_loss(scores: Tensor, masks: Tensor) -> Tensor:
    """Cross-entropy over locations, background at a fifth of the weight.

    Args:
        scores: (B, K, h, w).
        masks: (B, H, W) uint8, 255 ignored; a location takes the label of the px at its centre.
    """
    target = masks[:, ::STRIDE, ::STRIDE].long()
    weight = torch.ones(scores.shape[1])
    weight[BACKGROUND] = 0.2
    return cross_entropy(scores, target, weight=weight, ignore_index=IGNORE)


def pretrain(
    pictures: Tensor,
    masks: Tensor,
    classes: int,
    epochs: int,
    seed: int,
    batch: int = 32,
    crop: int = 112,
    learning_rate: float = 0.1,
    backbone: str = "resnet18",
    on_step: Callable[[int, float], None] | None = None,
) -> Encoder:
    """Train a dense classifier and return its encoder.

    SGD with momentum under a one-cycle schedule, bfloat16 autocast, channels last. With the same
    number of threads on the same machine the result is the same to the bit.

    Args:
        pictures: (N, H, W, 3) uint8 sRGB.
        masks: (N, H, W) uint8, 0 background, 1 to `classes`, 255 ignored.
        classes: how many.
        epochs: passes over the pictures.
        seed: of the initial weights, the order and the crops.
        batch: pictures a step; the last, smaller batch of an epoch is left out.
        crop: side of the crops in px.
        learning_rate: the schedule's peak.
        backbone: `resnet18` or `resnet34`.
        on_step: called after each step with the number of scenes it used and the loss.

    Raises:
        FsslibError: fewer pictures than one batch, or a loss that is not finite.
    """
    if len(pictures) < batch:
        raise FsslibError(f"batch={batch} needs as many images, found {len(pictures)}: render more")
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Classifier(backbone, classes).thaw()
    model = model.to(memory_format=torch.channels_last)
    steps = epochs * (len(pictures) // batch)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=learning_rate, momentum=0.9, weight_decay=5e-4, nesterov=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps + 1)
    done = 0
    for _ in range(epochs):
        order = torch.randperm(len(pictures), generator=generator)
        for rows in order[: len(order) // batch * batch].split(batch):
            images = pictures[rows].permute(0, 3, 1, 2)
            images, target = crop_and_flip(images, masks[rows], crop, generator)
            images = normalise(images).contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16):
                feature_scores = model(images)
            loss = dense_loss(feature_scores.float(), target)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            done += 1
            if not math.isfinite(loss.item()):
                raise FsslibError(f"the loss is not finite at step {done}: lower the learning rate")
            if on_step is not None:
                on_step(len(rows), loss.item())
    return model.encoder.train(False)


def save_weights(encoder: Encoder, path: Path, made_by: Mapping[str, str]) -> None:
    """Write an encoder as float16 safetensors under torchvision's key names.

    Args:
        encoder: what to write, running statistics included.
        path: file to write.
        made_by: how it came about, stored as the file's metadata.

    Raises:
        FsslibError: a value that float16 cannot hold.
    """
    tensors: dict[str, Tensor] = {}
    for key, value in encoder.state_dict().items():
        kept = value.half() if value.is_floating_point() else value
        if not bool(torch.isfinite(kept).all()):
            raise FsslibError(f"weight {key} does not fit float16: train again with another seed")
        tensors[key] = kept.contiguous()
    write_bytes(path, save(tensors, dict(sorted(made_by.items()))))
