"""Running an encoder on single photographs of any size, on a given device and precision."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Literal, TypeVar

import torch
from torch import Tensor

from fsslib.data.images import UInt8
from fsslib.data.scaling import scale_photograph
from fsslib.encoders.base import Encoder, normalise
from fsslib.errors import FsslibError

Precision = Literal["float32", "bfloat16"]
PrecisionName = Literal["auto", "float32", "bfloat16"]
Encode = Callable[[UInt8], Tensor]

T = TypeVar("T")
R = TypeVar("R")


def choose_device(name: str, local: int = 0) -> torch.device:
    """Choose the device to compute on.

    Args:
        name: `cpu`, `cuda`, or `auto` for a GPU if there is one.
        local: number of the GPU; each process on a machine uses its own (`Ranks.local`).

    Raises:
        FsslibError: the name is unknown, `cuda` is set without a GPU, or there are more processes
            than GPUs.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise FsslibError(f"device {name!r} is unknown: use auto, cpu or cuda")
    count = torch.cuda.device_count() if name != "cpu" and torch.cuda.is_available() else 0
    if name == "cuda" and not count:
        raise FsslibError("runtime.device: cuda, but no CUDA device is there: use auto or cpu")
    if not count:
        return torch.device("cpu")
    if local >= count:
        raise FsslibError(
            f"process {local + 1} on this machine has no GPU of its own, found {count}: start at "
            f"most {count} processes a machine, or set runtime.device to cpu"
        )
    return torch.device("cuda", local)


CPU_FLAGS = Path("/proc/cpuinfo")
BFLOAT16_FLAGS = {"amx_bf16", "avx512_bf16"}
"""Flags of CPUs that compute in bfloat16.

Other CPUs emulate it. With AVX2, the emulation has a fifteenth of the speed of float32.
"""


def choose_precision(name: PrecisionName, device: torch.device) -> Precision:
    """Resolve `auto` to bfloat16 if the hardware computes in it, otherwise to float32."""
    if name != "auto":
        return name
    return "bfloat16" if _computes_bfloat16(device) else "float32"


def _computes_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        with torch.cuda.device(device):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # torch's own check, _is_mkldnn_bf16_supported, is true on every CPU with AVX-512.
    try:
        flags = CPU_FLAGS.read_text(encoding="utf-8").split()
    except OSError:
        return False
    return torch.backends.mkldnn.is_available() and not BFLOAT16_FLAGS.isdisjoint(flags)


class PhotographEncoder:
    """Encodes photographs of any size, one at a time or in batches of one size.

    Args of the constructor:
        encoder: the encoder; it is moved to the device and set to `eval` mode. Its weights are
            taken as they are now.
        device: device to compute on.
        precision: precision of the forward pass.
        long_side: longer side in px to which photographs are scaled first (`scale_photograph`),
            None for their own size. Masks keep their size, since pooling and scoring map masks of
            any size to the features' grid.

    Attributes:
        device: device to compute on.
        long_side: see above.
    """

    def __init__(
        self,
        encoder: Encoder,
        device: torch.device,
        precision: Precision,
        long_side: int | None = None,
    ) -> None:
        self.device, self.long_side, self._half = device, long_side, precision == "bfloat16"
        encoder = encoder.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self._run = encoder.for_inference(torch.bfloat16 if self._half else torch.float32)

    def __call__(self, image: UInt8) -> Tensor:
        """Encode a photograph, (H, W, 3) uint8, to its feature, (C, h, w) float32."""
        pixels = torch.tensor(scale_photograph(image, self.long_side), device=self.device)
        return self.encode(pixels[None])[0].contiguous()

    def encode(self, pixels: Tensor) -> Tensor:
        """Encode scaled photographs on the device: (B, H, W, 3) uint8 -> (B, C, h, w) float32.

        Up to rounding, each has the feature that it has alone.
        """
        batch = normalise(pixels.permute(0, 3, 1, 2)).contiguous(memory_format=torch.channels_last)
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, torch.bfloat16, enabled=self._half),
        ):
            features: Tensor = self._run(batch)
        return features.float()


def make_encode(
    encoder: Encoder, device: torch.device, precision: Precision, long_side: int | None = None
) -> PhotographEncoder:
    """Return a function from a photograph, (H, W, 3) uint8, to its feature, (C, h, w) float32.

    The arguments are those of `PhotographEncoder`.
    """
    return PhotographEncoder(encoder, device, precision, long_side)


def map_ordered(function: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """Map in order with `workers` threads that run at most `2 * workers` items ahead.

    Decoding and convolutions release Python's global lock. On a CPU, several images in parallel
    with one thread each (`one_thread_each`) are faster than one image on all threads, because no
    thread waits for another. The results also do not depend on the number of threads.
    """
    if workers == 0:
        yield from map(function, items)
        return
    source = iter(items)
    with ThreadPoolExecutor(workers) as pool:
        ahead = [pool.submit(function, item) for item in islice(source, 2 * workers)]
        try:
            while ahead:
                result = ahead.pop(0).result()
                ahead.extend(pool.submit(function, item) for item in islice(source, 1))
                yield result
        finally:
            for future in ahead:
                future.cancel()


def one_thread_each() -> None:
    """Make torch compute each image on the calling thread, for `map_ordered` over images."""
    torch.set_num_threads(1)
