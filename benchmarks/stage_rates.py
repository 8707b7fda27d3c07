"""Photographs a second of the commands that encode, beside those of the bare encoder.

    python -m benchmarks.gpu --parts extract annotate index evaluate predict    # on a GPU
    python -m benchmarks.stage_rates --root data/voc-sample --images 1000       # without one

The commands run in this process, on a part of the VOC sample that is repeated under other names.
Their time is that of the passes, from starting the workers until all is written. The bare encoder
gets full batches of the sample's most common size, from the GPU's memory, and its rate is scaled to
the sample's mean number of pixels. `NAME_efficiency` is the ratio of both rates.

Without a GPU, the encoder is replaced by one that sleeps: `--launch` ms a batch and `--each` ms a
photograph. Workers are processes and batches are large, as on a GPU, so what is measured is whether
the commands keep a GPU of that rate busy on this machine's cores. `cpu_ms_per_image` is the CPU
time of the whole command, start-up included: on other work's cores it says more than the clock.
"""

import argparse
import importlib
import json
import os
import resource
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner

import stages  # noqa: F401 - the process settings of the commands
from benchmarks.effect import SAMPLE, write_params
from benchmarks.parts import Json, timed
from fsslib.encoders.build import build_encoder
from fsslib.encoders.running import PhotographEncoder, make_encode
from fsslib.encoders.weights import load_weights
from fsslib.encoders.work import Feeding, Tally

STAGES = ("extract", "annotate", "index", "evaluate", "predict")
BACKBONES = ("resnet18", "resnet50")
ENCODING = ("stages.support.encoders", "stages.support.trained", "fsslib.prediction.segmenter")
"""Modules that make encoders."""

FOLD = 2
KEPT = 1000
"""Photographs whose features are kept, since a thousand of ResNet-50 take 3 GB."""

SETTINGS: Json = {
    "dataset": "pascal",
    "weights": "random",
    "folds": [FOLD],
    "precision": "bfloat16",
    "dense_features": False,
    "kmeans": "minibatch",
    "rectify_fg": False,
    "training.iterations": 1,
    "training.pairs": 1,
    "training.pool_images": 2,
    "training.crop": 64,
    "training.min_pixels": 16,
    "training.picture_every": 0,
    "min_pixels": 16,
    "shots": [1],
    "seeds": [0],
}


class Sleeper(PhotographEncoder):
    """Takes the time of a GPU and none of this machine's; features are noise."""

    def __init__(self, channels: int, launch: float, each: float) -> None:
        self.device, self.long_side = torch.device("cpu"), None
        self._launch, self._each = launch / 1000, each / 1000
        self._noise = torch.randn(64, channels, 4, 4)

    def encode(self, pixels: Tensor) -> Tensor:
        """Sleep, which lets other threads run as waiting for a GPU does."""
        time.sleep(self._launch + self._each * len(pixels))
        return self._noise[: len(pixels)]

    def rate(self, batch: int) -> float:
        """Photographs a second of full batches."""
        return batch / (self._launch + self._each * batch)

    def __call__(self, image: np.ndarray) -> Tensor:
        """One photograph."""
        return self.encode(torch.from_numpy(image[None].copy()))[0]


def repeat_sample(root: Path, out: Path, photographs: int, images: int, side: int | None) -> None:
    """Make a dataset of `images` training and as many validation photographs, by hard links."""
    ids = (root / "ImageSets" / "train.txt").read_text().split()[:photographs]
    kinds = (("JPEGImages", "jpg"), ("SegmentationClass", "png"))
    for folder, suffix in kinds:
        (out / "once" / folder).mkdir(parents=True)
        (out / folder).mkdir()
        for name in ids:
            source = root / folder / f"{name}.{suffix}"
            target = out / "once" / folder / source.name
            shutil.copy(source, target)
            if side is not None:
                shrink(target, side)
    (out / "ImageSets").mkdir()
    for split in ("train", "val"):
        names = [f"{split}{n // len(ids):04d}_{ids[n % len(ids)]}" for n in range(images)]
        for folder, suffix in kinds:
            for name in names:
                source = out / "once" / folder / f"{name.partition('_')[2]}.{suffix}"
                os.link(source, out / folder / f"{name}.{suffix}")
        (out / "ImageSets" / f"{split}.txt").write_text("\n".join(names) + "\n")
    shutil.rmtree(out / "once")


