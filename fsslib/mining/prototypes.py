"""Prototypes of every (image, class), and the prototypes of a fold (eq. 2, section 3.3.1)."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fsslib.data.folds import BACKGROUND
from fsslib.errors import FsslibError
from fsslib.files.storage import create_hdf5, read_array, read_hdf5, read_ids
from fsslib.mining.feature_files import (
    UNKNOWN,
    Origin,
    features_origin,
    prototype_rows,
    read_origin,
    write_origin,
)

KIND, VERSION = "prototypes", 1
REMEDY = "run the stage 'collect' again"


@dataclass(frozen=True)
class PrototypeTable:
    """Prototype sums, one row per (image, class) in sorted order; class 0 is the background.

    Attributes:
        image_id: (n,) image ids.
        class_id: (n,) int64.
        sums: (n, C) float32, sums of the features over the class's pixels.
        counts: (n,) float32, number of those pixels.
        origin: what made the features.
    """

    image_id: NDArray[np.str_]
    class_id: NDArray[np.int64]
    sums: NDArray[np.float32]
    counts: NDArray[np.float32]
    origin: Origin = UNKNOWN


@dataclass(frozen=True)
class FoldPrototypes:
    """Foreground prototypes P_fg and background prototypes P_bg of a fold.

    Attributes:
        foreground: (n_fg, C) float32, one per (image, base class).
        foreground_class: (n_fg,) int64.
        foreground_image: (n_fg,) image ids.
        background: (n_bg, C) float32, one per labelled image that has background pixels.
        origin: what made the features.
    """

    foreground: NDArray[np.float32]
    foreground_class: NDArray[np.int64]
    foreground_image: NDArray[np.str_]
    background: NDArray[np.float32]
    origin: Origin = UNKNOWN


def collect_prototypes(folder: Path) -> PrototypeTable:
    """Gather the sums of all shards in a feature store into one table, sorted by image and class.

    Raises:
        FsslibError: the folder holds no features, or no prototype, or not all shards were made with
            the same weights.
    """
    origin = features_origin(folder)
    ids, classes, sums, counts = [], [], [], []
    for owner, class_id, row_sum, row_count in prototype_rows(folder):
        ids += owner
        classes.append(class_id)
        sums.append(row_sum)
        counts.append(row_count)
    if not ids:
        raise FsslibError(f"{folder} holds no prototype, every mask is ignored: check the masks")
    image_id, class_id = np.array(ids), np.concatenate(classes)
    order = np.lexsort((class_id, image_id))
    return PrototypeTable(
        image_id[order],
        class_id[order],
        np.concatenate(sums)[order],
        np.concatenate(counts)[order],
        origin,
    )


def fold_prototypes(
    table: PrototypeTable, base: Collection[int], novel: Collection[int]
) -> FoldPrototypes:
    """Compute P_fg and P_bg of a fold.

    Novel classes are background in training, so their sums and counts are added to those of the
    background. The result is exactly eq. 2 with a mask in which novel classes are 0. Only images
    that hold a base class are labelled images of the fold (D_tr); other images give no prototype.

    Raises:
        FsslibError: no image holds a base class.
    """
    is_base = np.isin(table.class_id, list(base))
    labelled = np.unique(table.image_id[is_base])
    if not len(labelled):
        raise FsslibError("no training image holds a base class of this fold: check the masks")
    is_back = np.isin(table.class_id, [BACKGROUND, *novel]) & np.isin(table.image_id, labelled)
    owner = np.searchsorted(labelled, table.image_id[is_back])
    sums = np.zeros((len(labelled), table.sums.shape[1]), np.float64)
    counts = np.zeros(len(labelled), np.float64)
    np.add.at(sums, owner, table.sums[is_back])
    np.add.at(counts, owner, table.counts[is_back])
    present = counts > 0
    return FoldPrototypes(
        foreground=table.sums[is_base] / table.counts[is_base, None],
        foreground_class=table.class_id[is_base],
        foreground_image=table.image_id[is_base],
        background=(sums[present] / counts[present, None]).astype(np.float32),
        origin=table.origin,
    )


def save_prototypes(table: PrototypeTable, path: Path) -> None:
    """Write the table as HDF5."""
    with create_hdf5(path, KIND, VERSION) as file:
        write_origin(file, table.origin)
        file.put("image_id", np.char.encode(table.image_id))
        file.put("class_id", table.class_id)
        file.put("sum", table.sums)
        file.put("count", table.counts)


def load_prototypes(path: Path) -> PrototypeTable:
    """Read the table that `save_prototypes` wrote."""
    with read_hdf5(path, KIND, VERSION, REMEDY) as file:
        sums = read_array(file, "sum", "float32", None, None)
        counts = read_array(file, "count", "float32", len(sums))
        if not counts.size or counts.min() <= 0:
            raise ValueError("a row of no pixel")
        ids = np.array(read_ids(file, len(sums)))
        classes = read_array(file, "class_id", "int64", len(sums))
        return PrototypeTable(ids, classes, sums, counts, read_origin(file))
