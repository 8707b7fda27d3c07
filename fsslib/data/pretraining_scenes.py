"""Scenes to pretrain on: objects of classes that the benchmark does not hold, among clutter."""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import numpy as np
import numpy.typing as npt

from fsslib.data.rendering.compose import develop, index_mask, paint_scene
from fsslib.data.rendering.pretraining_classes import PRETRAINING_KINDS

PRETRAINING_CLASSES: tuple[str, ...] = tuple(kind.name for kind in PRETRAINING_KINDS)
"""Pattern and silhouette, for the mask values from 1."""

STREAM = 2
"""Keeps these pictures' random streams apart from the benchmark's splits 0 and 1."""


UInt8 = npt.NDArray[np.uint8]


def render_example(index: int, seed: int, size: int) -> tuple[UInt8, UInt8]:
    """Render one scene of one to four objects; a function of its arguments alone.

    Args:
        index: number of the scene; its largest object is of class `index` modulo their number.
        seed: of the whole set.
        size: side in px.

    Returns:
        picture: (size, size, 3) uint8 sRGB.
        mask: (size, size) uint8, 0 background, c the c-th of `PRETRAINING_CLASSES`, 255 ignore.
    """
    rng = np.random.default_rng([seed, STREAM, index])
    classes = len(PRETRAINING_CLASSES)
    others = rng.integers(classes, size=int(rng.integers(0, 4)))
    ids = [index % classes + 1, *(int(c) + 1 for c in others)]
    canvas = paint_scene(rng, (size, size), PRETRAINING_KINDS, ids)
    return develop(canvas, rng), index_mask(canvas)


def render_examples(
    images: int,
    size: int,
    seed: int,
    on_progress: Callable[[int], None] | None = None,
    processes: int = 1,
) -> tuple[UInt8, UInt8]:
    """Render the pretraining set into memory.

    Args:
        images: how many.
        size: side in px.
        seed: the scenes are a function of it alone, whatever `processes`.
        on_progress: called with the number of scenes just done, one by one.
        processes: how many render side by side.

    Returns:
        pictures: (images, size, size, 3) uint8 sRGB.
        masks: (images, size, size) uint8, 0 background, 255 ignore.
    """
    pictures = np.empty((images, size, size, 3), dtype=np.uint8)
    masks = np.empty((images, size, size), dtype=np.uint8)
    rendered = _run(partial(render_example, seed=seed, size=size), images, processes)
    for index, (picture, mask) in enumerate(rendered):
        pictures[index], masks[index] = picture, mask
        if on_progress is not None:
            on_progress(1)
    return pictures, masks


def _run(
    render: Callable[[int], tuple[UInt8, UInt8]], images: int, processes: int
) -> Iterator[tuple[UInt8, UInt8]]:
    if processes <= 1:
        yield from map(render, range(images))
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield from pool.map(render, range(images), chunksize=32)