def shrink(path: Path, side: int) -> None:
    """Scale a photograph or a mask down, in place."""
    with Image.open(path) as image:
        scale = side / max(image.size)
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        how = Image.Resampling.BILINEAR if path.suffix == ".jpg" else Image.Resampling.NEAREST
        image.resize(size, how).save(path)


@contextmanager
def watched(sleeper: Sleeper | None, batch: int) -> Iterator[list[Tally]]:
    """Collect the tallies of all passes; with a sleeper, make it the encoder of all commands."""
    tallies: list[Tally] = []

    def make(*args: Any, **options: Any) -> Feeding:  # noqa: ANN401
        tallies.append(Tally())
        if sleeper is not None:
            args = (args[0], batch, *args[2:])
            options["processes"] = True
        return Feeding(*args, **{**options, "tally": tallies[-1]})

    with mock.patch("stages.support.feeding.Feeding", make):
        if sleeper is None:
            yield tallies
            return
        with ExitStack() as patches:
            for place in ENCODING:
                patches.enter_context(mock.patch(f"{place}.make_encode", return_value=sleeper))
            yield tallies


def run(stage: str, *arguments: str) -> None:
    """A command in this process."""
    module = f"stages.tools.{stage}" if stage == "predict" else f"stages.{stage}"
    result = CliRunner().invoke(importlib.import_module(module).app, list(arguments))
    if result.exit_code:
        raise SystemExit(f"{stage} failed: {result.output} {result.exception!r}")


def cpu_seconds() -> float:
    """Of this process and of the workers that have ended."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def measured(tallies: list[Tally], call: Callable[[], None]) -> Json:
    """What a command's passes did."""
    tallies.clear()
    before = cpu_seconds()
    call()
    spent = cpu_seconds() - before
    done = [tally for tally in tallies if tally.batches]
    sizes = [size for tally in done for size in tally.batches]
    return {
        "images_per_second": round(sum(sizes) / sum(tally.seconds for tally in done), 1),
        "cpu_ms_per_image": round(1000 * spent / sum(sizes), 2),
        "mean_batch": round(float(np.mean(sizes)), 1),
        "most_held": max(tally.most_held for tally in done),
        "most_waiting": max(tally.most_waiting for tally in done),
    }


def bare_rate(encode: PhotographEncoder, sizes: Counter[tuple[int, int]], batch: int) -> float:
    """Photographs a second of full batches, at the sample's mean number of pixels."""
    if isinstance(encode, Sleeper):
        return encode.rate(batch)
    (height, width), _ = sizes.most_common(1)[0]
    mean = sum(h * w * n for (h, w), n in sizes.items()) / sizes.total()
    pixels = torch.randint(0, 256, (batch, height, width, 3), dtype=torch.uint8).to(encode.device)

    def passes(count: int) -> None:
        for _ in range(count):
            encode.encode(pixels)
        if encode.device.type == "cuda":
            torch.cuda.synchronize()

    passes(5)
    return 40 * batch / timed(lambda: passes(40)) * height * width / mean


def one_backbone(backbone: str, parts: Sequence[str], sleeper: Sleeper | None, batch: int) -> Json:
    """Rates of the commands in this folder, a project whose `prepare` has run."""
    manifest = json.loads(Path("data/prepare/manifest.json").read_text())
    sizes = Counter(tuple(record["size"]) for record in manifest["train"])
    encoder = build_encoder(backbone)
    load_weights(encoder, "random", 0)
    device = torch.device("cuda" if sleeper is None else "cpu")
    bares = {
        p: bare_rate(sleeper or make_encode(encoder, device, p), sizes, batch)
        for p in ("bfloat16", "float32")
    }
    found: Json = {f"bare_{p}": round(rate, 1) for p, rate in bares.items()}
    root, fold = Path("photographs"), ("--fold", str(FOLD))
    first = manifest["train"][0]
    query = sorted(p for p in Path("photographs/JPEGImages").glob("train*"))
    support = str(root / first["image"]), str(root / first["mask"])
    folder = Path("queries")
    if "predict" in parts and not folder.exists():
        folder.mkdir()
        for path in query:
            os.link(path, folder / path.name)
    commands: dict[str, Callable[[], None]] = {
        "extract": lambda: run("extract"),
        "collect": lambda: run("collect"),
        "cluster": lambda: run("cluster", *fold),
        # Without the features that `extract` keeps, every pool image is encoded.
        "annotate": lambda: run("annotate", *fold),
        "train": lambda: run("train", *fold),
        "index": lambda: run("index", *fold),
        "episodes": lambda: run("episodes", *fold),
        "evaluate": lambda: run("evaluate", *fold),
        "predict": lambda: run(
            *("predict", "--model", f"data/train/{FOLD}", "--support", *support),
            *("--query", str(folder), "--out", "found"),
        ),
    }
    with watched(sleeper, batch) as tallies:
        for name, call in commands.items():
            if name not in STAGES:
                call()
            elif name in parts or name != "predict":
                rates = measured(tallies, call)
                bare = bares["float32" if name == "predict" else "bfloat16"]
                rates["efficiency"] = round(rates["images_per_second"] / bare, 3)
                found[name] = rates
                print(backbone, name, rates, flush=True)
    return found


