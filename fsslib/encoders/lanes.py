"""How batches get to the device and back: copies that overlap with what runs there."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Arrays = tuple[npt.NDArray[Any], ...]


class Lane:
    """Sends arrays to a device and fetches tensors from it; on a CPU there is nothing to do.

    On a GPU, arrays are stacked in pinned memory, and copies run in streams of their own. Nothing
    here waits for the GPU, except the function that `fetch` returns.
    """

    def __init__(self, device: torch.device) -> None:
        self.device, self._gpu = device, device.type == "cuda"
        if self._gpu:
            self._up, self._down = torch.cuda.Stream(device), torch.cuda.Stream(device)

    def chosen(self) -> torch.cuda.device:
        """A context in which the lane's GPU is the current one: threads begin with the first."""
        index = self.device.index
        return torch.cuda.device(index if self._gpu and index is not None else -1)

    def stage(self, arrays: Sequence[npt.NDArray[Any]]) -> Tensor:
        """Stack arrays of one shape and type in memory from which they can be sent: (B, ...)."""
        kind = torch.from_numpy(np.empty(0, arrays[0].dtype)).dtype
        shape = (len(arrays), *arrays[0].shape)
        with self.chosen():
            staged = torch.empty(shape, dtype=kind, pin_memory=self._gpu)
        np.stack(arrays, out=staged.numpy())
        return staged

    def send(self, staged: Sequence[Tensor]) -> list[Tensor]:
        """Copy staged tensors to the device; what is launched afterwards waits for them."""
        if not self._gpu:
            return list(staged)
        current = torch.cuda.current_stream(self.device)
        with torch.cuda.stream(self._up):
            sent = [tensor.to(self.device, non_blocking=True) for tensor in staged]
        current.wait_stream(self._up)
        for tensor in sent:
            tensor.record_stream(current)  # its memory is not used again before that is done
        return sent

    def fetch(self, tensors: Sequence[Tensor]) -> Callable[[], Arrays]:
        """Begin to copy tensors back; the returned function waits for them and gives arrays.

        Tensors on the CPU stay as they are.
        """
        if not self._gpu:
            here = tuple(tensor.numpy() for tensor in tensors)
            return lambda: here
        self._down.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self._down):
            hosts = [self._begin(tensor) for tensor in tensors]
            done = torch.cuda.Event(blocking=True)
            done.record(self._down)

        def wait() -> Arrays:
            done.synchronize()
            return tuple(host.numpy() for host in hosts)

        return wait

    def _begin(self, tensor: Tensor) -> Tensor:
        """Begin to copy one tensor, unless it is here already."""
        if tensor.device.type == "cpu":
            return tensor
        host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        host.copy_(tensor, non_blocking=True)
        tensor.record_stream(self._down)
        return host
