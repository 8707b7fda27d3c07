"""Running the encoder on single photographs of any size, on a device and in a precision."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Literal, TypeVar

import torch
from torch import Tensor

from fsslib.data.images import UInt8
from fsslib.encoder import Encoder, normalise
from fsslib.errors import FsslibError

Precision = Literal["float32", "bfloat16"]
Encode = Callable[[UInt8], Tensor]

T = TypeVar("T")
R = TypeVar("R")


def choose_device(name: str) -> torch.device:
    """`auto` takes the GPU when there is one; `cuda` without one is refused."""
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise FsslibError("runtime.device: cuda, but no CUDA device is there: use auto or cpu")
    return torch.device("cuda" if name != "cpu" and available else "cpu")


def make_encode(encoder: Encoder, device: torch.device, precision: Precision) -> Encode:
    """Return a function from a photograph, (H, W, 3) uint8, to its feature, (C, h, w) float32."""
    encoder = encoder.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]

    def encode(image: UInt8) -> Tensor:
        pixels = torch.tensor(image, device=device).permute(2, 0, 1).unsqueeze(0)
        batch = normalise(pixels).contiguous(memory_format=torch.channels_last)
        with (
            torch.inference_mode(),
            torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"),
        ):
            feature: Tensor = encoder(batch)[0]
        return feature.float().contiguous()

    return encode


def map_ordered(function: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """Map in order with `workers` threads that run at most `2 * workers` items ahead.

    Decoding and convolutions release Python's lock. On a CPU whole images in parallel, one thread
    each (`one_thread_each`), beat one image on all threads: no thread ever waits for another, and
    no sum depends on how many there are.
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
    """Let torch compute each image on the thread that asked, for `map_ordered` over images."""
    torch.set_num_threads(1)
