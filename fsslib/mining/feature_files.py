"""The part of the feature store that does not need torch: files, their origin, prototype sums.

The origin says what made the features. Prototypes and sub-clusters carry it on, so that a stage can
refuse those of other weights.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from fsslib.errors import FsslibError
from fsslib.files.shards import shard_files
from fsslib.files.storage import Hdf5Writer, read_array, read_hdf5, read_ids, read_text

KIND, VERSION = "features", 1
REMEDY = "run the stage 'extract' again"

IntRows = NDArray[np.int64]
FloatRows = NDArray[np.float32]


CODE = 1
"""Version of the code that makes features.

Raise it when the same photographs, masks, weights and params give other features.
"""

ATTRIBUTE = "origin"


@dataclass(frozen=True)
class Origin:
    """What decides features beside the images.

    Attributes:
        backbone: name of the encoder; empty if a file does not say it.
        weights: see `fsslib.encoders.identity.weights_identity`.
        long_side: px to which photographs are scaled, None for their own size.
        code: `CODE` of the version that made them.
    """

    backbone: str
    weights: str
    long_side: int | None
    code: int = CODE


UNKNOWN = Origin("", "", None, 0)
"""Of files that do not say it."""


def write_origin(file: Hdf5Writer, origin: Origin) -> None:
    """Write the origin as an attribute, unless it is `UNKNOWN`."""
    if origin != UNKNOWN:
        file.text(ATTRIBUTE, json.dumps(asdict(origin)))


def read_origin(file: h5py.File) -> Origin:
    """Read the origin; a file without one has `UNKNOWN`.

    Raises:
        ValueError: the attribute is damaged.
    """
    text = read_text(file, ATTRIBUTE)
    if not text:
        return UNKNOWN
    raw = json.loads(text)
    if not isinstance(raw, dict) or {*raw} != {*asdict(UNKNOWN)}:
        raise ValueError("origin has other keys")
    return Origin(**raw)


def require_origin(found: Origin, wanted: Origin, path: Path, step: str) -> None:
    """Raise `FsslibError` unless a file was made with the weights and size that are wanted.

    Args:
        found: what the file says.
        wanted: what the params say.
        path: the file or folder.
        step: stage to run again.
    """
    if found == wanted:
        return
    remedy = f"run the stages from '{step}' again"
    if found == UNKNOWN:
        raise FsslibError(f"{path} does not say which weights made it: {remedy}")
    for name, value in asdict(found).items():
        expected = getattr(wanted, name)
        if value != expected:
            raise FsslibError(
                f"{path} was made with {name} {_short(value)}, not {_short(expected)}: {remedy}"
            )


def _short(value: object) -> str:
    """A value for a message; of a hash, the start."""
    text = "null" if value is None else str(value)
    return f"{text[:12]}..." if len(text) == 64 else text


def feature_files(folder: Path) -> list[Path]:
    """List the shards of a feature store in order.

    Raises:
        FsslibError: there is no shard.
    """
    files = shard_files(folder, ".h5")
    if not files:
        raise FsslibError(f"{folder} holds no features: {REMEDY}")
    return files


def features_origin(folder: Path) -> Origin:
    """What made the features of a folder.

    Raises:
        FsslibError: there is no shard, or two of them do not fit together.
    """
    found: list[Origin] = []
    for path in feature_files(folder):
        with read_hdf5(path, KIND, VERSION, REMEDY) as file:
            found.append(read_origin(file))
        require_origin(found[-1], found[0], path, "extract")
    return found[0]


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
