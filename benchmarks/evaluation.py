"""Evaluation measured: our protocol run against encoding everything again for every episode.

    python -m benchmarks.evaluation --root data/voc-sample \
        --weights imagenet

Each part runs in a process of its own, so that its peak memory is its own. The naive way is the
oracle of the tests: per-episode encoding, features upsampled to image size for each prototype. It
runs for `--naive` episodes of each number of shots and is scaled up to the protocol. `naive` runs
the encoder as published code does (plain layout); `naive, our encoder` gives it our channels-last
layout, which leaves the arithmetic alone to differ. The last line is one JSON object.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import stages  # noqa: F401 - the process settings of the commands
from benchmarks.parts import Json, named_parts, run_part, start_part, timed
from fsslib.data.manifest import Manifest
from fsslib.datasets.scan import load_dataset
from fsslib.encoders.base import Encoder, normalise
from fsslib.encoders.resnet import ResNet
from fsslib.encoders.running import Encode, Precision, make_encode, one_thread_each
from fsslib.encoders.weights import load_weights
from fsslib.evaluation.episodes import Episode, draw_episode_set
from fsslib.evaluation.protocol import (
    UNCHANGED,
    Reader,
    evaluate,
    manifest_readers,
    predict_episode,
)
from fsslib.evaluation.summary import fold_metrics
from fsslib.rectification.index import RegionIndex
from fsslib.rectification.rectify import Rectification, rectify_foreground
from tests.support.oracles import naive_episode

GB = 1 << 30


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="VOC-layout folder")
    parser.add_argument("--weights", default="random", help="state dict, or 'random'")
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--size", type=int, default=0, help="square px; 0: original resolution")
    parser.add_argument("--fold", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--episodes", type=int, default=1000, help="a seed and number of shots")
    parser.add_argument("--naive", type=int, default=30, help="naive episodes a number of shots")
    parser.add_argument("--cold-backbone", default="resnet50")
    parser.add_argument("--cold-size", type=int, default=473)
    parser.add_argument("--cold", type=int, default=5, help="cold episodes, median taken")
    parser.add_argument("--peak-episodes", type=int, default=100, help="a seed, for peak memory")
    parser.add_argument("--peak-memory-gb", type=float, default=0.25)
    parser.add_argument("--table", type=int, nargs="*", default=[100, 1000, 4000, 20000])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--skip", nargs="*", default=[], help="parts to leave out")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    return parser.parse_args()


class Setting:
    """Images, episodes and encoders of one run."""

    def __init__(self, args: argparse.Namespace, cold: bool = False) -> None:
        torch.set_num_threads(args.threads)
        self.threads = args.threads
        self.backbone = args.cold_backbone if cold else args.backbone
        self.size = args.cold_size if cold else args.size
        self.weights = "random" if cold else args.weights
        self.fold = args.fold
        self.manifest: Manifest = load_dataset("pascal", args.root)
        image, mask = manifest_readers(self.manifest)
        self.read_image: Reader = self._resized(image, Image.Resampling.BILINEAR)
        self.read_mask: Reader = self._resized(mask, Image.Resampling.NEAREST)

    def _resized(self, read: Reader, how: Image.Resampling) -> Reader:
        if not self.size:
            return read
        size = (self.size, self.size)
        return lambda i: np.asarray(Image.fromarray(read(i)).resize(size, how))

    def encoder(self) -> Encoder:
        """A fresh encoder with the weights."""
        encoder = ResNet(self.backbone)
        load_weights(encoder, self.weights)
        return encoder

    def encode(self, precision: Precision = "float32") -> Encode:
        """The encoder as the stage runs it."""
        return make_encode(self.encoder(), torch.device("cpu"), precision)

    def plain_encode(self) -> Encode:
        """The encoder as published code runs it: float32, plain memory layout."""
        encoder = self.encoder()

        def encode(image: np.ndarray) -> Tensor:
            with torch.no_grad():
                return encoder(normalise(torch.tensor(image).permute(2, 0, 1)[None]))[0]

        return encode

    def draw(self, seeds: int, count: int, shots: tuple[int, ...]) -> tuple[Episode, ...]:
        """Episodes of the fold for seeds 0 to `seeds` - 1."""
        return draw_episode_set(self.manifest, self.fold, range(seeds), count, shots).episodes

    def evaluate(
        self,
        episodes: tuple[Episode, ...],
        encode: Encode,
        rectification: Rectification = UNCHANGED,
        memory_bytes: int | None = None,
    ) -> Json:
        """Score the episodes as the stage does, an image a thread: seconds, work, metrics."""
        one_thread_each()
        started = time.perf_counter()
        result = evaluate(
            encode,
            self.read_image,
            self.read_mask,
            episodes,
            self.manifest.novel(self.fold),
            rectification,
            workers=self.threads,
            memory_bytes=memory_bytes,
        )
        return {
            "seconds": time.perf_counter() - started,
            "encode_thread_seconds": result.encode_seconds,
            "images": result.images,
            "encodings": result.encodings,
            "episodes": result.episodes,
            "metrics": fold_metrics(result.counts, self.manifest.classes),
        }


def part_protocol(
    args: argparse.Namespace, precision: Precision = "float32", memory_bytes: int | None = None
) -> Json:
    """The whole protocol, the way the stage runs it."""
    setting = Setting(args)
    episodes = setting.draw(args.seeds, args.episodes, (1, 5))
    return setting.evaluate(episodes, setting.encode(precision), memory_bytes=memory_bytes)


def part_memory(args: argparse.Namespace) -> Json:
    """The same within 1 GB."""
    return part_protocol(args, memory_bytes=GB)


def part_tight(args: argparse.Namespace) -> Json:
    """The same within an eighth of a GB: every query is encoded again."""
    return part_protocol(args, memory_bytes=GB // 8)


def part_bfloat16(args: argparse.Namespace) -> Json:
    """The same with the encoder in bfloat16."""
    return part_protocol(args, precision="bfloat16")


def part_naive(args: argparse.Namespace, plain: bool = True) -> Json:
    """Seconds an episode when everything is encoded again, by number of shots."""
    setting = Setting(args)
    encode = setting.plain_encode() if plain else setting.encode()
    result: Json = {}
    for shots in (1, 5):
        episodes = setting.draw(1, args.naive + 1, (shots,))
        first, *rest = (
            timed(lambda e=e: naive_episode(encode, setting.read_image, setting.read_mask, e))
            for e in episodes
        )
        result[f"shot{shots}"] = {"warm_up": first, "mean": float(np.mean(rest))}
    return result


def part_naive_ours(args: argparse.Namespace) -> Json:
    """The same with our encoder layout."""
    return part_naive(args, plain=False)


def part_cold(args: argparse.Namespace) -> Json:
    """One 1-shot episode with nothing cached, ours and naive in turn; medians."""
    setting = Setting(args, cold=True)
    ours, plain = setting.encode(), setting.plain_encode()
    half = setting.encode("bfloat16")
    readers = setting.read_image, setting.read_mask
    shared = args.threads
    # Ours as the stage runs it: an image a thread. The naive ways: an image on all threads.
    ways: dict[str, tuple[int, Callable[[Episode], object]]] = {
        "ours": (1, lambda e: predict_episode(ours, *readers, e, workers=shared)),
        "ours_bfloat16": (1, lambda e: predict_episode(half, *readers, e, workers=shared)),
        "naive": (shared, lambda e: naive_episode(plain, *readers, e)),
        "naive_our_encoder": (shared, lambda e: naive_episode(ours, *readers, e)),
    }
    episodes = setting.draw(1, args.cold + 1, (1,))
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for episode in episodes:
        for name, (threads, way) in ways.items():
            torch.set_num_threads(threads)
            seconds[name].append(timed(lambda way=way, e=episode: way(e)))
    return {name: float(np.median(values[1:])) for name, values in seconds.items()}


def part_peak_ours(args: argparse.Namespace) -> Json:
    """Peak memory of a protocol run in the cold setting, within `--peak-memory-gb`."""
    setting = Setting(args, cold=True)
    episodes = setting.draw(1, args.peak_episodes, (1, 5))
    budget = int(args.peak_memory_gb * GB)
    return setting.evaluate(episodes, setting.encode(), memory_bytes=budget)


def part_peak_naive(args: argparse.Namespace) -> Json:
    """Peak memory of naive episodes in the cold setting."""
    setting = Setting(args, cold=True)
    encode = setting.plain_encode()
    for episode in setting.draw(1, 2, (1,)):
        naive_episode(encode, setting.read_image, setting.read_mask, episode)
    return {}


def part_base(args: argparse.Namespace) -> Json:
    """Peak memory of the process with the encoder alone."""
    Setting(args, cold=True).encode()
    return {}


def part_table(args: argparse.Namespace) -> Json:
    """Cost by number of episodes, 1-shot, one seed."""
    setting = Setting(args)
    encode = setting.encode()
    setting.evaluate(setting.draw(1, 5, (1,)), encode)
    rows = [setting.evaluate(setting.draw(1, n, (1,)), encode) for n in args.table]
    return {"rows": [{k: v for k, v in row.items() if k != "metrics"} for row in rows]}


def synthetic_index(channels: int, images: int = 10_000, regions: int = 40_000) -> RegionIndex:
    """Random embeddings; rectification's cost does not depend on the values."""
    generator = torch.Generator().manual_seed(0)
    return RegionIndex(
        tuple(str(i) for i in range(images)),
        torch.randn(images, channels, generator=generator),
        torch.randn(regions, channels, generator=generator),
        torch.randint(images, (regions,), generator=generator).sort().values,
    )


