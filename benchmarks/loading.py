"""Whether decoding and augmenting keep up with training: seconds a step of both.

    python -m benchmarks.loading --root data/voc-sample

One process loads (training has `runtime.workers` of them beside it) and one thread trains, so the
ratio is that of a worker to a core. Pool masks are the annotated ones: their content costs nothing.
The last line is one JSON object; `loading_share` below 1 means that one worker is enough.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch

import stages  # noqa: F401 - the process settings of the commands
from fsslib.data.batches import BatchPlan, StepBatches
from fsslib.data.images import UInt8, read_mask
from fsslib.data.pool import PoolImage
from fsslib.datasets.scan import load_dataset
from fsslib.encoders.resnet import ResNet
from fsslib.experiments.presets import preset_values
from fsslib.training.trainer import Trainer, TrainSettings


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="dataset in VOC layout")
    parser.add_argument("--preset", default="voc-sample", help="size of batch and crop")
    parser.add_argument("--steps", type=int, default=5, help="timed, after one to warm up")
    return parser.parse_args()


def batches_of(args: argparse.Namespace) -> StepBatches:
    values = preset_values(args.preset)
    t = {key.removeprefix("training."): v for key, v in values.items() if "training." in key}
    plan = BatchPlan(
        t["pairs"],
        t["shot"],
        t["pool_images"],
        t["crop"],
        t["min_pixels"],
        (t["scale_min"], t["scale_max"]),
        0,
        values["long_side"],
    )
    manifest = load_dataset("pascal", args.root, 1, lambda *_: None, None, "contiguous")
    masks = {r.id: manifest.mask_path(r) for r in manifest.train}
    pool = [PoolImage(r.id, manifest.image_path(r)) for r in manifest.labelled(2)]

    def pseudo(image_id: str) -> UInt8:
        return read_mask(masks[image_id]) % 6

    return StepBatches(manifest, 2, plan, 1000, pool, pseudo)


def seconds(work: Callable[[int], object], steps: int) -> float:
    """Mean of some steps after the first."""
    work(0)
    started = time.perf_counter()
    for step in range(1, steps + 1):
        work(step)
    return (time.perf_counter() - started) / steps


def main() -> None:
    args = parse()
    torch.set_num_threads(1)
    batches = batches_of(args)
    loading = seconds(lambda step: batches[step], args.steps)
    settings = TrainSettings(1000, 1e-3, 1e-2, 0.9, 5e-4, 0.99, 0.99, 0.9, 20, 1, "float32", 0)
    trainer = Trainer(ResNet("resnet18"), 6, settings, torch.device("cpu"))
    ready = [batches[step] for step in range(args.steps + 1)]
    training = seconds(lambda step: trainer.step(ready[step]), args.steps)
    found = {
        "loading_seconds": round(loading, 3),
        "training_seconds": round(training, 3),
        "loading_share": round(loading / training, 3),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
