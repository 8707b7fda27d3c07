"""Pretraining the small encoder of `weights: procedural`, the stand-in for ImageNet's.

Plain classification with global average pooling, as ImageNet's ResNets are trained, on rendered
pictures whose classes are disjoint from the benchmark's. The paper starts from ImageNet (section 4.1);
a benchmark that downloads nothing needs a start of its own.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, relu

from fsslib.encoder import Encoder, normalise
from fsslib.errors import FsslibError
from fsslib.storage import write_bytes


class Classifier(nn.Module):
    """The encoder, its last ReLU put back, average pooling and a linear layer."""

    def __init__(self, backbone: str, classes: int) -> None:
        super().__init__()
        self.encoder = Encoder(backbone)
        self.head = nn.Linear(self.encoder.channels, classes)

    def thaw(self) -> "Classifier":
        """Batch norm in train mode with trained scales: the encoder freezes both by itself."""
        for module in self.encoder.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.train()
                module.requires_grad_(True)
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images (B, 3, H, W) -> class scores (B, classes)."""
        pooled = relu(self.encoder(images)).mean(dim=(2, 3))
        scores: Tensor = self.head(pooled)
        return scores


def crop_and_flip(images: Tensor, crop: int, generator: torch.Generator) -> Tensor:
    """Cut one random square of `crop` px for the batch and mirror half of the images.

    Args:
        images: (B, 3, H, W) uint8, H and W at least `crop`.
        crop: side in px.
        generator: randomness.

    Returns:
        (B, 3, crop, crop) uint8.
    """
    spare = (images.shape[-2] - crop, images.shape[-1] - crop)
    top, left = (int(torch.randint(n + 1, (), generator=generator)) for n in spare)
    cut = images[..., top : top + crop, left : left + crop]
    mirror = torch.rand(len(images), generator=generator) < 0.5
    return torch.where(mirror.view(-1, 1, 1, 1), cut.flip(-1), cut)


def pretrain(
    pictures: Tensor,
    labels: Tensor,
    classes: int,
    epochs: int,
    seed: int,
    batch: int = 64,
    crop: int = 112,
    learning_rate: float = 0.1,
    backbone: str = "resnet18",
    on_step: Callable[[int, int, float], None] | None = None,
) -> Encoder:
    """Train a classifier and return its encoder.

    SGD with momentum under a one-cycle schedule, bfloat16 autocast, channels last. With the same
    number of threads on the same machine the result is the same to the bit.

    Args:
        pictures: (N, H, W, 3) uint8 sRGB.
        labels: (N,) int64 in 0 to `classes` - 1.
        classes: how many.
        epochs: passes over the pictures.
        seed: of the initial weights, the order and the crops.
        batch: pictures a step; the last, smaller batch of an epoch is left out.
        crop: side of the crops in px.
        learning_rate: the schedule's peak.
        backbone: one of `encoder.BACKBONES`.
        on_step: called after each step with its number from 1, the number of steps and the loss.

    Raises:
        FsslibError: fewer pictures than one batch, or a loss that is not finite.
    """
    if len(pictures) < batch:
        raise FsslibError(f"batch={batch} needs as many pictures, found {len(pictures)}: render more")
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
            images = crop_and_flip(pictures[rows].permute(0, 3, 1, 2), crop, generator)
            images = normalise(images).contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16):
                scores = model(images)
            loss = cross_entropy(scores.float(), labels[rows], label_smoothing=0.05)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            done += 1
            value = float(loss.detach())
            if value != value or value == float("inf"):
                raise FsslibError(f"the loss is {value} at step {done}: lower the learning rate")
            if on_step is not None:
                on_step(done, steps, value)
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
