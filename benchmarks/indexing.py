"""How long indexing takes: 10 000 masks, new and remembered.

`python -m benchmarks.indexing [--masks 10000] [--processes 2]` makes a VOC-layout folder in a
temporary place, of real masks (`--root`, hard links where possible) or drawn ones of
500x375 px, each mask with other bytes, and scans it twice.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from fsslib.data.images import read_mask
from fsslib.datasets.scan import load_dataset
from fsslib.datasets.sources.building import encode_mask, place


def real_masks(root: Path) -> list[np.ndarray]:
    paths = sorted((root / "SegmentationClass").glob("*.png"))
    return [read_mask(p) for p in paths]


def drawn_masks(number: int = 200) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:375, :500]
    masks = []
    for _ in range(number):
        mask = np.zeros((375, 500), np.uint8)
        for class_id in rng.choice(np.arange(1, 21), 3, replace=False):
            y, x, r = rng.integers(375), rng.integers(500), rng.integers(30, 120)
            wave = 10 * np.sin(columns / rng.integers(3, 9))
            mask[(rows - y) ** 2 + (columns - x) ** 2 < (r + wave) ** 2] = class_id
        masks.append(mask)
    return masks


def make(root: Path, number: int, source: Path) -> str:
    """Fill `root` with `number` pairs; returns what they are made of."""
    real = source.is_dir()
    masks = real_masks(source) if real else drawn_masks()
    photos: dict[tuple[int, ...], Path] = {}
    (root / "SegmentationClass").mkdir(parents=True)
    ids = [f"{i:06d}" for i in range(number)]
    for i, image_id in enumerate(ids):
        mask = masks[i % len(masks)].copy()
        mask.flat[i // len(masks)] = 255  # other bytes, so that no mask is remembered by another
        (root / "SegmentationClass" / f"{image_id}.png").write_bytes(encode_mask(mask))
        if mask.shape not in photos:
            photos[mask.shape] = root / f"photo{len(photos)}.jpg"
            Image.new("RGB", mask.shape[::-1], "gray").save(photos[mask.shape])
        place(photos[mask.shape], root / "JPEGImages" / f"{image_id}.jpg")
    (root / "ImageSets").mkdir()
    cut = number * 9 // 10
    (root / "ImageSets/train.txt").write_text("\n".join(ids[:cut]))
    (root / "ImageSets/val.txt").write_text("\n".join(ids[cut:]))
    return f"{len(masks)} {'real' if real else 'drawn'} masks, repeated with other bytes"


def cpu_seconds() -> float:
    """Of this process and its ended children: what a busy machine does not stretch."""
    usages = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in usages)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the indexing of masks.")
    parser.add_argument("--root", type=Path, default=Path("data/voc-sample"), help="real masks")
    parser.add_argument("--masks", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "voc"
        print(f"{args.masks} pairs of {make(root, args.masks, args.root)}")
        cache = Path(folder) / "cache.json"
        for label, processes, where in (
            ("one process, nothing remembered", 1, None),
            (f"{args.processes} processes, nothing remembered", args.processes, cache),
            (f"{args.processes} processes, all remembered", args.processes, cache),
        ):
            start, before = time.perf_counter(), cpu_seconds()
            load_dataset("pascal", root, processes, cache=where)
            seconds, spent = time.perf_counter() - start, cpu_seconds() - before
            rate = args.masks / seconds
            print(f"{label}: {seconds:.1f} s ({spent:.1f} s of CPU), {rate:.0f} masks/s")
        print(f"cache: {cache.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
