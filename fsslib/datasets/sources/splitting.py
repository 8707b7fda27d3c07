"""Splits of own photographs into training and validation."""

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from fsslib.datasets.layout import read_list
from fsslib.errors import FsslibError

SCORED = 2
"""Validation images of a class that an episode of one shot needs: a support and a query."""


class SplitOptions(Protocol):
    """What decides a split; see `FolderOptions`."""

    @property
    def train_list(self) -> Path | None: ...  # noqa: D102
    @property
    def val_list(self) -> Path | None: ...  # noqa: D102
    @property
    def val_share(self) -> float: ...  # noqa: D102
    @property
    def seed(self) -> int: ...  # noqa: D102


def split_ids(
    ids: Sequence[str],
    options: SplitOptions,
    given: Mapping[str, str] | None = None,
    held: Mapping[str, Collection[int]] | None = None,
) -> dict[str, list[str]]:
    """Ids of train and val: from both lists, as annotated, or drawn by a hash of seed and id.

    Args:
        ids: of all photographs with an annotation.
        options: see `SplitOptions`.
        given: image id -> split of the annotations; used where it fills both.
        held: image id -> classes that are large enough in it to be scored; see `draw_val`.

    Raises:
        FsslibError: one list without the other, faulty or overlapping lists, an empty split.
    """
    if (options.train_list is None) != (options.val_list is None):
        raise FsslibError("--train and --val go together: give both lists or none")
    if options.train_list is None or options.val_list is None:
        if given and set(given.values()) == {"train", "val"}:
            of_val = [i for i in ids if given.get(i) == "val"]
            return {"train": sorted(set(ids) - set(of_val)), "val": sorted(of_val)}
        if not 0 < options.val_share < 1:
            raise FsslibError(f"--val-share {options.val_share} is not between 0 and 1")
        if len(ids) < 2:
            raise FsslibError(f"{len(ids)} images do not split into train and val: add images")
        of_val = draw_val(ids, options, held or {})
        return {"train": sorted(set(ids) - set(of_val)), "val": of_val}
    splits = {}
    for split, path in (("train", options.train_list), ("val", options.val_list)):
        splits[split], problems = read_list(path)
        unknown = sorted(set(splits[split]) - set(ids))
        if unknown:
            problems.append(
                f"{path}: {unknown[0]!r} has no photograph with a mask ({len(unknown)})"
            )
        if problems:
            raise FsslibError(problems[0])
    both = sorted(set(splits["train"]) & set(splits["val"]))
    if both:
        raise FsslibError(f"image {both[0]!r} is in --train and --val: remove it from one")
    return splits


def draw_val(
    ids: Sequence[str], options: SplitOptions, held: Mapping[str, Collection[int]]
) -> list[str]:
    """Draw validation images by a hash of seed and id, so that each class can be scored.

    The rarest class is served first: images that hold it are taken in the order of their hash until
    two of it are in val, if the class has four images or more. Then images are taken in the same
    order until the share is reached. The share is exceeded where the classes need it.

    Args:
        ids: of all images.
        options: share and seed.
        held: image id -> classes that are large enough in it to be scored.

    Returns:
        Sorted ids; at least one, and not all.
    """
    order = sorted(ids, key=lambda i: hashlib.blake2b(f"{options.seed}:{i}".encode()).digest())
    number = min(max(1, round(len(ids) * options.val_share)), len(ids) - 1)
    taken: set[str] = set()
    images = Counter(c for i in ids for c in held.get(i, ()))
    for class_id in sorted(images, key=lambda c: (images[c], c)):
        there = sum(class_id in held.get(i, ()) for i in taken)
        wanted = SCORED if images[class_id] >= 2 * SCORED else 0
        having = [i for i in order if i not in taken and class_id in held.get(i, ())]
        taken.update(having[: max(0, wanted - there)])
    rest = [i for i in order if i not in taken]
    taken.update(rest[: max(0, number - len(taken))])
    return sorted(taken)
