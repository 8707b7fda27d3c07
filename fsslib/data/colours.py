"""Colour changes of SimCLR's strong augmentation (section 4.1, after [5]).

Drawing the random values and applying them are separate steps. A worker applies them to one image
with torchvision. A GPU applies them to a whole batch in a few kernel launches, because it would
wait for Python if images came one by one. The two results differ only by rounding.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad
from torchvision.transforms.v2 import functional as tv

JITTER = (("brightness", 0.8), ("contrast", 0.8), ("saturation", 0.8))
HUE = 0.2
JITTER_PROBABILITY, GRAY_PROBABILITY, BLUR_PROBABILITY = 0.8, 0.2, 0.5
BLUR_SIGMA = (0.1, 2.0)


@dataclass(frozen=True)
class Colours:
    """Colour changes of one image.

    Attributes:
        adjustments: ("brightness", "contrast" or "saturation", factor) or ("hue", turns), in order.
        gray: whether to convert to grayscale.
        blur: standard deviation of a Gaussian blur in px, None for no blur.
    """

    adjustments: tuple[tuple[str, float], ...]
    gray: bool
    blur: float | None

    def apply(self, image: Tensor) -> Tensor:
        """Apply the changes to an image, (3, H, W) uint8 -> the same."""
        for name, amount in self.adjustments:
            image = getattr(tv, f"adjust_{name}")(image, amount)
        if self.gray:
            image = tv.rgb_to_grayscale(image, num_output_channels=3)
        if self.blur is not None:
            side = 2 * _reach(self.blur, image) + 1
            image = tv.gaussian_blur(image, [side, side], [self.blur, self.blur])
        return image


def draw_colours(rng: np.random.Generator) -> Colours:
    """Draw colour jitter in random order, grayscale and Gaussian blur, as often as SimCLR does."""
    adjustments: list[tuple[str, float]] = []
    if rng.random() < JITTER_PROBABILITY:
        for name, strength in JITTER:
            adjustments.append((name, float(rng.uniform(1 - strength, 1 + strength))))
        adjustments.append(("hue", float(rng.uniform(-HUE, HUE))))
        adjustments = [adjustments[number] for number in rng.permutation(len(adjustments))]
    gray = bool(rng.random() < GRAY_PROBABILITY)
    blur = float(rng.uniform(*BLUR_SIGMA)) if rng.random() < BLUR_PROBABILITY else None
    return Colours(tuple(adjustments), gray, blur)


def apply_together(images: Tensor, colours: Sequence[Colours]) -> Tensor:
    """Apply `Colours` to a whole batch at once, (n, 3, H, W) uint8 -> the same.

    Values differ from those of `Colours.apply` by at most one level, rarely by two where an
    adjustment enlarges the difference.
    """
    images = images.clone()

    def change(which: Sequence[int], do: Callable[[Tensor], Tensor]) -> None:
        if which:
            chosen = _sent(which, images)
            images[chosen] = do(images[chosen].float()).to(torch.uint8)

    for place in range(len(JITTER) + 1):
        for name, adjust in _ADJUST.items():
            found = {
                i: c.adjustments[place][1]
                for i, c in enumerate(colours)
                if c.adjustments and c.adjustments[place][0] == name
            }
            amounts = _sent(list(found.values()), images).view(-1, 1, 1, 1)
            change(list(found), lambda x, f=adjust, a=amounts: f(x, a))  # type: ignore[misc]
    change([i for i, c in enumerate(colours) if c.gray], lambda x: _gray(x).expand_as(x))
    blurs = {i: c.blur for i, c in enumerate(colours) if c.blur is not None}
    change(list(blurs), lambda x: _blurred(x, list(blurs.values())))
    return images


def _sent(values: Sequence[float], to: Tensor) -> Tensor:
    """Copy values to the device of `to`, without waiting for a GPU's pending work."""
    here = torch.tensor(values)
    return here.pin_memory().to(to.device, non_blocking=True) if to.is_cuda else here


def _gray(x: Tensor) -> Tensor:
    red, green, blue = x.unbind(1)
    return (0.2989 * red + 0.587 * green + 0.114 * blue).floor().unsqueeze(1)


def _blend(x: Tensor, other: Tensor | float, share: Tensor) -> Tensor:
    return (x * share + other * (1 - share)).clamp(0, 255)


def _turned(x: Tensor, turns: Tensor) -> Tensor:
    """Rotate the hue in HSV; value and saturation stay the same."""
    x = x / 255
    red, green, blue = x.unbind(1)
    value, low = x.amax(1), x.amin(1)
    chroma = value - low
    safe = torch.where(chroma > 0, chroma, 1)
    last = torch.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe)
    sixths = torch.where(value == red, (green - blue) / safe, last)
    offsets = _sent([5.0, 3.0, 1.0], x).view(1, 3, 1, 1)
    k = (offsets + sixths.unsqueeze(1) + 6 * turns) % 6
    out = value.unsqueeze(1) - chroma.unsqueeze(1) * torch.minimum(k, 4 - k).clamp(0, 1)
    return out * (256 - 1e-3)  # torchvision's conversion to 0..255


_ADJUST: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "brightness": lambda x, factor: _blend(x, 0.0, factor),
    "contrast": lambda x, factor: _blend(x, _gray(x).mean((1, 2, 3), keepdim=True), factor),
    "saturation": lambda x, factor: _blend(x, _gray(x), factor),
    "hue": _turned,
}


def _reach(sigma: float, image: Tensor) -> int:
    """Half width of a blur kernel in px.

    Three standard deviations hold 99.7 % of the weight. SimCLR's kernel, a tenth of the image, only
    adds values close to zero.
    """
    return min(int(np.ceil(3 * sigma)), (min(image.shape[-2:]) - 1) // 2)


def _blurred(x: Tensor, sigmas: Sequence[float]) -> Tensor:
    """Gaussian blur of (n, 3, H, W), one standard deviation per image, in two 1D passes."""
    reaches = [_reach(sigma, x) for sigma in sigmas]
    most = max(reaches)
    away = torch.arange(-most, most + 1, device=x.device)
    sigma, reach = (_sent(values, x).view(-1, 1) for values in (sigmas, reaches))
    kernels = torch.exp(-0.5 * (away / sigma) ** 2) * (away.abs() <= reach)
    kernels = (kernels / kernels.sum(1, keepdim=True)).repeat_interleave(3, 0)[:, None, None]
    count, _, height, width = x.shape
    flat = pad(x, [most] * 4, mode="reflect").view(1, 3 * count, height + 2 * most, -1)
    flat = conv2d(flat, kernels, groups=3 * count)
    flat = conv2d(flat, kernels.transpose(2, 3), groups=3 * count)
    return flat.view(count, 3, height, width).round()
