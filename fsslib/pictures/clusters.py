"""Pictures of the sub-clusters, with the most typical regions of each (figures 2 and 3)."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fsslib.data.folds import IGNORE
from fsslib.data.images import UInt8, read_image, read_mask
from fsslib.data.manifest import ImageRecord, Manifest
from fsslib.errors import FsslibError
from fsslib.mining.clusters import Clusters
from fsslib.mining.prototypes import FoldPrototypes
from fsslib.pictures.panels import TRUTH, grid, overlay

EACH = 8
"""Number of regions shown per sub-cluster."""
MOST = 20
"""Largest number of sub-clusters shown. It covers COCO's 15, and the sheet still fits a screen."""
WIDTH, HEIGHT = 160, 120
"""Size of a tile, px."""
PADDING = 1.2
"""Size of a crop relative to its region. The surroundings show what a part belongs to."""
SMALLEST = 48
"""Smallest height of a crop, px. A smaller crop would show nothing but blur."""
MAIN = 5
"""Largest number of classes named in a heading."""


def typical_regions(
    clusters: Clusters, prototypes: FoldPrototypes, number: int, count: int = EACH
) -> NDArray[np.int64]:
    """Return the foreground prototypes nearest to a sub-cluster's centre, one per image.

    An image appears twice only if the sub-cluster has fewer than `count` images.

    Args:
        clusters: clusters of the fold.
        prototypes: the prototypes that were clustered.
        number: number of the sub-cluster, 1 to K.
        count: number of prototypes wanted.

    Returns:
        (n,) rows of `prototypes.foreground`, nearest first, n <= `count`; ties by image id.
    """
    rows = np.flatnonzero(clusters.assignment == number)
    images = prototypes.foreground_image[rows]
    # K-Means minimises the Euclidean distance, not the cosine.
    offsets = prototypes.foreground[rows] - clusters.prototypes[number]
    distances = np.square(offsets).sum(axis=1, dtype=np.float64)
    order = np.lexsort((prototypes.foreground_class[rows], images, distances))
    repeats = np.ones(len(rows), bool)
    repeats[np.unique(images[order], return_index=True)[1]] = False
    chosen = np.sort(np.argsort(repeats, kind="stable")[:count])
    return rows[order[chosen]]


