"""The embedded benchmark: scenes of twenty classes, rendered from a seed without a download."""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from fsslib.data.folds import contiguous_folds
from fsslib.data.manifest import ImageRecord, Manifest
from fsslib.data.palette import voc_palette
from fsslib.datasets.rendering.classes import KINDS
from fsslib.datasets.rendering.compose import Crowding, develop, index_mask, paint_scene
from fsslib.datasets.rendering.curves import Rng

CLASSES: tuple[str, ...] = tuple(kind.name for kind in KINDS)
"""Names of the class ids 1 to 20; each run of five is a fold."""

SPLITS = ("train", "val")
CROWDING = Crowding(clutter=(1, 4), first=(0.4, 0.52), others=(0.28, 0.38))
"""Objects are larger than by default, since a small object is mostly border at stride 8."""
UInt8 = npt.NDArray[np.uint8]


def scene_size(rng: Rng, size: int) -> tuple[int, int]:
    """Draw height and width: one side is `size`, the other is up to 15 % shorter."""
    short = round(size * rng.uniform(0.85, 1.0))
    return (size, short) if rng.random() < 0.4 else (short, size)


def draw_classes(rng: Rng, index: int) -> list[int]:
    """Draw the class ids of the two to four objects of a scene.

    The first two classes follow from `index` in a fixed cycle. Every class therefore gets the same
    share of prominent places in both splits, for any seed.
    """
    classes = len(CLASSES)
    count = int(rng.choice([2, 3, 4], p=[0.55, 0.35, 0.1]))
    first = index % classes
    second = (first + 1 + index // classes % (classes - 1)) % classes
    rest = [c for c in range(classes) if c not in (first, second)]
    others = [second, *rng.permutation(rest).tolist()][: count - 1]
    ids = [first + 1, *(c + 1 for c in others)]
    if count > 2 and rng.random() < 0.15:
        ids[-1] = ids[0]
    return ids


def render_scene(seed: int, split: str, index: int, size: int) -> tuple[UInt8, UInt8]:
    """Render one scene; the result depends only on the arguments.

    Args:
        seed: seed of the whole dataset.
        split: `train` or `val`.
        index: number of the scene in the split.
        size: longer side in px.

    Returns:
        image: (H, W, 3) uint8 sRGB.
        mask: (H, W) uint8 class ids, 0 background, 255 a thin ring around objects.
    """
    rng = np.random.default_rng([seed, SPLITS.index(split), index])
    height, width = scene_size(rng, size)
    ids = draw_classes(rng, index)
    canvas = paint_scene(rng, (height, width), KINDS, ids, CROWDING)
    return develop(canvas, rng), index_mask(canvas)


@dataclass(frozen=True)
class _Job:
    root: Path
    split: str
    index: int
    size: int
    seed: int


def _write(job: _Job) -> ImageRecord:
    image, mask = render_scene(job.seed, job.split, job.index, job.size)
    name = f"{job.split}_{job.index:05d}"
    photo, target = f"JPEGImages/{name}.jpg", f"SegmentationClass/{name}.png"
    quality = int(np.random.default_rng([job.seed, 9, job.index]).integers(78, 95))
    Image.fromarray(image).save(job.root / photo, quality=quality)
    indexed = Image.fromarray(mask)
    indexed.putpalette(list(voc_palette()))
    indexed.save(job.root / target)
    values, counts = np.unique(mask, return_counts=True)
    pixels = dict(zip(values.tolist(), counts.tolist(), strict=True))
    return ImageRecord(name, photo, target, mask.shape[0], mask.shape[1], pixels)


def _run(jobs: list[_Job], processes: int) -> Iterator[ImageRecord]:
    if processes <= 1:
        yield from map(_write, jobs)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_write, jobs, chunksize=8)


def make_scenes(
    root: Path,
    train: int = 600,
    val: int = 200,
    size: int = 160,
    seed: int = 0,
    on_progress: Callable[[int], None] | None = None,
    processes: int = 1,
) -> Manifest:
    """Render the benchmark in VOC layout.

    Args:
        root: folder to fill with `JPEGImages`, `SegmentationClass` and `ImageSets`.
        train: number of training scenes.
        val: number of validation scenes.
        size: longer side in px.
        seed: seed of the pictures, which do not depend on `processes`.
        on_progress: called with 1 after every scene.
        processes: number of processes that render; above 1, the caller's `__main__` must be
            importable.

    Returns:
        The manifest, with root `root`.
    """
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    numbers = {"train": train, "val": val}
    jobs = [_Job(root, split, i, size, seed) for split in SPLITS for i in range(numbers[split])]
    records: list[ImageRecord] = []
    for record in _run(jobs, processes):
        records.append(record)
        if on_progress is not None:
            on_progress(1)
    parts = {"train": tuple(records[:train]), "val": tuple(records[train:])}
    for split in SPLITS:
        lines = "".join(f"{record.id}\n" for record in parts[split])
        (root / "ImageSets" / f"{split}.txt").write_text(lines, encoding="utf-8")
    classes = dict(enumerate(CLASSES, start=1))
    folds = tuple(tuple(fold) for fold in contiguous_folds(list(classes)))
    return Manifest("procedural", "contiguous", root, classes, folds, parts["train"], parts["val"])
