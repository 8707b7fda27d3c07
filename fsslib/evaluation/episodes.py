"""Episodes of the evaluation protocols (section 4.1): which query, which class, which supports.

An episode is a function of (seed, index) and of the images' sizes per class, of nothing else: no
iteration order, no worker count, no other episode. Two rules of drawing, never mixed:

`paper` (after PFENet, as the paper does): the query is uniform over the images that hold a large
object of a novel class, the class uniform over the large novel classes of that query.

`hsnet` (as HSNet's evaluation, classes balanced as in its COCO loader): every (image, class) pair
of the novel classes is listed; episode i takes class i mod n, and the pairs of a class in turn, in
an order shuffled by the seed, so that each class and each pair of a class gets the same number of
episodes. HSNet has no least size, and lets a support repeat; here the supports are distinct.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fsslib.data.manifest import ImageRecord, Manifest
from fsslib.errors import FsslibError

PROTOCOLS = ("paper", "hsnet")
"""Names of the drawing rules."""

MIN_PIXELS = {"paper": 2048, "hsnet": 1}
"""Least size of the class in query and supports, in px at original resolution (PFENet: 2048)."""


@dataclass(frozen=True)
class Episode:
    """One few-shot task.

    Attributes:
        seed: of the list that it belongs to.
        index: within the list.
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
        """Supports a way."""
        return len(self.supports[0])

    @property
    def ways(self) -> list[tuple[int, tuple[str, ...]]]:
        """Class id and support ids of each way."""
        return list(zip(self.class_ids, self.supports, strict=True))


@dataclass(frozen=True)
class EpisodeSet:
    """All episodes of one fold: every seed and every number of shots.

    Attributes:
        dataset: name in the manifest.
        protocol: one of `PROTOCOLS`.
        fold: number.
        novel: class ids of the fold.
        shots: the numbers of supports a way for which there are lists.
        ways: classes an episode.
        seeds: one list each.
        count: episodes a list.
        min_pixels: least size of the class in query and supports, in px.
        min_images: images of that size without which a class is not drawn.
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
    """Ids of the images that hold each novel class with at least `min_pixels`, sorted."""
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

    Lists of the same seed with other `shots` have the same queries and nested supports, as long as
    the same classes have enough images for both.

    Args:
        records: images to draw from, in any order; usually the val split.
        novel: class ids to draw; a class with fewer than `shots * ways + 1` or `min_images` images
            is never drawn.
        seeds: non-negative.
        count: episodes a seed.
        shots: supports a way.
        ways: classes an episode; beyond the first they are uniform over the other classes and need
            not lie in the query.
        min_pixels: least size of the class in query and supports; `MIN_PIXELS` by default.
        protocol: one of `PROTOCOLS`.
        names: of the classes, for messages.
        min_images: that a class needs to be drawn. A class of three photographs is three
            photographs' luck, and weighs as much in the mean as one of a hundred.

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
    """Say how far the images are from one episode."""
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
    """Query uniform over images, class uniform within the query."""
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
    """Classes in turn, the images of a class in turn in an order of the seed."""
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
    """Draw the other ways and all supports; a prefix of a permutation, so that shots nest."""
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
        manifest: of the dataset.
        fold: whose novel classes are drawn.
        seeds: see `draw_episodes`, like the rest.
        count: episodes for each of shots and seeds.
        shots: several numbers of supports a way.
        ways: classes an episode.
        min_pixels: least size; `MIN_PIXELS` of the protocol by default.
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
    """Novel classes that no episode holds; they are left out of the mean and reported by name."""
    drawn = {c for episode in episodes for c in episode.class_ids}
    return tuple(c for c in novel if c not in drawn)
