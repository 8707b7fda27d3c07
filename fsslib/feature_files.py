"""What of the feature store needs no torch: its files' names, and the rows of prototype sums."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fsslib.errors import FsslibError
from fsslib.shards import shard_files
from fsslib.storage import read_hdf5

KIND, VERSION = "features", 1
REMEDY = "run the stage 'extract' again"

IntRows = NDArray[np.int64]
FloatRows = NDArray[np.float32]


def feature_files(folder: Path) -> list[Path]:
    """The shards of a feature store in order; none is an `FsslibError`."""
    files = shard_files(folder, ".h5")
    if not files:
        raise FsslibError(f"{folder} holds no features: {REMEDY}")
    return files


def prototype_rows(folder: Path) -> Iterator[tuple[list[str], IntRows, FloatRows, FloatRows]]:
    """Yield per shard: image id, class id, sum (n, C) and count (n,) of every row."""
    for path in feature_files(folder):
        with read_hdf5(path, KIND, VERSION, REMEDY) as file:
            ids = [raw.decode() for raw in file["image_id"][:]]
            owners = [ids[i] for i in file["row_image"][:]]
            rows = owners, file["row_class"][:], file["row_sum"][:], file["row_count"][:]
        yield rows
