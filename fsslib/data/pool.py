"""The pool: images that are annotated with pseudo-masks and mined, their labels unread."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fsslib.data.manifest import Manifest
from fsslib.errors import FsslibError

LABELLED = ("train", "remaining")
"""Sources within the dataset; any other is a folder."""

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")


@dataclass(frozen=True)
class PoolImage:
    """One image of the pool; `id` is unique in the pool."""

    id: str
    path: Path


@dataclass(frozen=True)
class PoolSource:
    """Where pool images come from.

    Attributes:
        source: `train` (labelled images of the fold), `remaining` (training images without any base
            class) or a folder of images, searched with its sub-folders.
        cap: at most so many, drawn by seed; None for all.
    """

    source: str
    cap: int | None = None


def build_pool(
    manifest: Manifest, fold: int, sources: Sequence[PoolSource], seed: int, base_dir: Path
) -> list[PoolImage]:
    """List the pool of a fold in sorted id order.

    Args:
        manifest: of the dataset; validation images never enter the pool.
        fold: decides what `train` and `remaining` mean.
        sources: to join; an image named by two is there once, a folder's by its resolved path.
        seed: of the draws under a cap.
        base_dir: folder that relative folders are relative to.

    Raises:
        FsslibError: a folder is missing or holds no images, or the pool is empty.
    """
    pool: dict[str, PoolImage] = {}
    taken: set[str] = set()
    for number, source in enumerate(sources):
        found = _list_source(manifest, fold, source.source, number, base_dir)
        if source.source not in LABELLED:
            # Listed only for a folder: resolving a path costs a call to the system.
            taken = taken or {_real(manifest.image_path(r)) for r in manifest.val}
            found = _not_taken(found, taken)
        if source.cap is not None and source.cap < len(found):
            rng = np.random.default_rng(np.random.SeedSequence([seed, number]))
            chosen = rng.choice(len(found), source.cap, replace=False)
            found = [found[i] for i in sorted(chosen)]
        pool.update((image.id, image) for image in found)
    if not pool:
        raise FsslibError("unlabeled: the sources hold no image: name another source")
    return [pool[image_id] for image_id in sorted(pool)]


def _list_source(
    manifest: Manifest, fold: int, source: str, number: int, base_dir: Path
) -> list[PoolImage]:
    if source in LABELLED:
        labelled = {record.id for record in manifest.labelled(fold)}
        return [
            PoolImage(record.id, manifest.image_path(record))
            for record in manifest.train
            if (record.id in labelled) == (source == "train")
        ]
    folder = base_dir / source
    if not folder.is_dir():
        raise FsslibError(
            f"unlabeled: {source!r} is neither 'train' nor 'remaining' nor a folder: {folder}"
        )
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not paths:
        raise FsslibError(f"unlabeled: {folder} holds no image ({', '.join(SUFFIXES)})")
    for path in paths:
        _check_name(path, folder)
    # '@' keeps these ids apart from a dataset's own.
    return [PoolImage(f"@{number}/{p.relative_to(folder).as_posix()}", p) for p in paths]


def _check_name(path: Path, folder: Path) -> None:
    """Names are ids in files of ours, and lines of logs."""
    name = str(path.relative_to(folder))
    if not name.isprintable():
        utf8 = "is not UTF-8" if any("\ud800" <= c <= "\udfff" for c in name) else ""
        raise FsslibError(
            f"unlabeled: {name!r} in {folder} has a name "
            f"{'that ' + utf8 if utf8 else 'with control characters'}: rename it"
        )


def _real(path: Path) -> str:
    """A path without links; one that links to itself stays, where `Path.resolve` raises."""
    return os.path.realpath(path)


def _not_taken(found: list[PoolImage], taken: set[str]) -> list[PoolImage]:
    """Images whose files no earlier folder listed and that are no validation photographs."""
    kept = []
    for image in found:
        path = _real(image.path)
        if path not in taken:
            taken.add(path)
            kept.append(image)
    return kept
