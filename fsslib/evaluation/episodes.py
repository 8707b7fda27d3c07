"""Episodes of the evaluation protocols (section 4.1): which query, which class, which supports.

An episode depends only on (seed, index) and on the images' sizes per class. It does not depend on
the iteration order, the number of workers or other episodes. There are two drawing rules, which
are never mixed:

`paper` (after PFENet, as in the paper): the query is drawn uniformly from the images that hold a
large object of a novel class. The class is drawn uniformly from the large novel classes of that
query.

`hsnet` (as in HSNet's evaluation, with classes balanced as in its COCO loader): every (image,
class) pair of the novel classes is listed. Episode i takes class i mod n. The pairs of a class are
taken in turn, in an order shuffled by the seed, so that each class and each pair of a class gets
the same number of episodes. HSNet has no minimum size and lets a support repeat; here the supports
are distinct.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fsslib.data.manifest import ImageRecord, Manifest
from fsslib.errors import FsslibError

PROTOCOLS = ("paper", "hsnet")
"""Names of the drawing rules."""

MIN_PIXELS = {"paper": 2048, "hsnet": 1}
"""Smallest size of the class in query and supports, in px at original resolution (PFENet: 2048)."""


@dataclass(frozen=True)
class Episode:
    """One few-shot task.

    Attributes:
        seed: seed of the list that the episode belongs to.
        index: place within the list.
        query: image id.
        class_ids: the ways; the first is the class that the query was drawn for.
        supports: for each way the image ids of its supports, all distinct and never the query.
    """

    seed: int
    index: int
    query: str
    class_ids: tuple[int, ...]
    supports: tuple[tuple[str, ...], ...]

    @property
    def shots(self) -> int:
        """Number of supports per way."""
        return len(self.supports[0])

    @property
    def ways(self) -> list[tuple[int, tuple[str, ...]]]:
        """Class id and support ids of each way."""
        return list(zip(self.class_ids, self.supports, strict=True))


@dataclass(frozen=True)
class EpisodeSet:
    """All episodes of one fold, for every seed and every number of shots.

    Attributes:
        dataset: name of the dataset in the manifest.
        protocol: one of `PROTOCOLS`.
        fold: number of the fold.
        novel: class ids of the fold.
        shots: the numbers of supports per way for which there are lists.
        ways: number of classes per episode.
        seeds: seeds, with one list each.
        count: number of episodes per list.
        min_pixels: smallest size of the class in query and supports, in px.
        min_images: a class with fewer images of that size is not drawn.
        episodes: ordered by shots, seed, index.
    """

    dataset: str
    protocol: str
    fold: int
    novel: tuple[int, ...]
    shots: tuple[int, ...]
    ways: int
    seeds: tuple[int, ...]
    count: int
    min_pixels: int
    min_images: int
    episodes: tuple[Episode, ...]


def class_images(
    records: Sequence[ImageRecord], novel: Sequence[int], min_pixels: int
) -> dict[int, list[str]]:
    """Return for each novel class the sorted ids of images with at least `min_pixels` of it."""
    ordered = sorted(records, key=lambda record: record.id)
    return {c: [r.id for r in ordered if r.has_any([c], min_pixels)] for c in sorted(set(novel))}


def draw_episodes(
    records: Sequence[ImageRecord],
    novel: Sequence[int],
    seeds: Sequence[int],
    count: int,
    shots: int,
    ways: int = 1,
    min_pixels: int | None = None,
    protocol: str = "paper",
    names: Mapping[int, str] | None = None,
    min_images: int = 1,
) -> tuple[Episode, ...]:
    """Draw `count` episodes for each seed, ordered by seed and index.

    Lists with the same seed and different `shots` have the same queries and nested supports, as
    long as the same classes have enough images for both.

    Args:
        records: images to draw from, in any order; usually the val split.
        novel: class ids to draw; a class with fewer than `shots * ways + 1` or `min_images` images
            is never drawn.
        seeds: seeds, not negative.
        count: number of episodes per seed.
        shots: number of supports per way.
        ways: classes per episode; all but the first are drawn uniformly from the other classes and
            need not occur in the query.
        min_pixels: smallest size of the class in query and supports; `MIN_PIXELS` by default.
        protocol: one of `PROTOCOLS`.
        names: names of the classes, for messages.
        min_images: images that a class needs to be drawn. The result of a class with three images
            depends on chance, but weighs as much in the mean as that of a class with a hundred.

    Raises:
        FsslibError: an unknown protocol, a number below 1, or too few images for any episode.
    """
    if protocol not in PROTOCOLS:
        raise FsslibError(f"protocol: {protocol!r} is not one of {', '.join(PROTOCOLS)}")
    least = MIN_PIXELS[protocol] if min_pixels is None else min_pixels
    numbers = {
        "episodes": count,
        "shots": shots,
        "ways": ways,
        "min_pixels": least,
        "min_images": min_images,
    }
    for word, value in numbers.items():
        if value < 1:
            raise FsslibError(f"{word}: {value} must be at least 1")
    for seed in seeds:
        if seed < 0:
            raise FsslibError(f"seeds: {seed} must not be negative")
    images = class_images(records, novel, least)
    enough = max(shots * ways + 1, min_images)
    drawable = {c: ids for c, ids in images.items() if len(ids) >= enough}
    if len(drawable) < ways:
        _refuse(images, shots, ways, least, enough, names or {})
    draw = _draw_paper if protocol == "paper" else _draw_hsnet
    return tuple(e for seed in seeds for e in draw(drawable, seed, count, shots, ways))


def _refuse(
    images: Mapping[int, list[str]],
    shots: int,
    ways: int,
    least: int,
    enough: int,
    names: Mapping[int, str],
) -> None:
    """Raise an error that says how many images one episode needs and how many were found."""
    found = ", ".join(f"{names.get(c, c)} {len(ids)}" for c, ids in images.items())
    classes = "a novel class" if ways == 1 else f"each of {ways} novel classes (ways: {ways})"
    raise FsslibError(
        f"shots: {shots} needs at least {enough} val images with {least} px or more of {classes}, "
        f"found {found}: lower shots, ways, min_pixels or min_images, or add images"
    )


def _generator(*words: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(words))


def _draw_paper(
    drawable: Mapping[int, list[str]], seed: int, count: int, shots: int, ways: int
) -> list[Episode]:
    """Draw the query uniformly from the images, and the class uniformly from those of the query."""
    held: dict[str, list[int]] = {}
    for class_id, ids in drawable.items():
        for image_id in ids:
            held.setdefault(image_id, []).append(class_id)
    queries = sorted(held)
    episodes = []
    for index in range(count):
        rng = _generator(seed, index)
        query = queries[rng.integers(len(queries))]
        class_id = held[query][rng.integers(len(held[query]))]
        episodes.append(_complete(drawable, rng, seed, index, query, class_id, shots, ways))
    return episodes


def _draw_hsnet(
    drawable: Mapping[int, list[str]], seed: int, count: int, shots: int, ways: int
) -> list[Episode]:
    """Take the classes in turn, and the images of a class in turn in an order set by the seed."""
    classes = list(drawable)
    orders = {c: _generator(seed, 0, c).permutation(len(drawable[c])) for c in classes}
    episodes = []
    for index in range(count):
        turn, place = divmod(index, len(classes))
        class_id = classes[place]
        order = orders[class_id]
        query = drawable[class_id][order[turn % len(order)]]
        rng = _generator(seed, index)
        episodes.append(_complete(drawable, rng, seed, index, query, class_id, shots, ways))
    return episodes


def _complete(
    drawable: Mapping[int, list[str]],
    rng: np.random.Generator,
    seed: int,
    index: int,
    query: str,
    class_id: int,
    shots: int,
    ways: int,
) -> Episode:
    """Draw the other ways and all supports; fewer shots are a prefix of more, so they nest."""
    others = [c for c in drawable if c != class_id]
    class_ids = [class_id, *(others[i] for i in rng.permutation(len(others))[: ways - 1])]
    taken, supports = {query}, []
    for way in class_ids:
        free = [image_id for image_id in drawable[way] if image_id not in taken]
        chosen = tuple(free[i] for i in rng.permutation(len(free))[:shots])
        taken.update(chosen)
        supports.append(chosen)
    return Episode(seed, index, query, tuple(class_ids), tuple(supports))


def draw_episode_set(
    manifest: Manifest,
    fold: int,
    seeds: Sequence[int],
    count: int,
    shots: Sequence[int],
    ways: int = 1,
    min_pixels: int | None = None,
    protocol: str = "paper",
    min_images: int | None = None,
) -> EpisodeSet:
    """Draw the lists of every seed and number of shots from the val split of one fold.

    Args:
        manifest: manifest of the dataset.
        fold: fold whose novel classes are drawn.
        seeds: see `draw_episodes`.
        count: number of episodes for each number of shots and each seed.
        shots: several numbers of supports per way.
        ways: number of classes per episode.
        min_pixels: smallest size; `MIN_PIXELS` of the protocol by default.
        protocol: one of `PROTOCOLS`.
        min_images: see `draw_episodes`; None for what each number of shots needs.
    """
    novel = manifest.novel(fold)
    episodes: list[Episode] = []
    for number in sorted(set(shots)):
        episodes += draw_episodes(
            manifest.val,
            novel,
            seeds,
            count,
            number,
            ways,
            min_pixels,
            protocol,
            manifest.classes,
            min_images or 1,
        )
    return EpisodeSet(
        dataset=manifest.dataset,
        protocol=protocol,
        fold=fold,
        novel=tuple(novel),
        shots=tuple(sorted(set(shots))),
        ways=ways,
        seeds=tuple(seeds),
        count=count,
        min_pixels=MIN_PIXELS[protocol] if min_pixels is None else min_pixels,
        min_images=min_images or 1,
        episodes=tuple(episodes),
    )


def never_drawn(episodes: Sequence[Episode], novel: Sequence[int]) -> tuple[int, ...]:
    """Return the novel classes in no episode; they are not in the mean and are reported by name."""
    drawn = {c for episode in episodes for c in episode.class_ids}
    return tuple(c for c in novel if c not in drawn)
