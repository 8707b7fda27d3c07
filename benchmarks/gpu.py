"""What only a GPU can tell, in one command, with the hardware's name beside every number.

    python -m benchmarks.gpu --out /tmp/gpu

One training step against the released baseline's arithmetic (ResNet-50, 473 px, 4 pairs), images
a second of `extract`, and the VOC sample at the paper's batch, crop and 6000 iterations: images a
second of training, the GPU's utilisation and the mIoU. The last line is one JSON object.
"""

import argparse
import json
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from benchmarks import effect

Json = dict[str, Any]

PAPER: Json = {
    "long_side": "null",
    "training.iterations": "6000",
    "training.lr_steps": "null",
    "training.crop": "473",
    "training.scale_min": "1.0",
    "training.scale_max": "1.0",
    "training.pairs": "4",
    "training.pool_images": "32",
    "training.precision": "bfloat16",
    "training.checkpoint": "500",
    "m": "0.999",
    "precision": "bfloat16",
    "runtime.device": "cuda",
}
"""Section 4.1, on the sample of `effect`."""


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for everything made here")
    parser.add_argument("--root", type=Path, default=effect.REAL / "voc")
    parser.add_argument(
        "--weights",
        type=Path,
        default=effect.REAL / "weights" / "resnet18-imagenet-to-layer3.pth",
    )
    parser.add_argument("--folds", nargs="*", default=["2"])
    parser.add_argument("--seeds", nargs="*", default=["0"])
    parser.add_argument("--iterations", default=PAPER["training.iterations"])
    parser.add_argument("--workers", default="8", help="processes that decode")
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


def main() -> None:
    args = parse()
    if not torch.cuda.is_available():
        raise SystemExit("no CUDA device is there: run this where one is")
    step = last_json(
        *("benchmarks.training", "--device", "cuda", "--sizes", "473", "--pairs", "4"),
        *("--steps", "20"),
    )
    watch = Utilisation()
    watch.start()
    changes = {
        **PAPER,
        "training.iterations": args.iterations,
        "runtime.workers": args.workers,
    }
    gains = last_json(
        *("benchmarks.effect", "--out", str(args.out), "--jobs", "1"),
        *("--root", str(args.root), "--weights", str(args.weights)),
        *("--folds", *args.folds, "--seeds", *args.seeds),
        *("--set", *(f"{key}={value}" for key, value in changes.items())),
    )
    result = {
        "device": torch.cuda.get_device_name(),
        "step": step,
        **rates((args.out / "log.txt").read_text()),
        "utilisation_percent": round(mean(watch.percent)) if watch.percent else None,
        "effect": gains,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