def part_rectification(args: argparse.Namespace) -> Json:
    """The protocol with eq. 7-9 on an index of 10 000 images, and eq. 8-9 on their own."""
    setting = Setting(args)
    channels = setting.encoder().channels
    index = synthetic_index(channels)
    episodes = setting.draw(args.seeds, args.episodes, (1, 5))
    supports = {
        (i, c) for e in episodes for c, s in zip(e.class_ids, e.supports, strict=True) for i in s
    }
    prototypes = torch.randn(len(supports), channels)
    rectify_foreground(prototypes[:64], prototypes[:64], index, 4, 0.2)
    alone = timed(lambda: rectify_foreground(prototypes, prototypes, index, 4, 0.2))
    given = Rectification(torch.randn(channels), index=index)
    whole = setting.evaluate(episodes, setting.encode(), given)
    return {"supports": len(supports), "rectify_seconds": alone, "seconds": whole["seconds"]}


PARTS = named_parts(globals())


def measure(name: str) -> Json:
    """Run one part in a process of its own; its peak memory comes with its result."""
    result = start_part("benchmarks.evaluation", name)
    print(f"{name:16s} {result['peak_mb']:6.0f} MB  {_short(result)}", flush=True)
    return result


def _short(result: Json) -> str:
    numbers = {k: v for k, v in result.items() if k not in ("metrics", "peak_mb", "rows")}
    return json.dumps(numbers, default=str) if len(numbers) else ""


