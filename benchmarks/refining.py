"""Refinement measured: what sharper edges give in points, and what they cost in milliseconds.

    python -m benchmarks.refining --root data/voc-sample --backbone resnet18 --weights imagenet
    python -m benchmarks.refining --root data/voc-sample --base      # choose, on base classes
    python -m benchmarks.refining --root data/voc-sample --protocol --seeds 5 --episodes 1000
    python -m benchmarks.refining --root data/voc-sample --protocol --model data/train
    python -m benchmarks.refining --root data/voc-sample --time 40

Episodes of the validation photographs, with the pretrained encoder or with the trained encoder of
each fold (`--model`: the folder that holds one folder a fold; prototypes are not rectified).
`--base` scores base classes on the fifth of the training photographs that `fss tune` sets aside;
novel classes and validation photographs are then not looked at. Rows are ways to sharpen masks; all
of them see the same episodes, and `--rows` names some of them. `--protocol` scores without and with
refinement as the stage `evaluate` does. `--time` measures milliseconds of CPU time and the peak
memory of a photograph of 12 megapixels instead. Prints Markdown; the last line is one JSON object.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import stages  # noqa: F401 - the process settings of the commands
from benchmarks.parts import Json, named_parts, run_part, start_part
from fsslib.data.holdout import hold_out
from fsslib.data.images import UInt8
from fsslib.data.manifest import Manifest
from fsslib.datasets.scan import load_dataset
from fsslib.encoders.backbones import DEFAULT_BACKBONE
from fsslib.encoders.base import Encoder
from fsslib.encoders.build import build_encoder
from fsslib.encoders.running import Encode, make_encode, one_thread_each
from fsslib.encoders.weights import load_weights
from fsslib.evaluation.boundary import boundary_regions, boundary_width
from fsslib.evaluation.episodes import Episode, draw_episode_set
from fsslib.evaluation.protocol import evaluate, manifest_readers
from fsslib.evaluation.refining import EPS, GRID, RADIUS, GuidedFilter, Refining
from fsslib.evaluation.summary import fold_metrics
from fsslib.evaluation.supports import SupportBank, make_bank, needs, pool_support
from fsslib.mining.pooling import upsample
from fsslib.prediction.found import label
from fsslib.prediction.learned import Prototypes
from fsslib.rectification.rectify import Rectification
from fsslib.training.trained_model import load_model

CPU = torch.device("cpu")
LARGE = 1.5
"""Size of the second photograph of the pyramid, relative to the first."""


@dataclass(frozen=True)
class Query:
    """A query photograph with the margins of its episodes at feature size, (E, h, w)."""

    photograph: UInt8
    margins: Tensor
    raw: Tensor
    flipped: Tensor | None
    large: Tensor | None

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in px."""
        return self.photograph.shape[0], self.photograph.shape[1]

    def filter(
        self, radius: float = RADIUS, eps: float = EPS, grid: int | None = GRID
    ) -> GuidedFilter:
        """Make the guided filter of the photograph."""
        return GuidedFilter(self.photograph, Refining(radius, eps), grid=grid)

    def both(self) -> Tensor:
        """Margins averaged with those of the mirrored photograph."""
        assert self.flipped is not None
        return (self.margins + self.flipped.flip(-1)) / 2

    def pyramid(self) -> Tensor:
        """Margins averaged with those of the larger photograph, at image size."""
        assert self.large is not None
        return (upsample(self.margins, self.size) + upsample(self.large, self.size)) / 2


Row = Callable[[Query], Tensor]
"""Margins of a query's episodes at its own size, (E, H, W)."""


def twice(query: Query, radius: float = RADIUS) -> Tensor:
    """Filtered again at image size."""
    guide = query.filter(radius)
    return guide(guide(query.margins))


