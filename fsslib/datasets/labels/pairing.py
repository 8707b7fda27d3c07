"""Photographs and masks paired by their names, and a name for the only class."""

from pathlib import Path

from fsslib.data.images import PHOTO_SUFFIXES, photo_suffixes
from fsslib.data.manifest import check_id
from fsslib.datasets.layout import index_folder
from fsslib.datasets.sources.own_masks import Pair
from fsslib.errors import FsslibError

SUFFIXES = ("_mask", "-mask", "_masks", "_label", "_labels", "_seg", "_segmentation", "_gt")
"""What mask names commonly add to the photographs' names; tried where none is given."""

PLAIN_NAMES = ("masks", "mask", "labels", "label", "annotations", "images", "image", "photos",
               "train", "gt", "segmentationclass", "jpegimages", "data", "img", "imgs")  # fmt: skip
"""Names of folders that name no class."""


def pair_files(images: Path, masks: Path, suffix: str = "") -> tuple[list[Pair], list[Path]]:
    """Pair photographs and masks by name.

    Returns:
        The pairs in sorted id order, and the photographs without a mask.

    Raises:
        FsslibError: a folder is missing or holds no pair, a mask has no photograph, or a name
            stands for two files or is no plain id.
    """
    for option, folder in (("--images", images), ("--masks", masks)):
        if not folder.is_dir():
            raise FsslibError(f"{option} {folder} is not a folder: check the path")
    photos, labels = index_folder(images, photo_suffixes()), index_folder(masks, PHOTO_SUFFIXES)
    for folder, files in ((images, photos), (masks, labels)):
        for names in files.values():
            if len(names) > 1:
                raise FsslibError(f"{folder} holds {' and '.join(names)}: keep one of them")
    labels = {s.removesuffix(suffix): n for s, n in labels.items() if s.endswith(suffix)}
    if suffix and images.resolve() == masks.resolve():
        photos = {s: n for s, n in photos.items() if s.removesuffix(suffix) not in photos
                  or not s.endswith(suffix)}  # fmt: skip
    lone = sorted(set(labels) - set(photos))
    if lone:
        raise FsslibError(
            f"mask {masks / labels[lone[0]][0]} has no photograph in {images} ({len(lone)} in "
            "all): add it or remove the mask"
        )
    if not labels:
        raise FsslibError(
            f"{masks} holds no mask that ends in {suffix!r} ({', '.join(PHOTO_SUFFIXES)}): "
            "check --masks and --mask-suffix"
        )
    pairs = [Pair(check_id(i), images / photos[i][0], masks / labels[i][0]) for i in sorted(labels)]
    return pairs, [images / photos[i][0] for i in sorted(set(photos) - set(labels))]


def guess_suffix(images: Path, masks: Path) -> str:
    """What mask names add to photographs' names: nothing, or the common suffix that fits most."""
    if not images.is_dir() or not masks.is_dir():
        return ""
    photos = set(index_folder(images, photo_suffixes()))
    labels = set(index_folder(masks, PHOTO_SUFFIXES))
    fitting = {s: sum(n.endswith(s) and n.removesuffix(s) in photos for n in labels)
               for s in SUFFIXES}  # fmt: skip
    best = max(SUFFIXES, key=lambda s: fitting[s])
    same = images.resolve() == masks.resolve()
    return best if fitting[best] and (same or not labels & photos) else ""


def one_class_name(images: Path, masks: Path) -> str:
    """A name for the only class, from the names of the folders around its files."""
    for folder in (masks, images, masks.resolve().parent, images.resolve().parent):
        if folder.name and folder.name.lower() not in PLAIN_NAMES:
            return folder.name
    return "object"
