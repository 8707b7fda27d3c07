"""Pictures to pretrain on: one object of a class that the benchmark does not hold, and clutter."""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import numpy as np
import numpy.typing as npt

from fsslib.data.rendering.compose import (
    OVERSAMPLING,
    add_clutter,
    add_object,
    develop,
    new_canvas,
    place,
)
from fsslib.data.rendering.pretraining_classes import PRETRAINING_KINDS

PRETRAINING_CLASSES: tuple[str, ...] = tuple(kind.name for kind in PRETRAINING_KINDS)
"""Pattern and silhouette; the label of a picture is an index into this."""

STREAM = 2
"""Keeps these pictures' random streams apart from the benchmark's splits 0 and 1."""


def render_example(index: int, seed: int, size: int) -> npt.NDArray[np.uint8]:
    """Render the picture `index`, whose label is `index` modulo the number of classes.

    Args:
        index: number of the picture.
        seed: of the whole set.
        size: side in px.

    Returns:
        (size, size, 3) uint8 sRGB, a function of the arguments alone.
    """
    rng = np.random.default_rng([seed, STREAM, index])
    canvas = new_canvas(rng, (size, size))
    add_clutter(canvas, rng, int(rng.integers(0, 6)), (0.04, 0.2))
    painted = (size * OVERSAMPLING, size * OVERSAMPLING)
    pose = place(rng, [], rng.uniform(0.22, 0.5) * painted[0], painted)
    add_object(canvas, rng, PRETRAINING_KINDS[index % len(PRETRAINING_KINDS)], 1, pose)
    if rng.random() < 0.4:
        add_clutter(canvas, rng, 1, (0.04, 0.12))
    return develop(canvas, rng)


def render_examples(
    images: int,
    size: int,
    seed: int,
    on_progress: Callable[[int], None] | None = None,
    processes: int = 1,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Render the pretraining set into memory.

    Args:
        images: how many.
        size: side in px.
        seed: the pictures are a function of it alone, whatever `processes`.
        on_progress: called with the number of pictures done so far.
        processes: how many render side by side.

    Returns:
        pictures: (images, size, size, 3) uint8 sRGB.
        labels: (images,) int64, index into `PRETRAINING_CLASSES`.
    """
    pictures = np.empty((images, size, size, 3), dtype=np.uint8)
    for index, picture in enumerate(_run(partial(render_example, seed=seed, size=size), images, processes)):
        pictures[index] = picture
        if on_progress is not None:
            on_progress(index + 1)
    return pictures, np.arange(images, dtype=np.int64) % len(PRETRAINING_CLASSES)


def _run(
    render: Callable[[int], npt.NDArray[np.uint8]], images: int, processes: int
) -> Iterator[npt.NDArray[np.uint8]]:
    if processes <= 1:
        yield from map(render, range(images))
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield from pool.map(render, range(images), chunksize=32)