def rows() -> dict[str, Row]:
    found: dict[str, Row] = {
        "none": lambda q: upsample(q.margins, q.size),
        "guided": lambda q: q.filter()(q.margins),
    }
    for radius in (0.015, 0.03, 0.045, 0.06, 0.075, 0.09, 0.12):
        found[f"radius {radius}"] = lambda q, r=radius: q.filter(radius=r)(q.margins)
    for eps in (1e-4, 3e-4, 3e-3, 1e-2):
        found[f"eps {eps:g}"] = lambda q, e=eps: q.filter(eps=e)(q.margins)
    for grid in (None, 256, 128):
        found[f"grid {grid}"] = lambda q, g=grid: q.filter(grid=g)(q.margins)
    found["two passes"] = twice
    found["two passes, half the radius"] = lambda q: twice(q, RADIUS / 2)
    found["features instead of margins"] = lambda q: q.filter()(q.raw)
    found["flip"] = lambda q: upsample(q.both(), q.size)
    found["flip + guided"] = lambda q: q.filter()(q.both())
    found["pyramid"] = Query.pyramid
    found["pyramid + guided"] = lambda q: q.filter()(q.pyramid())
    return found


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="VOC-layout folder")
    parser.add_argument("--backbone", default=DEFAULT_BACKBONE)
    parser.add_argument("--weights", default="installed", help="a state dict, or a name")
    parser.add_argument("--model", type=Path, help="folder with a trained model a fold")
    parser.add_argument("--long-side", type=int, default=321)
    parser.add_argument("--folds", type=int, nargs="*", default=[1, 2, 3])
    parser.add_argument("--base", action="store_true", help="base classes, training photographs")
    parser.add_argument("--shots", type=int, nargs="*", default=[1, 5])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--episodes", type=int, default=60, help="a seed, fold, number of shots")
    parser.add_argument("--min-images", type=int, default=10)
    parser.add_argument("--protocol", action="store_true", help="none and guided, by `evaluate`")
    parser.add_argument("--rows", nargs="*", help="names of rows, by default all")
    parser.add_argument("--time", type=int, default=0, help="photographs to time the rows on")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    return parser.parse_args()


def encoder_of(args: argparse.Namespace, fold: int) -> Encoder:
    if args.model is not None:
        return load_model(args.model / str(fold) / "model.safetensors", ema=True).encoder
    encoder = build_encoder(args.backbone)
    load_weights(encoder, args.weights)
    return encoder


class Scored:
    """Encodings of a manifest's validation photographs, each made once."""

    def __init__(self, manifest: Manifest, encoder: Encoder, long_side: int) -> None:
        self.read_image, self.read_mask = manifest_readers(manifest)
        sizes = {"plain": long_side, "large": round(LARGE * long_side)}
        self.encoders: dict[str, Encode] = {
            name: make_encode(encoder, CPU, "float32", side) for name, side in sizes.items()
        }
        self.kept: dict[tuple[str, str], Tensor] = {}

    def feature(self, image_id: str, kind: str = "plain") -> Tensor:
        """Features of an image, (C, h, w), mirrored or larger by `kind`."""
        if (image_id, kind) not in self.kept:
            photograph = self.read_image(image_id)
            if kind == "flip":
                photograph = np.ascontiguousarray(photograph[:, ::-1])
            made = self.encoders["large" if kind == "large" else "plain"](photograph)
            self.kept[image_id, kind] = made
        return self.kept[image_id, kind]

    def bank(self, episodes: Sequence[Episode], kind: str) -> SupportBank:
        """Prototypes of all supports."""
        supports = (
            pool_support(
                self.feature(need.image_id, kind), torch.tensor(self.read_mask(need.image_id)), need
            )
            for need in needs(episodes)
        )
        return make_bank(supports, Rectification())

    def queries(
        self, episodes: Sequence[Episode], kinds: Sequence[str]
    ) -> Iterator[tuple[Query, UInt8, list[Episode]]]:
        """Each query with its mask and episodes."""
        banks = {kind: self.bank(episodes, kind) for kind in ("plain", "large") if kind in kinds}
        ordered = sorted(episodes, key=lambda e: (e.query, e.shots, e.seed, e.index))
        for image_id, group in groupby(ordered, lambda e: e.query):
            mine = list(group)
            parts = {kind: directions(bank, mine) for kind, bank in banks.items()}

            def margins(kind: str, unit: bool = True, i: str = image_id, d: Json = parts) -> Tensor:
                feature = self.feature(i, kind)
                flat = F.normalize(feature.flatten(1), dim=0) if unit else feature.flatten(1)
                found = d["large" if kind == "large" else "plain"] @ flat
                return found.view(-1, *feature.shape[1:])

            query = Query(
                self.read_image(image_id),
                margins("plain"),
                margins("plain", unit=False),
                margins("flip") if "flip" in kinds else None,
                margins("large") if "large" in kinds else None,
            )
            yield query, self.read_mask(image_id), mine


