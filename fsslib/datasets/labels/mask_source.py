"""Annotations made of mask files: index, colour and binary masks, CVAT's and Roboflow's."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fsslib.data.images import read_mask, size_and_orientation, turn
from fsslib.datasets.labels.detect import Found, roboflow_folders
from fsslib.datasets.labels.mask_reading import Decision, MaskOptions, MaskReading
from fsslib.datasets.labels.pairing import guess_suffix, pair_files
from fsslib.datasets.labels.source import Converted, Listing, Plan, large_classes
from fsslib.datasets.labels.splits import split_of_path
from fsslib.datasets.labels.tool_masks import (
    CVAT_FILE,
    CVAT_FOLDER,
    ROBOFLOW_FILE,
    ROBOFLOW_SUFFIX,
    ToolNames,
    read_labelmap,
    read_roboflow,
)
from fsslib.datasets.sources.building import Progress, encode_mask, is_done, put
from fsslib.datasets.sources.classes_file import ClassesFile
from fsslib.datasets.sources.own_masks import Pair, lookup, read_any_mask
from fsslib.errors import FsslibError


@dataclass(frozen=True)
class MaskJob:
    """One mask to convert, and the pixels that it lies on: `displayed` or `stored`."""

    pair: Pair
    target: Path
    reading: MaskReading
    exif: str

    def __call__(self) -> Converted:
        """Write the mask.

        Raises:
            FsslibError: an undefined value, or another size than the photograph's.
        """
        height, width, orientation = size_and_orientation(self.pair.image)
        source, target = self.pair.mask, self.target
        if is_done(target) and target.stat().st_mtime_ns >= source.stat().st_mtime_ns:
            return Converted(orientation != 1, large=large_classes(read_mask(target)))
        raw = read_any_mask(source, self.reading.by_color)
        values = lookup(self.reading.table)[raw]
        if (values < 0).any():
            row, column = np.argwhere(values < 0)[0]
            what = _describe(int(raw[row, column]), self.reading.by_color)
            raise FsslibError(
                f"mask {source} holds {what} at row {row}, column {column}, which "
                f"{self.reading.named_in} does not define: name it or correct the mask"
            )
        mask = values.astype(np.uint8)
        if self.exif == "stored":
            mask = turn(mask, orientation)
        if mask.shape != (height, width):
            hint = "replace one of them"
            if mask.shape == (width, height) and orientation >= 5:
                hint = "the photograph has an EXIF rotation, use --exif stored if masks ignore it"
            raise FsslibError(
                f"mask {source} is {mask.shape[1]}x{mask.shape[0]} px, its photograph "
                f"{self.pair.image} {width}x{height} px: {hint}"
            )
        put(target, encode_mask(mask))
        return Converted(orientation != 1, large=large_classes(mask))


def _describe(raw: int, by_color: bool) -> str:
    return f"colour #{raw:06x}" if by_color else f"class id {raw}"


class MaskSource:
    """Masks beside or apart from their photographs."""

    def __init__(self, found: Found, images: Path, options: MaskOptions) -> None:
        """List the pairs.

        Raises:
            FsslibError: see `pair_files`.
        """
        self._options, self._names = options, None if found.kind == "masks" else _tool_names(found)
        self._folders = images, found.folder
        places = [(images, found.folder)]
        suffix = options.suffix
        if found.kind == "cvat":
            places = [(images, found.folder / CVAT_FOLDER)]
        elif found.kind == "roboflow":
            places = [(folder, folder) for folder in roboflow_folders(found.folder)]
            suffix = suffix or ROBOFLOW_SUFFIX
        pairs, lone, splits = list[Pair](), list[Path](), dict[str, str]()
        for photographs, masks in places:
            here, without = pair_files(
                photographs, masks, suffix or guess_suffix(photographs, masks)
            )
            split = split_of_path(photographs / "_") if len(places) > 1 else None
            splits |= {pair.id: split for pair in here if split is not None}
            pairs, lone = pairs + here, lone + without
        self._pairs = {pair.id: pair for pair in sorted(pairs, key=lambda p: p.id)}
        if len(self._pairs) < len(pairs):
            raise FsslibError(f"{found.folder} holds two photographs with one name: rename one")
        self.listing = Listing({i: p.image for i, p in self._pairs.items()}, lone, splits)

    def plan(
        self,
        used: Sequence[str],
        classes: ClassesFile | None,
        processes: int,
        on_progress: Progress,
    ) -> Plan:
        """Decide what the values mean; see `Source.plan`."""
        decision = Decision(self._options, self._folders, self._names)
        pairs = [self._pairs[i] for i in used]
        kind, names, reading = decision.decide(pairs, classes, processes, on_progress)

        def job(image_id: str, target: Path) -> MaskJob:
            return MaskJob(self._pairs[image_id], target, reading, self._options.exif)

        return Plan(kind, names, job, decision.notes, repr(reading))


def _tool_names(found: Found) -> ToolNames:
    if found.kind == "cvat":
        return read_labelmap(found.folder / CVAT_FILE)
    return read_roboflow(roboflow_folders(found.folder)[0] / ROBOFLOW_FILE)
