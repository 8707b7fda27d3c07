"""What PASCAL, COCO and a million images cost: bytes, hours, and DVC's own overhead.

    python -m benchmarks.scale

Bytes come from the stages' own estimates. Hours are images divided by the encoder's measured rate
on this machine, two images at a time, random weights. What grows with the number of files is
measured at full size with small contents: opening the pseudo-masks of a million images, and DVC's
commands on as many containers. Hashing is measured on 1 GB. The last line is one JSON object.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

import stages  # noqa: F401 - the process settings of the commands
from benchmarks.parts import Json, timed
from fsslib.encoders.build import feature_shape
from fsslib.encoders.resnet import ResNet
from fsslib.encoders.running import Precision, make_encode, map_ordered, one_thread_each
from fsslib.mining import extraction
from fsslib.mining import pseudo_masks as annotate
from fsslib.mining.pseudo_masks import PseudoMasks, encode_png, write_masks
from fsslib.rectification import index_building as region_index

POOLS = {"pascal": (10_582, 375, 500), "coco": (82_081, 480, 640), "million": (1_000_000, 480, 640)}
"""Images, and a usual height and width in px."""
SHARD = 256
"""Images a file, `shard_images`."""
VALUES, REGIONS = 3, 5
"""Mask values and mined regions of an image."""


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=12, help="encoded to measure a rate")
    parser.add_argument("--containers", type=int, default=3907, help="files of 256 images each")
    parser.add_argument("--backbones", nargs="*", default=["resnet18", "resnet50", "resnet101"])
    return parser.parse_args()


def sizes(pool: str, backbone: str) -> Json:
    """GB that each step writes."""
    images, height, width = POOLS[pool]
    channels, stride = feature_shape(backbone)
    found = {
        f"extract_{dtype}": images
        * extraction.stored_bytes([(height, width, VALUES)], channels, stride, dtype)
        for dtype in ("int8", "float16", None)
    }
    found["annotate"] = annotate.stored_bytes(images * height * width)
    found["index"] = region_index.stored_bytes(images, REGIONS * images, channels)
    return {name: round(number / 1e9, 2) for name, number in found.items()}


def rate(backbone: str, precision: Precision, count: int) -> float:
    """Photographs of 480 x 640 px a second, two at a time."""
    one_thread_each()
    encode = make_encode(ResNet(backbone), torch.device("cpu"), precision)
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3)).astype(np.uint8)
    for _ in map_ordered(encode, [image] * 2, 2):
        pass
    return count / timed(lambda: list(map_ordered(lambda i: encode(i).shape, [image] * count, 2)))


def pseudo_masks(folder: Path, containers: int) -> Json:
    """Seconds to write, open and read tiny masks of `containers` files."""
    png = encode_png(np.zeros((8, 8), np.uint8))

    def write() -> None:
        for number in range(containers):
            names = (f"{number * SHARD + i:012d}" for i in range(SHARD))
            write_masks(folder / f"{number:05d}.zip", ((name, png) for name in names))

    written = timed(write)
    opened: list[PseudoMasks] = []
    seconds = timed(lambda: opened.append(PseudoMasks(folder)))
    chosen = np.random.default_rng(0).integers(0, containers * SHARD, 1000)
    reads = timed(lambda: [opened[0].read(f"{i:012d}") for i in chosen])
    return {
        "write_seconds": round(written, 1),
        "open_seconds": round(seconds, 1),
        "random_read_ms": round(reads, 2),
    }


def dvc(folder: Path, containers: int) -> Json:
    """Seconds of DVC's commands on a folder of `containers` files, and its hashing rate."""
    binary = str(Path(sys.executable).parent / "dvc")

    def run(*words: str) -> float:
        command = [binary if words[0] == "dvc" else words[0], *words[1:]]
        return timed(
            lambda: subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        )

    run("git", "init", "-q")
    run("dvc", "init", "-q")
    run("dvc", "config", "cache.type", "reflink,hardlink,symlink,copy")
    data, big = folder / "data", folder / "big"
    data.mkdir()
    rng = np.random.default_rng(0)
    for number in range(containers):
        (data / f"{number:05d}.h5").write_bytes(rng.bytes(4096))
    found = {"nothing": run("dvc", "status", "-q"), "add": run("dvc", "add", "-q", "data")}
    found["status"] = run("dvc", "status", "-q")
    shutil.rmtree(data)
    found["checkout"] = run("dvc", "checkout", "-q")
    big.mkdir()
    for number in range(16):
        (big / f"{number}").write_bytes(rng.bytes(1 << 26))
    found["add_1_gb"] = run("dvc", "add", "-q", "big")
    return {name: round(seconds, 2) for name, seconds in found.items()}


def main() -> None:
    args = parse()
    out: Json = {"gb": {p: {b: sizes(p, b) for b in args.backbones} for p in POOLS}}
    for pool, by_backbone in out["gb"].items():
        for backbone, row in by_backbone.items():
            print(f"{pool:8s} {backbone:10s} GB {row}")
    out["images_per_second"] = {
        backbone: {p: round(rate(backbone, p, args.images), 2) for p in ("float32", "bfloat16")}
        for backbone in args.backbones
    }
    for backbone, rates in out["images_per_second"].items():
        hours = {
            pool: {p: round(images / r / 3600, 1) for p, r in rates.items()}
            for pool, (images, _, _) in POOLS.items()
        }
        print(f"{backbone:10s} images a second {rates}, hours of one pass {hours}")
    with tempfile.TemporaryDirectory() as folder:
        out["pseudo_masks"] = pseudo_masks(Path(folder), args.containers)
        print(f"pseudo-masks in {args.containers} files: {out['pseudo_masks']}")
    with tempfile.TemporaryDirectory() as folder:
        out["dvc"] = dvc(Path(folder), args.containers)
        print(f"dvc on {args.containers} files: {out['dvc']}")
    print(json.dumps(out))


if __name__ == "__main__":
    main()