def scaled(args: argparse.Namespace, naive: Json) -> float:
    """Naive seconds for all episodes of the protocol."""
    return args.seeds * args.episodes * sum(naive[f"shot{n}"]["mean"] for n in (1, 5))


def main() -> None:
    args = parse()
    if args.part:
        result = run_part(PARTS[args.part], args)
        print(json.dumps(result))
        return
    got = {name: measure(name) for name in PARTS if name not in args.skip}
    print("\n episodes  images encodings  seconds    ep/s")
    for row in got.get("table", {}).get("rows", []):
        rate = row["episodes"] / row["seconds"]
        print(
            f"{row['episodes']:9d} {row['images']:7d} {row['encodings']:9d} "
            f"{row['seconds']:8.2f} {rate:7.1f}"
        )
    print(json.dumps(ratios(args, got)))


def ratios(args: argparse.Namespace, got: dict[str, Json]) -> Json:
    """The targets of the project, naive over ours; what was skipped is left out."""
    out: Json = {"cpu_threads": args.threads, "naive_episodes": args.naive}
    ours = got.get("protocol")
    if ours:
        out["encodings_ratio"] = args.seeds * args.episodes * (2 + 6) / ours["encodings"]
        for name, key in (("naive", "wall_ratio"), ("naive_ours", "wall_ratio_our_encoder")):
            if name in got:
                out[key] = scaled(args, got[name]) / ours["seconds"]
        for name in ("memory", "tight"):
            if name in got:
                out[f"{name}_same_metrics"] = got[name]["metrics"] == ours["metrics"]
        if "bfloat16" in got:
            shots = ours["metrics"]
            out["bfloat16_points"] = {
                s: round(got["bfloat16"]["metrics"][s]["miou"] - shots[s]["miou"], 3) for s in shots
            }
        if "rectification" in got:
            share = got["rectification"]["rectify_seconds"] / ours["seconds"]
            out["rectification_share"] = share
    if "cold" in got:
        out["cold_ratio"] = got["cold"]["naive"] / got["cold"]["ours"]
        out["cold_ratio_our_encoder"] = got["cold"]["naive_our_encoder"] / got["cold"]["ours"]
    if "peak_ours" in got and "peak_naive" in got:
        out["peak_ratio"] = got["peak_naive"]["peak_mb"] / got["peak_ours"]["peak_mb"]
    return {k: round(v, 3) if isinstance(v, float) else v for k, v in out.items()}


if __name__ == "__main__":
    main()
