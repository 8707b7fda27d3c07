"""How photographs get to the encoder in this run: `runtime.batch` and `runtime.workers`."""

import multiprocessing

from fsslib.encoders.running import PhotographEncoder
from fsslib.encoders.work import Feeding

from .common import say
from .params import Runtime
from .workers import count_workers


def make_feeding(encode: PhotographEncoder, runtime: Runtime) -> Feeding:
    """Take photographs one by one on a CPU, and in batches on a GPU or if `batch` is a number.

    On a GPU, workers are processes where the system can fork.
    """
    gpu = encode.device.type == "cuda"
    return Feeding(
        encode,
        None if runtime.batch == "auto" else runtime.batch,
        count_workers(runtime, gpu),
        processes=gpu and "fork" in multiprocessing.get_all_start_methods(),
        told=say,
    )