def kept_features(backbone: str, sleeper: Sleeper | None, batch: int, bare: float) -> Json:
    """Rate of `extract` where int8 features are kept."""
    with watched(sleeper, batch) as tallies:
        rates = measured(tallies, lambda: run("extract"))
    rates["efficiency"] = round(rates["images_per_second"] / bare, 3)
    print(backbone, "extract, int8 kept", rates, flush=True)
    return rates


def stage_rates(
    out: Path,
    root: Path,
    parts: Sequence[str],
    photographs: int,
    images: int,
    sleep: tuple[float, float] | None = None,
    batch: int = 64,
    side: int | None = None,
) -> Json:
    """Rates of all parts for each backbone, and NAME_efficiency by backbone."""
    data, here = out.resolve() / "photographs", Path.cwd()
    repeat_sample(root, data, photographs, images, side)
    found: Json = {}
    backbones = BACKBONES if sleep is None else BACKBONES[:1]
    for number, (backbone, kept) in enumerate((b, k) for b in backbones for k in (False, True)):
        project = out.resolve() / f"{backbone}{'-kept' if kept else ''}"
        project.mkdir()
        (project / "photographs").symlink_to(data)
        count = min(images, KEPT) if kept else images
        changes = {"data_root": "photographs", "backbone": backbone, "episodes": count}
        if kept:
            changes |= {"dense_features": True}
        write_params(project, {**SETTINGS, **changes})
        os.chdir(project)
        try:
            sleeper = None if sleep is None else Sleeper(*(256, *sleep))
            if kept:
                shorten(data, count)
            elif number:
                restore(data)
            run("prepare")
            if kept:
                bare = found[backbone]["bare_bfloat16"]
                found[backbone]["extract_int8"] = kept_features(backbone, sleeper, batch, bare)
            else:
                found[backbone] = one_backbone(backbone, parts, sleeper, batch)
        finally:
            os.chdir(here)
    for part in (*parts, *(["extract_int8"] if "extract" in parts else [])):
        found[f"{part}_efficiency"] = {b: found[b][part]["efficiency"] for b in backbones}
    return found


def shorten(data: Path, count: int) -> None:
    """Leave the first photographs of both lists."""
    for split in ("train", "val"):
        path = data / "ImageSets" / f"{split}.txt"
        shutil.copy(path, path.with_suffix(".all"))
        path.write_text("\n".join(path.read_text().split()[:count]) + "\n")


def restore(data: Path) -> None:
    """Undo `shorten`."""
    for split in ("train", "val"):
        path = data / "ImageSets" / f"{split}.txt"
        path.with_suffix(".all").replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=SAMPLE)
    parser.add_argument("--parts", nargs="*", default=STAGES, choices=STAGES)
    parser.add_argument("--photographs", type=int, default=100)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--side", type=int, default=64, help="px: photographs are scaled down")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--launch", type=float, default=1.0, help="ms a batch")
    parser.add_argument("--each", type=float, default=4.0, help="ms a photograph")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = stage_rates(
            *(Path(folder), args.root, args.parts, args.photographs, args.images),
            *((args.launch, args.each), args.batch, args.side),
        )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
