"""Mining measured: extraction against the bare encoder, annotation against encoding again.

    python -m benchmarks.mining --root data/voc-sample \
        --weights imagenet

Speed is measured with `--backbone` and random weights, which cost the same as trained ones, in
float32 and bfloat16; memory and agreement with the weights of the file. All ways are library calls
of the stages, an image a thread. Ways that are compared take turns and medians count, since other
processes may share the machine; ratios of CPU time (`_cpu`) suffer least from them. Kept features
are read from the disk, not from the page cache, unless a number's name says `warm`.

- `extract_efficiency`: images/s of extraction (decoding, encoding, pooling, int8, writing, fsync)
  over images/s of the bare encoder on decoded images.
- `annotate_speedup`: seconds to encode again and annotate over seconds to annotate kept features.
- `memory_growth`: peak memory of extracting `--many` images over that of `--few`, minus one.
- `agreement`: share of pixels of the pseudo-masks that int8 leaves as exact float32 has them, and
  `prototype_cosine`, the lowest cosine of a prototype pooled from int8 to the exact one. (`collect`
  takes the exact sums of `extract`: its prototypes do not depend on the kept type at all.)

Each part runs in a process of its own. The last line is one JSON object.
"""

import argparse
import json
import os
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import chdir
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

import stages  # noqa: F401 - the process settings of the commands
from benchmarks.parts import Json, Part, named_parts, run_part, start_part
from fsslib.data.images import read_image, read_mask
from fsslib.data.manifest import ImageRecord, Manifest
from fsslib.datasets.scan import load_dataset
from fsslib.encoders.resnet import ResNet
from fsslib.encoders.running import Encode, Precision, make_encode, map_ordered, one_thread_each
from fsslib.encoders.weights import load_weights
from fsslib.mining.clusters import cluster_prototypes
from fsslib.mining.extraction import Dtype, FeatureStore, ImageFeature, describe_image, write_shard
from fsslib.mining.pooling import masked_average
from fsslib.mining.prototypes import collect_prototypes, fold_prototypes
from fsslib.mining.pseudo_masks import encode_png, pseudo_mask, write_masks
from stages.support.sharded import Sharded, write_sharded

Item = tuple[str, tuple[int, int], Tensor]
REAL_BACKBONE = "resnet18"
DTYPES: tuple[Dtype, ...] = ("int8", "float16")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="VOC-layout folder")
    parser.add_argument("--weights", default="random", help="state dict of resnet18, or 'random'")
    parser.add_argument("--backbone", default="resnet50", help="of the measurements of speed")
    parser.add_argument("--images", type=int, default=24, help="of the measurements of speed")
    parser.add_argument("--repeats", type=int, default=4, help="of each way")
    parser.add_argument("--few", type=int, default=250, help="images, for peak memory")
    parser.add_argument("--many", type=int, default=1000, help="images, for peak memory")
    parser.add_argument("--shard-images", type=int, default=256, help="as in params.yaml")
    parser.add_argument("--compared", type=int, default=300, help="images, for agreement")
    parser.add_argument("--fold", type=int, default=2)
    parser.add_argument("--k", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--skip", nargs="*", default=[], help="parts to leave out")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    return parser.parse_args()


class Setting:
    """Images and encoder of one part."""

    def __init__(
        self, args: argparse.Namespace, real: bool = True, precision: Precision = "float32"
    ) -> None:
        one_thread_each()
        self.workers: int = args.workers
        self.manifest: Manifest = load_dataset("pascal", args.root.resolve())
        self.records = sorted((*self.manifest.train, *self.manifest.val), key=lambda r: r.id)
        encoder = ResNet(REAL_BACKBONE if real else args.backbone)
        load_weights(encoder, args.weights if real else "random")
        self.encode: Encode = make_encode(encoder, torch.device("cpu"), precision)
        self.prototypes = torch.randn(
            args.k + 1, encoder.channels, generator=torch.Generator().manual_seed(0)
        )

    def describe(self, record: ImageRecord) -> ImageFeature:
        """What `extract` does with an image."""
        feature = self.encode(read_image(self.manifest.image_path(record)))
        mask = read_mask(self.manifest.mask_path(record))
        return describe_image(record.id, feature, mask, "int8")

    def extract(self, path: Path, records: Sequence[ImageRecord]) -> None:
        """One shard, as `extract` writes it."""
        write_shard(path, map_ordered(self.describe, records, self.workers), "int8")

    def label(self, item: Item) -> tuple[str, bytes]:
        """What `annotate` does with a feature."""
        image_id, size, feature = item
        return image_id, encode_png(pseudo_mask(feature, self.prototypes, size))

    def annotate(self, path: Path, items: Iterable[Item]) -> None:
        """One zip, as `annotate` writes it."""
        write_masks(path, map_ordered(self.label, items, self.workers))

    def encode_again(self, records: Sequence[ImageRecord]) -> Iterator[Item]:
        """What `annotate` does without kept features."""

        def make(record: ImageRecord) -> Item:
            image = read_image(self.manifest.image_path(record))
            return record.id, (image.shape[0], image.shape[1]), self.encode(image)

        return map_ordered(make, records, self.workers)


def drain(items: Iterable[object]) -> None:
    """Use an iterator up, keeping nothing."""
    deque(items, maxlen=0)


def forget(folder: Path) -> None:
    """Drop the files of a folder from the page cache (fsync has put them on the disk)."""
    for path in folder.iterdir():
        with path.open("rb") as stream:
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


Times = dict[str, float]


def in_turn(repeats: int, ways: dict[str, Callable[[], object]]) -> tuple[Times, Times]:
    """Median seconds of each way, by the clock and of CPU; the first round warms up."""
    clock: dict[str, list[float]] = {name: [] for name in ways}
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats + 1):
        for name, way in ways.items():
            started, spent = time.perf_counter(), time.process_time()
            way()
            clock[name].append(time.perf_counter() - started)
            cpu[name].append(time.process_time() - spent)
    return _medians(clock), _medians(cpu)


