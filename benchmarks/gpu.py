"""What only a GPU can tell, in one command, with the hardware's name beside every number.

    python -m benchmarks.gpu --out /tmp/gpu
    python -m benchmarks.gpu --out /tmp/gpu --parts step joint encode

Parts: `step`, one training step against the released baseline's arithmetic (ResNet-50, 473 px, 4
pairs); `joint`, one at the paper's batch (4 pairs + 32 pool images, noise); `encode`, photographs
of 480 x 640 px a second of each encoder; `effect`, the VOC sample at the paper's batch, crop, rates
and 6000 iterations: images a second of `extract` and of training, the GPU's utilisation and the
mIoU; `extract`, `annotate`, `index`, `evaluate`, `predict`, photographs a second of these commands,
of a part of the sample that is repeated, beside those of the bare encoder in full batches
(`stage_rates`). The last line is one JSON object.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
import torch

from benchmarks import effect
from benchmarks.parts import timed
from benchmarks.stage_rates import STAGES, stage_rates
from benchmarks.training import make_batch
from fsslib.data.colours import draw_colours
from fsslib.encoders.resnet import ResNet
from fsslib.encoders.running import Precision, make_encode, map_ordered
from fsslib.training.trainer import Trainer, TrainSettings

Json = dict[str, Any]

PAPER: Json = {
    "long_side": "null",
    "training.iterations": "6000",
    "training.lr_steps": "null",
    "training.lr": "0.001",
    "training.head_lr": "0.01",
    "training.crop": "473",
    "training.scale_min": "1.0",
    "training.scale_max": "1.0",
    "training.pairs": "4",
    "training.pool_images": "32",
    "training.precision": "bfloat16",
    "training.checkpoint": "500",
    "training.picture_every": "500",
    "m": "0.999",
    "w": "0.9",
    "top_n": "4",
    "precision": "bfloat16",
    "runtime.device": "cuda",
}
"""Section 4.1, on the sample of `effect`."""

PARTS = ("step", "joint", "encode", "effect", *STAGES)
BACKBONES = ("resnet18", "resnet50", "resnet101")
GPU = torch.device("cuda")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="folder for everything made here, else removed")
    parser.add_argument("--root", type=Path, default=effect.SAMPLE)
    parser.add_argument("--weights", default="imagenet", help="a state dict, or a name")
    parser.add_argument("--folds", nargs="*", default=["2"])
    parser.add_argument("--seeds", nargs="*", default=["0"])
    parser.add_argument("--iterations", default=PAPER["training.iterations"])
    parser.add_argument("--workers", default="8", help="processes that decode")
    parser.add_argument("--jobs", default="1", help="trainings of `effect` at a time")
    parser.add_argument("--compile", action="store_true", help="the encoder of `joint`")
    parser.add_argument("--parts", nargs="*", default=PARTS, choices=PARTS)
    parser.add_argument("--photographs", type=int, default=400, help="of the sample, in STAGES")
    parser.add_argument("--images", type=int, default=6000, help="so often they are repeated")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="other settings")
    return parser.parse_args()


class Utilisation(threading.Thread):
    """Asks nvidia-smi once a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.percent: list[int] = []

    def run(self) -> None:
        """Until the process ends."""
        ask = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
        while True:
            said = subprocess.run(ask, capture_output=True, text=True).stdout.split()
            self.percent += [int(word) for word in said[:1] if word.isdigit()]
            time.sleep(1)


def last_json(*command: str) -> Json:
    """Run `python -m ...`, shown here, and read the last line it prints."""
    run = subprocess.run([sys.executable, "-m", *command], stdout=subprocess.PIPE, text=True)
    if run.returncode:
        raise SystemExit(f"{command[0]} failed: see above")
    print(run.stdout, flush=True)
    found: Json = json.loads(run.stdout.splitlines()[-1])
    return found


def rates(log: str) -> Json:
    """Images a second of extract and of each training, from the stages' own lines."""

    def last(title: str) -> list[float]:
        found: dict[str, float] = {}
        for name, rate in re.findall(rf"({title}[^:]*): \d+/\d+, ([\d.]+)(?: images)?/s", log):
            found[name] = float(rate)
        return list(found.values())

    return {
        "extract_images_per_second": last("Encoding training images"),
        "training_images_per_second": last("Training fold"),
    }


