"""Searching a large index measured: exact in memory, exact from disk, and faiss.

    python -m benchmarks.search --images 1000000 --regions 4000000 --folder /tmp/search

Shards are written once, as the stage `index` writes them, and stay in `--folder`: delete them
afterwards (20 GB at that size). An image's embedding is a mixture of its regions', and these are
directions with noise, so that images share content to any degree. Supports are images of the same
kind, with ten regions, that are not in the pool. Each part runs in a process of its own, so that
its peak memory is its own. `cold` reads files that were dropped from the page cache, `batch` is one
batch of episodes (`--batch` supports), `protocol` all `--supports`. The last line is one JSON
object.
"""

import argparse
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import stages  # noqa: F401 - the process settings of the commands
from benchmarks.parts import Json, named_parts, run_part, start_part, timed
from fsslib.files.shards import shard_files
from fsslib.rectification.index import SearchIndex
from fsslib.rectification.index_building import ImageRegions, write_regions
from fsslib.rectification.index_reading import open_index
from fsslib.rectification.ivf_search import ivf_index
from fsslib.rectification.rectify import rectify_foreground

GB = 1 << 30
DIRECTIONS = 2000
SHARD = 1000
NOISE = 0.7
"""Length of a region's noise beside its direction of length 1."""


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--regions", type=int, default=200_000)
    parser.add_argument("--channels", type=int, default=1024)
    parser.add_argument("--supports", type=int, default=1000, help="of a whole protocol")
    parser.add_argument("--batch", type=int, default=20, help="supports of one batch of episodes")
    parser.add_argument("--top-n", type=int, default=4)
    parser.add_argument("--probed", type=int, nargs="*", default=[256, 64, 16])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1, help="torch's; the stage has one")
    parser.add_argument("--limit-gb", type=float, default=10, help="most to hold in memory")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    return parser.parse_args()


def drawn(args: argparse.Namespace, number: int, images: int, regions: int) -> list[ImageRegions]:
    """Images of one shard; a function of its number alone."""
    directions = np.random.default_rng(0).standard_normal((DIRECTIONS, args.channels), np.float32)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    rng = np.random.default_rng([1, number])
    sizes = rng.multinomial(regions, np.full(images, 1 / images))
    found = []
    for i, size in enumerate(sizes):
        # An image without a region has content, too.
        content = directions[rng.integers(DIRECTIONS, size=max(1, size))]
        noise = rng.standard_normal(content.shape, np.float32) * NOISE / args.channels**0.5
        weight = rng.dirichlet(np.ones(len(content))).astype(np.float32)
        image = torch.from_numpy(weight @ (content + noise))
        kept = torch.from_numpy((content + noise)[:size])
        found.append(ImageRegions(f"{number}-{i}", image, kept, [1] * int(size)))
    return found


def supports(args: argparse.Namespace) -> tuple[Tensor, Tensor]:
    """Prototypes and image embeddings of supports; no shard has that number."""
    images = drawn(args, 10**6, args.supports, 10 * args.supports)
    return torch.stack([i.regions[0] for i in images]), torch.stack([i.image for i in images])