def _medians(values: dict[str, list[float]]) -> Times:
    return {name: float(np.median(rounds[1:])) for name, rounds in values.items()}


def extract_speed(args: argparse.Namespace, real: bool, precision: Precision) -> Json:
    """Images/s of the bare encoder and of extraction."""
    setting = Setting(args, real, precision)
    records = setting.records[: args.images]
    images = [read_image(setting.manifest.image_path(r)) for r in records]
    with tempfile.TemporaryDirectory() as folder:
        seconds, cpu = in_turn(
            args.repeats,
            {
                "bare": lambda: drain(map_ordered(setting.encode, images, args.workers)),
                "extract": lambda: setting.extract(Path(folder) / "00000.h5", records),
            },
        )
    rates = {f"{name}_images_s": len(records) / value for name, value in seconds.items()}
    return {
        **rates,
        "efficiency": seconds["bare"] / seconds["extract"],
        "efficiency_cpu": cpu["bare"] / cpu["extract"],
    }


def annotate_speed(args: argparse.Namespace, real: bool, precision: Precision) -> Json:
    """Seconds an image to annotate from kept features, and after encoding again."""
    setting = Setting(args, real, precision)
    records = setting.records[: args.images]
    with tempfile.TemporaryDirectory() as folder:
        kept, masks = Path(folder) / "kept", Path(folder) / "00000.zip"
        setting.extract(kept / "00000.h5", records)

        def from_kept(cold: bool = True) -> None:
            if cold:
                forget(kept)
            store = FeatureStore(kept)
            setting.annotate(masks, store.features(store.ids()))

        def read_only() -> None:
            forget(kept)
            store = FeatureStore(kept)
            drain(store.features(store.ids()))

        seconds, cpu = in_turn(
            args.repeats,
            {
                "again": lambda: setting.annotate(masks, setting.encode_again(records)),
                "kept": from_kept,
                "kept_warm": lambda: from_kept(cold=False),
                "read_only": read_only,
            },
        )
    result = {f"{name}_ms": 1000 * value / len(records) for name, value in seconds.items()}
    return {
        **result,
        "speedup": seconds["again"] / seconds["kept"],
        "speedup_warm": seconds["again"] / seconds["kept_warm"],
        "speedup_cpu": cpu["again"] / cpu["kept"],
    }


def extract_all(args: argparse.Namespace, count: int) -> Json:
    """The whole of `extract` over `count` images, for its peak memory."""
    setting = Setting(args)
    records = setting.records[:count]
    work = Sharded("Extraction", records, args.shard_images, ".h5", Path("out"), ["extract"], 0, "")

    def describe(shards: Sequence[Sequence[ImageRecord]]) -> Iterator[ImageFeature]:
        return map_ordered(setting.describe, chain(*shards), args.workers)

    def write(path: Path, described: Iterable[ImageFeature]) -> None:
        write_shard(path, described, "int8")

    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        write_sharded(work, describe, write)
    return {"images": len(records)}


def part_memory_few(args: argparse.Namespace) -> Json:
    """Peak memory of extracting a few images."""
    return extract_all(args, args.few)


def part_memory_many(args: argparse.Namespace) -> Json:
    """Peak memory of extracting many."""
    return extract_all(args, args.many)


