"""The pool: images that get pseudo-masks for latent class mining; their labels are not read."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fsslib.data.images import UInt8, decode_photograph, photo_suffixes, read_image
from fsslib.data.listing import photographs_below
from fsslib.data.manifest import Manifest
from fsslib.data.tar_shards import TarMember, list_tars, names_tars
from fsslib.data.unread import describe_unread, unread_files
from fsslib.errors import FsslibError

LABELLED = ("train", "remaining")
"""Sources within the dataset; any other source is a folder."""


@dataclass(frozen=True)
class PoolImage:
    """One image of the pool.

    Attributes:
        id: unique in the pool.
        path: of the photograph; of one in a tar file, a path below that, which only names it.
        member: the photograph in a tar file, None if it is a file of its own.
    """

    id: str
    path: Path
    member: TarMember | None = None

    def read(self) -> UInt8:
        """Read the photograph, (H, W, 3) uint8, as `images.read_image`.

        Raises:
            FsslibError: see `images.read_image`.
        """
        if self.member is None:
            return read_image(self.path)
        return decode_photograph(self.path, self.member.read()).values


@dataclass(frozen=True)
class PoolSource:
    """Where pool images come from.

    Attributes:
        source: `train` (labelled images of the fold), `remaining` (training images without any base
            class), a folder of images, searched with its sub-folders, or tar files, such as
            `pool-{000000..000099}.tar`.
        cap: maximum number of images, drawn at random by the seed; None for all.
    """

    source: str
    cap: int | None = None


def build_pool(
    manifest: Manifest,
    fold: int,
    sources: Sequence[PoolSource],
    seed: int,
    base_dir: Path,
    cache: Path | None = None,
) -> list[PoolImage]:
    """List the pool of a fold in sorted id order.

    Args:
        manifest: manifest of the dataset; validation images never enter the pool, neither by id nor
            by a link, symbolic or hard, in a folder.
        fold: fold that determines which images are `train` and which are `remaining`.
        sources: sources to join. An image in two sources is listed once: a folder leaves out files
            of the dataset's sources and of earlier folders, links included.
        seed: seed of the draw when a source has a cap.
        base_dir: folder that relative folders are relative to.
        cache: folder where the content of tar files is listed, so that their headers are read once.

    Raises:
        FsslibError: a folder is missing or holds no images, or the pool is empty.
    """
    pool: dict[str, PoolImage] = {}
    taken: set[FileKey] = set()
    for number, source in enumerate(sources):
        found = _list_source(manifest, fold, source.source, number, base_dir, cache)
        if is_folder(source.source, base_dir):
            # Built only when there is a folder, because each file costs a system call.
            taken = taken or _dataset_files(manifest, fold, sources, base_dir)
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
    manifest: Manifest,
    fold: int,
    source: str,
    number: int,
    base_dir: Path,
    cache: Path | None = None,
) -> list[PoolImage]:
    if source in LABELLED:
        labelled = {record.id for record in manifest.labelled(fold)}
        return [
            PoolImage(record.id, manifest.image_path(record))
            for record in manifest.train
            if (record.id in labelled) == (source == "train")
        ]
    if not is_folder(source, base_dir):
        members = list_tars(source, base_dir, cache)
        return [PoolImage(f"@{number}/{name}", m.path, m) for name, m in members]
    folder = pool_folder(base_dir, source)
    names = photographs_below(folder)
    if not names:
        others = unread_files(folder, below=True)
        seen = f"; {describe_unread(others)}" if others else ""
        read = ", ".join(photo_suffixes())
        raise FsslibError(f"unlabeled: {folder} holds no image ({read}){seen}")
    for name in names:
        _check_name(name, folder)
    # '@' keeps these ids distinct from the dataset's ids.
    return [PoolImage(f"@{number}/{name}", folder / name) for name in names]


def pool_folder(base_dir: Path, source: str) -> Path:
    """Folder of a source that is neither `train` nor `remaining`.

    Raises:
        FsslibError: it does not exist.
    """
    folder = base_dir / source
    if not folder.is_dir():
        raise FsslibError(
            f"unlabeled: {source!r} is neither 'train' nor 'remaining' nor a folder: {folder}"
        )
    return folder


def is_folder(source: str, base_dir: Path) -> bool:
    """Whether a source is a folder (perhaps a missing one), and not tar files."""
    if source in LABELLED:
        return False
    return not names_tars(source) or (base_dir / source).is_dir()


def unread_in_pool(sources: Sequence[PoolSource], base_dir: Path) -> dict[Path, tuple[str, ...]]:
    """Folders of the pool -> files in them, or below, that are not read; see `unread_files`."""
    folders = [base_dir / s.source for s in sources if is_folder(s.source, base_dir)]
    found = {folder: unread_files(folder, below=True) for folder in folders}
    return {folder: names for folder, names in found.items() if names}


def _check_name(name: str, folder: Path) -> None:
    """Raise `FsslibError` unless a file name is printable, since names become ids and log lines."""
    if not name.isprintable():
        utf8 = "is not UTF-8" if any("\ud800" <= c <= "\udfff" for c in name) else ""
        raise FsslibError(
            f"unlabeled: {name!r} in {folder} has a name "
            f"{'that ' + utf8 if utf8 else 'with control characters'}: rename it"
        )


FileKey = tuple[int, int] | str
"""Device and number of a file, which all of its links share; its path where it cannot be read."""


def _file_key(path: Path) -> FileKey:
    try:
        found = path.stat()
    except OSError:  # it is missing, or a link to itself
        return os.path.realpath(path)
    return found.st_dev, found.st_ino


def _dataset_files(
    manifest: Manifest, fold: int, sources: Sequence[PoolSource], base_dir: Path
) -> set[FileKey]:
    """Files of the validation images, and of the training images that `sources` name."""
    found = {_file_key(manifest.image_path(r)) for r in manifest.val}
    for number, source in enumerate(sources):
        if source.source in LABELLED:
            images = _list_source(manifest, fold, source.source, number, base_dir)
            found |= {_file_key(image.path) for image in images}
    return found


def _not_taken(found: list[PoolImage], taken: set[FileKey]) -> list[PoolImage]:
    """Images whose files are not in `taken`, to which they are added."""
    kept = []
    for image in found:
        key = _file_key(image.path)
        if key not in taken:
            taken.add(key)
            kept.append(image)
    return kept
