"""The part of the feature store that does not need torch: file names and prototype sums."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fsslib.errors import FsslibError
from fsslib.files.shards import shard_files
from fsslib.files.storage import read_array, read_hdf5, read_ids

KIND, VERSION = "features", 1
REMEDY = "run the stage 'extract' again"

IntRows = NDArray[np.int64]
FloatRows = NDArray[np.float32]


def feature_files(folder: Path) -> list[Path]:
    """List the shards of a feature store in order.

    Raises:
        FsslibError: there is no shard.
    """
    files = shard_files(folder, ".h5")
    if not files:
        raise FsslibError(f"{folder} holds no features: {REMEDY}")
    return files


def prototype_rows(folder: Path) -> Iterator[tuple[list[str], IntRows, FloatRows, FloatRows]]:
    """Yield for each shard the image ids, class ids, sums (n, C) and counts (n,) of its rows."""
    for path in feature_files(folder):
        with read_hdf5(path, KIND, VERSION, REMEDY) as file:
            images, channels = file["embedding"].shape
            ids = read_ids(file, images)
            sums = read_array(file, "row_sum", "float32", None, channels)
            counts = read_array(file, "row_count", "float32", len(sums))
            classes = read_array(file, "row_class", "int64", len(sums))
            owner = read_array(file, "row_image", "int64", len(sums))
            if len(sums) and not (owner.min() >= 0 and owner.max() < images and counts.min() > 0):
                raise ValueError("rows of no image or no pixel")
        yield [ids[i] for i in owner], classes, sums, counts