def step(args: argparse.Namespace) -> Json:
    """The step of the baseline in both ways."""
    return last_json(
        *("benchmarks.training", "--device", "cuda", "--sizes", "473", "--pairs", "4"),
        *("--steps", "20"),
    )


def joint(args: argparse.Namespace) -> Json:
    """Median seconds of a step at the paper's batch, and its memory, by backbone."""
    found = {}
    for backbone in BACKBONES:
        found[backbone] = joint_step(backbone, args.compile)
        print(backbone, found[backbone], flush=True)
    return found


def joint_step(backbone: str, compiled: bool, steps: int = 12) -> Json:
    """Of 4 pairs and 32 pool images in bfloat16, after 4 steps to warm up."""
    torch.manual_seed(0)
    generator, rng = torch.Generator().manual_seed(1), np.random.default_rng(1)
    batch = make_batch(4, 473, generator)
    pool = make_batch(32, 473, generator)
    batch["pool_images"], batch["pool_masks"] = pool["query_images"], pool["query_masks"]
    batch["pool_masks"][batch["pool_masks"] == 255] = 0
    batch["pool_colours"] = [draw_colours(rng) for _ in range(32)]
    settings = TrainSettings(
        *(1000, 1e-3, 1e-2, 0.9, 5e-4, 0.99, 0.999, 0.9, 20.0, 1.0, "bfloat16", 0),
        compile=compiled,
    )
    torch.cuda.reset_peak_memory_stats()
    trainer = Trainer(ResNet(backbone), 6, settings, GPU)
    for _ in range(4):
        trainer.step(batch)
    # A step asks for its losses, so it waits for the one before it: the rhythm is that of the GPU.
    seconds = median(timed(lambda: trainer.step(batch)) for _ in range(steps))
    return {
        "seconds": round(seconds, 4),
        "images_per_second": round(40 / seconds, 1),
        "peak_gb": round(torch.cuda.max_memory_allocated() / 1e9, 2),
    }


def encode(args: argparse.Namespace) -> Json:
    """Photographs of 480 x 640 px a second, from memory, one after the other."""
    found: Json = {}
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3)).astype(np.uint8)
    for backbone in BACKBONES:
        for precision in ("float32", "bfloat16"):
            found[f"{backbone}, {precision}"] = encoder_rate(backbone, precision, image)
    return found


def encoder_rate(backbone: str, precision: Precision, image: np.ndarray, count: int = 200) -> float:
    """Of two threads, as the stages run it."""
    one = make_encode(ResNet(backbone), GPU, precision)

    def run(images: int) -> None:
        for _ in map_ordered(one, [image] * images, 2):
            pass
        torch.cuda.synchronize()

    run(10)
    return round(count / timed(lambda: run(count)), 1)


def sample(args: argparse.Namespace) -> Json:
    """The VOC sample at the paper's size."""
    watch = Utilisation()
    watch.start()
    given = dict(pair.split("=", 1) for pair in args.set)
    changes = {
        **PAPER,
        "training.iterations": args.iterations,
        "runtime.workers": args.workers,
        **given,
    }
    gains = last_json(
        *("benchmarks.effect", "--out", str(args.out), "--jobs", args.jobs),
        *("--root", str(args.root), "--weights", str(args.weights)),
        *("--folds", *args.folds, "--seeds", *args.seeds),
        *("--set", *(f"{key}={value}" for key, value in changes.items())),
    )
    return {
        **rates((args.out / "log.txt").read_text()),
        "utilisation_percent": round(mean(watch.percent)) if watch.percent else None,
        "gains": gains,
    }


def main() -> None:
    args = parse()
    if not torch.cuda.is_available():
        raise SystemExit("no CUDA device is there: run this where one is")
    makers = {"step": step, "joint": joint, "encode": encode, "effect": sample}
    with tempfile.TemporaryDirectory() as folder:
        args.out = args.out or Path(folder)
        found: Json = {part: make(args) for part, make in makers.items() if part in args.parts}
        stages = [part for part in STAGES if part in args.parts]
        if stages:
            found |= stage_rates(args.out, args.root, stages, args.photographs, args.images)
    print(json.dumps({"device": torch.cuda.get_device_name(), **found}))


if __name__ == "__main__":
    main()