def part_agreement(args: argparse.Namespace) -> Json:
    """Kept types against exact float32: pseudo-masks and prototypes."""
    setting = Setting(args)
    records = setting.manifest.train[: args.compared]
    exact = {r.id: setting.encode(read_image(setting.manifest.image_path(r))) for r in records}
    with tempfile.TemporaryDirectory() as folder:
        stores = {dtype: keep(setting, records, exact, Path(folder), dtype) for dtype in DTYPES}
        fold = setting.manifest.base(args.fold), setting.manifest.novel(args.fold)
        foreground = fold_prototypes(collect_prototypes(Path(folder) / "int8"), *fold)
        clusters = cluster_prototypes(foreground, args.k, seed=0)
        representatives = torch.from_numpy(clusters.prototypes)
        result: Json = {"images": len(records), "prototypes": len(foreground.foreground)}
        for dtype, store in stores.items():
            result[dtype] = compare(setting, records, exact, store, representatives)
    return result


def keep(
    setting: Setting,
    records: Sequence[ImageRecord],
    exact: dict[str, Tensor],
    folder: Path,
    dtype: Dtype,
) -> FeatureStore:
    """A feature store of exact features."""
    described = (
        describe_image(r.id, exact[r.id], read_mask(setting.manifest.mask_path(r)), dtype)
        for r in records
    )
    write_shard(folder / dtype / "00000.h5", described, dtype)
    return FeatureStore(folder / dtype)


def compare(
    setting: Setting,
    records: Sequence[ImageRecord],
    exact: dict[str, Tensor],
    store: FeatureStore,
    representatives: Tensor,
) -> Json:
    """Share of equal pixels, over all and in the worst image, and the lowest cosine."""
    same, pixels, worst, cosine = 0, 0, 1.0, 1.0
    kept = store.features([r.id for r in records])
    for record, (_, size, feature) in zip(records, kept, strict=True):
        truth = pseudo_mask(exact[record.id], representatives, size)
        equal = pseudo_mask(feature, representatives, size) == truth
        same, pixels = same + int(equal.sum()), pixels + equal.size
        worst = min(worst, float(equal.mean()))
        mask = torch.tensor(read_mask(setting.manifest.mask_path(record)))
        parts = mask == torch.unique(mask[mask != 255]).view(-1, 1, 1)
        pooled = (masked_average(f.double(), parts) for f in (feature, exact[record.id]))
        cosine = min(cosine, float(cosine_similarity(*pooled).min()))
    return {"agreement": same / pixels, "worst_image": worst, "prototype_cosine": cosine}


SPEEDS: dict[str, tuple[bool, Precision]] = {
    "": (False, "float32"),
    "_bfloat16": (False, "bfloat16"),
    "_resnet18": (True, "float32"),
}
"""Ways to measure speed: whether with the file's weights, and the encoder's precision."""

PARTS: dict[str, Part] = {
    step + suffix: partial(speed, real=real, precision=precision)
    for step, speed in (("extract", extract_speed), ("annotate", annotate_speed))
    for suffix, (real, precision) in SPEEDS.items()
} | named_parts(globals())


def measure(name: str) -> Json:
    """Run one part in a process of its own; its peak memory comes with its result."""
    result = start_part("benchmarks.mining", name)
    print(f"{name:18s} {result['peak_mb']:6.0f} MB  {json.dumps(rounded(result))}", flush=True)
    return result


def rounded(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items() if k != "peak_mb"}
    return round(value, 6 if value < 2 else 2) if isinstance(value, float) else value


def summary(args: argparse.Namespace, got: dict[str, Json]) -> Json:
    """The targets of the project; what was skipped is left out."""
    out: Json = {"cpu_threads": args.workers, "backbone": args.backbone}
    for step, key in (("extract", "efficiency"), ("annotate", "speedup")):
        for suffix in SPEEDS:
            for clock in ("", "_cpu"):
                if step + suffix in got:
                    out[f"{step}_{key}{suffix}{clock}"] = got[step + suffix][key + clock]
    if "memory_few" in got and "memory_many" in got:
        out["memory_growth"] = got["memory_many"]["peak_mb"] / got["memory_few"]["peak_mb"] - 1
    if "agreement" in got:
        for suffix, dtype in (("", "int8"), ("_float16", "float16")):
            for key in ("agreement", "prototype_cosine"):
                out[key + suffix] = got["agreement"][dtype][key]
    return rounded(out)


def main() -> None:
    args = parse()
    if args.part:
        result = run_part(PARTS[args.part], args)
        print(json.dumps(result))
        return
    got = {name: measure(name) for name in PARTS if name not in args.skip}
    print(json.dumps(summary(args, got)))


if __name__ == "__main__":
    main()