def directions(bank: SupportBank, episodes: list[Episode]) -> Tensor:
    """Differences of the unit prototypes of episodes that are ordered by shots, (E, C)."""
    found = []
    for _, group in groupby(episodes, lambda e: e.shots):
        foreground, background = bank.of_episodes(list(group))
        found.append(F.normalize(foreground[:, 0], dim=1) - F.normalize(background, dim=1))
    return torch.cat(found)


class Sums:
    """Pixels of intersection and union by (shots, seed, class), of masks and of boundaries."""

    def __init__(self) -> None:
        self.pixels: dict[tuple[int, int, int], np.ndarray] = {}

    def add(self, query: Query, mask: UInt8, episodes: list[Episode], full: Tensor) -> None:
        """Count the pixels of a query's episodes."""
        truth, valid = torch.tensor(mask), torch.tensor(mask != 255).float()
        width = boundary_width(query.size)
        for episode, margins in zip(episodes, full, strict=True):
            where = (truth == episode.class_ids[0]).float()
            found = (margins > 0) * valid
            pairs = (found, where), tuple(boundary_regions(m, width) for m in (found, where))
            numbers = [n for a, b in pairs for n in (float((a * b).sum()), float((a + b).sum()))]
            key = episode.shots, episode.seed, episode.class_ids[0]
            self.pixels[key] = self.pixels.get(key, 0) + np.array(numbers)

    def means(self, shots: int) -> tuple[float, float]:
        """Scores in percent, mIoU and boundary IoU: mean over the classes, then over the seeds."""
        each: dict[int, list[list[float]]] = {}
        for (number, seed, _), (hit, both, edge_hit, edge_both) in self.pixels.items():
            if number == shots:
                pair = [hit / (both - hit), edge_hit / (edge_both - edge_hit)]
                each.setdefault(seed, []).append(pair)
        means = np.mean([np.mean(pairs, 0) for pairs in each.values()], 0) * 100
        return float(means[0]), float(means[1])


def kinds_of(names: Sequence[str]) -> list[str]:
    """Which encodings the rows need."""
    kinds = ["plain"]
    kinds += ["flip"] if any("flip" in n for n in names) else []
    kinds += ["large"] if any("pyramid" in n for n in names) else []
    return kinds


@torch.no_grad()
def score(args: argparse.Namespace, chosen: dict[str, Row]) -> Json:
    """Scores (mIoU, boundary IoU) of every row, fold and number of shots."""
    whole = load_dataset("pascal", args.root)
    result: Json = {}
    scored: Scored | None = None
    for fold in args.folds:
        manifest = whole
        if args.base:  # the classes of this fold, which are base in every other one
            other = next(f for f in range(len(whole.folds)) if f != fold)
            manifest = hold_out(whole, [f for f in range(4) if f != other].index(fold))
        number = other if args.base else fold
        if scored is None or args.model is not None:
            scored = Scored(manifest, encoder_of(args, fold), args.long_side)
        drawn = draw_episode_set(
            manifest,
            number,
            range(args.seeds),
            args.episodes,
            tuple(args.shots),
            min_images=args.min_images,
        )
        sums = {name: Sums() for name in chosen}
        for query, mask, episodes in scored.queries(drawn.episodes, kinds_of(list(chosen))):
            for name, row in chosen.items():
                sums[name].add(query, mask, episodes, row(query))
            print(".", end="", file=sys.stderr, flush=True)
        result[str(fold)] = {
            name: {str(n): found.means(n) for n in args.shots} for name, found in sums.items()
        }
        print(f"\nfold {fold}: {json.dumps(result[str(fold)])}", file=sys.stderr, flush=True)
    return result


def protocol(args: argparse.Namespace) -> Json:
    """Scores without and with refinement, by the library's evaluation."""
    manifest = load_dataset("pascal", args.root)
    result: Json = {}
    for fold in args.folds:
        encode = make_encode(encoder_of(args, fold), CPU, "float32", args.long_side)
        drawn = draw_episode_set(
            manifest,
            fold,
            range(args.seeds),
            args.episodes,
            tuple(args.shots),
            min_images=args.min_images,
        )
        rows: Json = {}
        for name, refining in (("none", None), ("guided", Refining())):
            found = evaluate(
                encode,
                *manifest_readers(manifest),
                drawn.episodes,
                drawn.novel,
                refining=refining,
                boundary=True,
            )
            metrics = fold_metrics(found.counts, manifest.classes)
            rows[name] = {
                str(n): [metrics[f"shot{n}"][key] for key in ("miou", "boundary_iou")]
                for n in args.shots
            }
            told = f"fold {fold} {name}: {rows[name]}, {found.seconds:.0f} s"
            print(told, file=sys.stderr, flush=True)
        result[str(fold)] = rows
    return result


