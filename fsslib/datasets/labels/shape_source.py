"""Annotations made of shapes, as masks: LabelMe, COCO, Label Studio and YOLO."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fsslib.data.folds import IGNORE, MAX_CLASS_ID
from fsslib.data.images import UInt8, size_and_orientation, turn
from fsslib.datasets.labels.coco_json import read_coco
from fsslib.datasets.labels.detect import Found
from fsslib.datasets.labels.label_set import LabelledImage, LabelSet, noted
from fsslib.datasets.labels.label_studio import read_label_studio
from fsslib.datasets.labels.labelme import read_labelme
from fsslib.datasets.labels.photographs import Photographs
from fsslib.datasets.labels.shapes import draw
from fsslib.datasets.labels.source import Converted, Listing, Plan, large_classes
from fsslib.datasets.labels.yolo import read_yolo
from fsslib.datasets.sources.building import Progress, encode_mask, is_done, put
from fsslib.datasets.sources.classes_file import ClassesFile
from fsslib.errors import FsslibError

READERS = {"labelme": read_labelme, "coco": read_coco, "label-studio": read_label_studio}


def read_shapes(found: Found, photographs: Photographs, exif: str) -> LabelSet:
    """Read annotations of any format that draws shapes.

    Raises:
        FsslibError: see the reader of the format.
    """
    if found.kind == "yolo":
        return read_yolo(found.folder, photographs, exif)
    return READERS[found.kind](found.files, photographs)


@dataclass(frozen=True)
class ShapeJob:
    """One mask to draw.

    Attributes:
        image: photograph and shapes.
        ids: label -> mask value.
        exif: pixels that shapes lie on where sizes do not tell: `displayed` or `stored`.
        target: file to write.
    """

    image: LabelledImage
    ids: dict[str, int]
    exif: str
    target: Path

    def __call__(self) -> Converted:
        """Draw and write the mask, turned as its photograph is shown.

        Raises:
            FsslibError: annotated for another size, or a malformed shape.
        """
        mask, empty, orientation = drawn_mask(self.image, self.ids, self.exif)
        if not is_done(self.target):
            put(self.target, encode_mask(mask))
        return Converted(orientation != 1, tuple(empty), large_classes(mask))


def drawn_mask(
    image: LabelledImage, ids: Mapping[str, int], exif: str
) -> tuple[UInt8, list[str], int]:
    """Draw the shapes of a photograph as it is shown.

    Sizes tell whether shapes lie on the stored or the displayed pixels. Where both sizes are the
    same, `exif` tells.

    Args:
        image: photograph and shapes.
        ids: label -> mask value.
        exif: `displayed` or `stored`.

    Returns:
        (H, W) uint8 of the displayed size, shapes that cover no pixel, and the photograph's EXIF
        orientation.

    Raises:
        FsslibError: annotated for another size, or a malformed shape.
    """
    height, width, orientation = size_and_orientation(image.image)
    stored = (width, height) if orientation >= 5 else (height, width)
    given = (image.height or height, image.width or width)
    if given not in ((height, width), stored):
        raise FsslibError(
            f"{image.source} annotates {given[1]}x{given[0]} px, its photograph {image.image} "
            f"has {width}x{height} px: replace one of them"
        )
    try:
        mask, empty = draw(image.shapes, ids, *given, IGNORE)
    except ValueError as error:
        raise FsslibError(f"{image.source}: {error}: correct it") from None
    turned = exif == "stored" if stored == (height, width) else given == stored
    return turn(mask, orientation) if turned else mask, empty, orientation


class ShapeSource:
    """Annotations that were read into shapes."""

    def __init__(self, found: Found, images: Path, exif: str, name: str | None = None) -> None:
        """Read everything.

        Args:
            found: annotations and their format.
            images: folder of the photographs.
            exif: see `drawn_mask`.
            name: of the class where there is one label only, instead of the label.

        Raises:
            FsslibError: see `read_shapes`; two files for one photograph; no class.
        """
        photographs = Photographs(images)
        self._labels = read_shapes(found, photographs, exif)
        self._exif, self._others, self._name = exif, found.others, name
        of_image: dict[Path, LabelledImage] = {}
        for image in self._labels.images:
            if image.image in of_image:
                raise FsslibError(
                    f"photograph {image.image} has two annotations, {of_image[image.image].source} "
                    f"and {image.source}: keep one"
                )
            of_image[image.image] = image
        ids = photographs.ids(list(of_image))
        self._images = dict(zip(ids, of_image.values(), strict=True))
        if not self._labels.names:
            raise FsslibError(
                f"{found.folder} labels no area ({found.kind}, {len(of_image)} photographs): "
                f"{'; '.join(self._labels.notes()) or 'draw shapes first'}"
            )
        self.listing = Listing(
            {i: self._images[i].image for i in sorted(self._images)},
            sorted(set(photographs.paths.values()) - set(of_image)),
            {i: image.split for i, image in self._images.items() if image.split is not None},
            sorted({image.source for image in self._labels.images}),
        )

    def plan(
        self,
        used: Sequence[str],
        classes: ClassesFile | None,
        processes: int,
        on_progress: Progress,
    ) -> Plan:
        """Number the labels from 1, or as `classes.yaml` says; see `Source.plan`."""
        del used, processes, on_progress
        names = self._labels.names
        if self._name is not None and (classes is not None or len(names) != 1):
            raise FsslibError(
                f"--name {self._name} names the only class, the labels are {', '.join(names)}: "
                "name them in --classes alone"
            )
        if classes is None:
            if len(names) > MAX_CLASS_ID:
                raise FsslibError(f"{len(names)} classes, masks hold {MAX_CLASS_ID}: merge some")
            numbered = dict(enumerate(names, start=1))
        else:
            numbered = dict(classes.classes)
            unknown = sorted(set(names) - set(numbered.values()))
            if unknown:
                raise FsslibError(
                    f"label {unknown[0]!r} is not named in --classes ({len(unknown)} in all): "
                    "name it or rename the label"
                )
        ids = {name: number for number, name in numbered.items()} | self._labels.fixed
        if self._name is not None:
            numbered = {1: self._name}

        def job(image_id: str, target: Path) -> ShapeJob:
            return ShapeJob(self._images[image_id], ids, self._exif, target)

        notes = self._labels.notes()
        if self._others:
            notes.append(noted("JSON of no known format", map(str, self._others)))
        return Plan(self._labels.kind, numbered, job, notes, repr(sorted(ids.items())))
