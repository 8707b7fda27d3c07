"""COCO's JSON with any categories, as annotation tools write it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fsslib.data.images import MAX_PIXELS
from fsslib.datasets.labels.label_set import LabelledImage, LabelSet, doubles
from fsslib.datasets.labels.photographs import Photographs
from fsslib.datasets.labels.shapes import (
    Outline,
    Point,
    Polygons,
    Runs,
    Shape,
    box,
    polygon_problem,
)
from fsslib.datasets.labels.splits import split_of_path
from fsslib.errors import FsslibError

REMEDY = "export it again as COCO"


def is_coco(raw: object) -> bool:
    """Whether parsed JSON is COCO's."""
    return isinstance(raw, dict) and {"images", "annotations", "categories"} <= set(raw)


def read_coco(files: Mapping[Path, Any], photographs: Photographs) -> LabelSet:
    """Read one file or several, as of several splits.

    Categories become classes in the order of their ids, whatever these are. Files of one dataset
    have the same categories.

    Args:
        files: path -> parsed JSON.
        photographs: to find `file_name` among.

    Raises:
        FsslibError: a missing photograph, an unknown category, a double, or a malformed file.
    """
    found = LabelSet("coco", [], [])
    known: dict[int, str] = {}
    for path, raw in sorted(files.items()):
        try:
            known |= _categories(path, raw, known)
            found.images += _images(path, raw, known, photographs, found, len(files) > 1)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FsslibError(f"{path} is no COCO file ({error!r}): {REMEDY}") from None
    twice = doubles(str(image.image) for image in found.images)
    if twice:
        raise FsslibError(f"photograph {twice[0]} is annotated twice: keep one of the entries")
    used = found.used()
    found.names = [known[number] for number in sorted(known) if known[number] in used]
    return found


def _categories(path: Path, raw: Mapping[str, Any], known: Mapping[int, str]) -> dict[int, str]:
    names = {int(c["id"]): str(c["name"]).strip() for c in raw["categories"]}
    twice = doubles(names.values())
    if twice or len(names) != len(raw["categories"]):
        what = f"two categories are named {twice[0]!r}" if twice else "two categories have one id"
        raise FsslibError(f"{path}: {what}: give each its own")
    other = [number for number, name in names.items() if known.get(number, name) != name]
    if other:
        raise FsslibError(
            f"{path}: category {other[0]} is {names[other[0]]!r}, in another file "
            f"{known[other[0]]!r}: export all files with the same categories"
        )
    return names


def _images(
    path: Path,
    raw: Mapping[str, Any],
    known: Mapping[int, str],
    photographs: Photographs,
    found: LabelSet,
    several: bool,
) -> list[LabelledImage]:
    entries: dict[Any, list[Mapping[str, Any]]] = {image["id"]: [] for image in raw["images"]}
    if len(entries) != len(raw["images"]):
        raise FsslibError(f"{path}: two images have one id: {REMEDY}")
    for annotation in raw["annotations"]:
        number = annotation["image_id"]
        if number not in entries:
            raise FsslibError(
                f"{path}: annotation {annotation.get('id')} is of image {number!r}, which is not "
                f"listed: {REMEDY}"
            )
        entries[number].append(annotation)
    split = split_of_path(path) if several else None
    return [
        _image(path, image, entries[image["id"]], known, photographs, found, split)
        for image in raw["images"]
    ]


def _image(
    path: Path,
    raw: Mapping[str, Any],
    annotations: Sequence[Mapping[str, Any]],
    known: Mapping[int, str],
    photographs: Photographs,
    found: LabelSet,
    split: str | None,
) -> LabelledImage:
    name, height, width = str(raw["file_name"]), int(raw["height"]), int(raw["width"])
    if min(height, width) < 1 or height * width > MAX_PIXELS:
        raise FsslibError(f"{path}: image {name} claims {width}x{height} px: check the file")
    image = photographs.find(name)
    if image is None:
        raise FsslibError(
            f"{path}: photograph {name} is not in {photographs.root}: add it or remove its entry"
        )
    shapes = [_shape(a, name, known, path, (height, width), found) for a in annotations]
    drawn = tuple(shape for shape in shapes if shape is not None)
    return LabelledImage(image, path, height, width, drawn, split)


def _shape(
    raw: Mapping[str, Any],
    name: str,
    known: Mapping[int, str],
    path: Path,
    size: tuple[int, int],
    found: LabelSet,
) -> Shape | None:
    """A shape, or None where it is left out and counted."""
    where = f"annotation {raw.get('id')} of {name}"
    category = raw["category_id"]
    if category not in known:
        raise FsslibError(
            f"{path}: {where} has category {category!r}, which is not listed: {REMEDY}"
        )
    label, crowd = known[category], bool(raw.get("iscrowd", 0))
    drawn = raw.get("segmentation")
    if not drawn:
        return _boxed(raw, label, where, size, found)
    outline = _outline(drawn, where, size, found)
    return None if outline is None else Shape(label, outline, where, below=crowd)


def _outline(
    drawn: Any,  # noqa: ANN401 - RLE or polygons
    where: str,
    size: tuple[int, int],
    found: LabelSet,
) -> Outline | None:
    if isinstance(drawn, Mapping):
        counts = drawn["counts"]
        height, width = (int(v) for v in drawn["size"])
        return Runs(height, width, counts if isinstance(counts, str) else tuple(counts))
    rings = []
    for flat in drawn:
        pairs = zip(flat[::2], flat[1::2], strict=False)  # an odd number is told below
        points: list[Point] = [(float(x), float(y)) for x, y in pairs]
        problem = polygon_problem(points, *size)
        if problem or len(flat) % 2:
            found.leave_out(problem or "an odd number of coordinates", where)
        else:
            rings.append(tuple(points))
    return Polygons(tuple(rings)) if rings else None


def _boxed(
    raw: Mapping[str, Any], label: str, where: str, size: tuple[int, int], found: LabelSet
) -> Shape | None:
    """An annotation with a box alone: its pixels are ignored."""
    if not raw.get("bbox"):
        found.leave_out("neither outline nor box", where)
        return None
    x, y, width, height = (float(v) for v in raw["bbox"])
    outline = box(x, y, x + width, y + height)
    problem = polygon_problem(outline.rings[0], *size)
    if problem:
        found.leave_out(problem, where)
        return None
    found.leave_out("boxes without an outline; their pixels are ignored", where)
    return Shape(label, outline, where, vague=True)