def show(args: argparse.Namespace, result: Json, chosen: dict[str, Row]) -> None:
    """A line a row: mIoU of each fold, the mean, and the mean boundary IoU."""
    for shots in args.shots:
        heads = [f"fold {f}" for f in args.folds]
        print(f"\n| {shots}-shot | {' | '.join(heads)} | mean | gain | boundary IoU | gain |")
        print("|---|" + "---|" * (len(heads) + 4))
        first: tuple[float, float] | None = None
        for name in chosen:
            pairs = [result[str(f)][name][str(shots)] for f in args.folds]
            miou, edge = (statistics.mean(p[i] for p in pairs) for i in (0, 1))
            first = first or (miou, edge)
            cells = " | ".join(f"{p[0]:.2f}" for p in pairs)
            gains = f"{miou - first[0]:+.2f}", f"{edge - first[1]:+.2f}"
            print(f"| {name} | {cells} | {miou:.2f} | {gains[0]} | {edge:.2f} | {gains[1]} |")


@torch.no_grad()
def clock(args: argparse.Namespace, chosen: dict[str, Row]) -> Json:
    """Median milliseconds of CPU time of each row, for one episode of a photograph.

    The peak memory comes first: a process of its own counts what its parent held.
    """
    peaks = {name: start_part("benchmarks.refining", name) for name in named_parts(globals())}
    print({name: f"{found['peak_mb']:.0f} MB" for name, found in peaks.items()})
    manifest = load_dataset("pascal", args.root)
    scored = Scored(manifest, encoder_of(args, args.folds[0]), args.long_side)
    drawn = draw_episode_set(manifest, args.folds[0], (0,), args.time, (1,))
    spent: dict[str, list[float]] = {name: [] for name in chosen}
    encoded: dict[str, list[float]] = {}
    for episode in drawn.episodes:
        for kind in ("plain", "flip", "large"):
            scored.feature(episode.query, kind)  # warm, and the file read
            scored.kept.pop((episode.query, kind))
            since = time.process_time()
            scored.feature(episode.query, kind)
            encoded.setdefault(kind, []).append(1000 * (time.process_time() - since))
        for query, _, _ in scored.queries([episode], ("plain", "flip", "large")):
            for name, row in chosen.items():
                row(query)
                since = time.process_time()
                row(query)
                spent[name].append(1000 * (time.process_time() - since))
    more = {kind: statistics.median(found) for kind, found in encoded.items()}
    print(f"encoding: {', '.join(f'{kind} {ms:.1f} ms' for kind, ms in more.items())}")
    result: Json = {"encoding": more, "peaks": peaks}
    print("\n| | ms | with more encodings |\n|---|---|---|")
    for name, found in spent.items():
        added = sum(more[kind] for kind in kinds_of([name])[1:])
        result[name] = statistics.median(found)
        print(f"| {name} | {result[name]:.1f} | {result[name] + added:.1f} |")
    return result


def part_photograph(args: argparse.Namespace) -> Json:
    """A photograph of 12 megapixels, the features of its reduced copy, three classes."""
    photograph = np.random.default_rng(0).integers(0, 256, (3000, 4000, 3), dtype=np.uint8)
    prototypes = Prototypes(torch.randn(3, 120), torch.randn(120))
    args.large = torch.randn(120, 36, 48), prototypes, [0, 1, 2], photograph
    return {}


def part_none(args: argparse.Namespace) -> Json:
    """Its mask without refinement."""
    part_photograph(args)
    return {"pixels": label(*args.large, None).size}


def part_guided(args: argparse.Namespace) -> Json:
    """Its refined mask."""
    part_photograph(args)
    return {"pixels": label(*args.large, Refining()).size}


def main() -> None:
    args = parse()
    one_thread_each()
    if args.part:
        print(json.dumps(run_part(named_parts(globals())[args.part], args)))
        return
    every = rows()
    unknown = set(args.rows or ()) - set(every)
    if unknown:
        raise SystemExit(f"no rows {sorted(unknown)}: choose of {', '.join(every)}")
    chosen = {name: every[name] for name in args.rows or every}
    if args.time:
        print(json.dumps(clock(args, chosen)))
        return
    if args.protocol:
        chosen = dict.fromkeys(("none", "guided"), every["none"])
    result = protocol(args) if args.protocol else score(args, chosen)
    show(args, result, chosen)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