def part_write(args: argparse.Namespace) -> Json:
    """Write the shards that are missing."""
    need = 4 * args.channels * (args.images + args.regions)
    free = shutil.disk_usage(args.folder).free
    if need > 0.8 * free:
        raise SystemExit(f"{need / GB:.0f} GB to write, {free / GB:.0f} GB free: choose fewer")
    started = time.perf_counter()
    for number in range(-(-args.images // SHARD)):
        path = args.folder / f"{number:05d}.h5"
        if not path.exists():
            images = min(SHARD, args.images - number * SHARD)
            write_regions(path, drawn(args, number, images, args.regions * images // args.images))
    size = sum(path.stat().st_size for path in shard_files(args.folder, ".h5"))
    return {"seconds": time.perf_counter() - started, "gb": size / GB}


def measured(args: argparse.Namespace, index: SearchIndex, name: str) -> Json:
    """Seconds of the search and of all of eq. 8 and 9; keeps what was found for comparison."""
    prototypes, embeddings = supports(args)
    result: Json = {}
    for kind, number in (("batch", args.batch), ("protocol", args.supports)):
        part = prototypes[:number], embeddings[:number]
        found: list[Tensor] = []
        result[f"{kind}_search_seconds"] = timed(
            lambda p=part, f=found: f.append(index.nearest_images(p[1], args.top_n))
        )
        np.save(args.folder / f"{name}-{kind}.npy", found[0].numpy())
        regions = timed(lambda f=found: [index.regions_of(rows) for rows in f[0].split(256)])
        result[f"{kind}_regions_seconds"] = regions
        result[f"{kind}_rectify_seconds"] = timed(
            lambda p=part: rectify_foreground(*p, index, args.top_n, 0.2)
        )
    return result


def drop_cache(folder: Path) -> None:
    """Let the next read of the shards come from the disk."""
    for path in shard_files(folder, ".h5"):
        with path.open("rb") as stream:
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def part_base(args: argparse.Namespace) -> Json:
    """Peak memory of a process that has nothing but the supports."""
    supports(args)
    return {}


def part_memory(args: argparse.Namespace) -> Json:
    """Exact, everything in memory."""
    stored = open_index(args.folder)
    if stored.embedding_bytes > args.limit_gb * GB:
        return {"skipped": f"{stored.embedding_bytes / GB:.1f} GB, above --limit-gb"}
    started = time.perf_counter()
    index = stored.in_memory()
    return {"load_seconds": time.perf_counter() - started, **measured(args, index, "memory")}


def part_streamed(args: argparse.Namespace) -> Json:
    """Exact, from the shards."""
    drop_cache(args.folder)
    started = time.perf_counter()
    index = open_index(args.folder)
    opened = time.perf_counter() - started
    _, embeddings = supports(args)
    cold = timed(lambda: index.nearest_images(embeddings[: args.batch], args.top_n))
    return {
        "open_seconds": opened,
        "cold_batch_search_seconds": cold,
        **measured(args, index, "streamed"),
    }


def part_ivf(args: argparse.Namespace) -> Json:
    """Faiss in front of the shards, for several shares of cells."""
    stored = open_index(args.folder)
    started = time.perf_counter()
    index: Any = ivf_index(stored)
    result: Json = {"build_seconds": time.perf_counter() - started}
    if index is stored:
        return {"skipped": "too few images for cells"}
    result["cells"] = index.searcher.nlist
    exact = np.load(args.folder / "streamed-protocol.npy")
    for probed in args.probed:
        index.searcher.nprobe = max(1, index.searcher.nlist // probed)
        got = measured(args, index, "ivf")
        found = np.load(args.folder / "ivf-protocol.npy")
        hits = [len(set(a) & set(b)) for a, b in zip(exact.tolist(), found.tolist(), strict=True)]
        got["recall"] = sum(hits) / exact.size
        got["nprobe"] = index.searcher.nprobe
        result[f"one_in_{probed}"] = got
    return result


PARTS = named_parts(globals())


def measure(name: str) -> Json:
    """Run one part in a process of its own; its peak memory comes with its result."""
    result = start_part("benchmarks.search", name)
    print(f"{name:9s} {json.dumps(result)}", flush=True)
    return result


def same(args: argparse.Namespace) -> bool:
    """Whether both exact ways found the same images."""
    files = [args.folder / f"{name}-protocol.npy" for name in ("memory", "streamed")]
    return files[0].read_bytes() == files[1].read_bytes()


def rounded(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """The same JSON with floats at three decimals."""
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    return round(value, 3) if isinstance(value, float) else value


def main() -> None:
    args = parse()
    args.folder.mkdir(parents=True, exist_ok=True)
    if args.part:
        torch.set_num_threads(args.threads)
        result = run_part(PARTS[args.part], args)
        print(json.dumps(rounded(result)))
        return
    out: Json = {"images": args.images, "regions": args.regions, "channels": args.channels}
    out |= {"supports": args.supports, "batch": args.batch, "threads": args.threads}
    out |= {name: measure(name) for name in PARTS}
    if "skipped" not in out["memory"]:
        out["same_images"] = same(args)
    print(json.dumps(out))


if __name__ == "__main__":
    main()