def crop_box(inside: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Return a padded box around a region, inside the photograph.

    The box has a tile's shape if there is room for it.

    Args:
        inside: (H, W) bool, true somewhere.

    Returns:
        left, top, right, bottom in px; right and bottom are outside the box.
    """
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    tall, wide = (PADDING * (line[-1] + 1 - line[0]) for line in (rows, columns))
    height = max(tall, wide * HEIGHT / WIDTH, SMALLEST)
    top, bottom = _span(rows, height, inside.shape[0])
    left, right = _span(columns, height * WIDTH / HEIGHT, inside.shape[1])
    return left, top, right, bottom


def _span(line: NDArray[np.int64], wanted: float, limit: int) -> tuple[int, int]:
    """Return a span of `wanted` px around a region, shifted and cut to lie within 0 and `limit`."""
    length = min(round(wanted), limit)
    middle = (int(line[0]) + int(line[-1]) + 1) / 2
    start = min(max(0, round(middle - length / 2)), limit - length)
    return start, start + length


def show_region(image: UInt8, inside: NDArray[np.bool_]) -> Image.Image:
    """Draw a tile of the photograph with the region outlined and its surroundings gray and pale.

    Args:
        image: (H, W, 3) uint8.
        inside: (H, W) bool, true somewhere.
    """
    box = crop_box(inside)
    width, height = box[2] - box[0], box[3] - box[1]
    scale = min(WIDTH / width, HEIGHT / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    # The photograph is scaled first, so that the outline is equally wide in every tile.
    photograph = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC, box)
    region = Image.fromarray(inside.astype(np.uint8)).resize(size, Image.Resampling.NEAREST, box)
    shown = np.where(np.asarray(region) == 1, 1, IGNORE).astype(np.uint8)
    # The surroundings are also gray: if they were only pale, a white cat on a black sofa would
    # look like the region.
    gray = np.asarray(photograph.convert("L"))[:, :, None]
    canvas = np.where(shown[:, :, None] == 1, np.asarray(photograph), gray)
    tile = Image.new("RGB", (WIDTH, HEIGHT), "white")
    corner = (WIDTH - size[0]) // 2, (HEIGHT - size[1]) // 2
    tile.paste(overlay(canvas, shown, TRUTH, tint=0), corner)
    return tile


def heading(classes: NDArray[np.int64], names: Mapping[int, str]) -> list[str]:
    """Return lines that give the size of a sub-cluster and its main classes.

    Args:
        classes: (n,) class id of each prototype of the sub-cluster.
        names: class id -> name.
    """
    values, counts = np.unique(classes, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    lines = [f"{len(classes)} prototypes"]
    for i in order[:MAIN]:
        lines.append(f"{_percent(counts[i], len(classes))} {names[int(values[i])]}")
    rest = order[MAIN:]
    if len(rest):
        kinds = "class" if len(rest) == 1 else "classes"
        share = _percent(int(counts[rest].sum()), len(classes))
        lines.append(f"{share} in {len(rest)} more {kinds}")
    return lines


def _percent(part: int, whole: int) -> str:
    share = round(100 * part / whole)
    return f"{share} %" if share else "<1 %"


def _text_tile(lines: list[str]) -> Image.Image:
    tile = Image.new("RGB", (WIDTH, HEIGHT), "white")
    font = ImageFont.load_default(size=13)
    ImageDraw.Draw(tile).multiline_text((2, 2), "\n".join(lines), "black", font, spacing=3)
    return tile


def cluster_sheet(manifest: Manifest, clusters: Clusters, prototypes: FoldPrototypes) -> bytes:
    """Draw one row per sub-cluster, largest first: its main classes and its most typical regions.

    Args:
        manifest: manifest of the dataset.
        clusters: clusters of the fold.
        prototypes: the prototypes that were clustered.

    Returns:
        A PNG with at most `MOST` sub-clusters; the last caption says how many are left out.

    Raises:
        FsslibError: an image or a mask cannot be read, or differs from what was collected.
    """
    records = {record.id: record for record in manifest.train}
    rows = []
    for number in range(1, min(clusters.k, MOST) + 1):
        classes = prototypes.foreground_class[clusters.assignment == number]
        row = [(f"sub-cluster {number}", _text_tile(heading(classes, manifest.classes)))]
        for i in typical_regions(clusters, prototypes, number):
            class_id = int(prototypes.foreground_class[i])
            image_id = str(prototypes.foreground_image[i])
            picture = _region(manifest, records.get(image_id), image_id, class_id)
            row.append((manifest.classes[class_id], picture))
        rows.append(row)
    if clusters.k > MOST:
        rows.append([(f"{clusters.k - MOST} of {clusters.k} not shown", _text_tile([]))])
    return grid(rows, HEIGHT)


def _region(
    manifest: Manifest, record: ImageRecord | None, image_id: str, class_id: int
) -> Image.Image:
    # If a step is run by hand, the dataset may differ from the one that was collected.
    remedy = "run the stages 'prepare', 'extract' and 'collect' again"
    if record is None:
        raise FsslibError(f"collected image {image_id} is not in the manifest: {remedy}")
    image = read_image(manifest.image_path(record), record.size)
    mask = read_mask(manifest.mask_path(record), record.size)
    inside = mask == class_id
    if image.shape[:2] != mask.shape or not inside.any():
        name = manifest.classes[class_id]
        raise FsslibError(
            f"image {image_id} and its mask do not show class {name} as collected: {remedy}"
        )
    return show_region(image, inside)
