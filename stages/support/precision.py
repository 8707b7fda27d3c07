"""Resolves `precision: auto` for this run's device, and warns if bfloat16 is slow on it."""

from fsslib.encoders.running import Precision, choose_device, choose_precision
from fsslib.ranks import read_ranks

from .common import say
from .param_types import PrecisionName
from .params import Runtime


def run_precision(name: PrecisionName, runtime: Runtime, key: str = "precision") -> Precision:
    """The precision to compute in; file headers and scratch keys name it, never `auto`."""
    if name == "float32":
        return name
    device = choose_device(runtime.device)
    slow = device.type == "cpu" and choose_precision("auto", device) == "float32"
    if name == "bfloat16" and slow and read_ranks().leads:
        say(
            f"{key}: bfloat16 is not computed by this CPU and takes about 15 times as long as "
            f"float32: set {key} to auto"
        )
    return choose_precision(name, device)
