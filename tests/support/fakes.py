"""Small datasets in the real layouts, made of drawn images; and where the real ones lie."""

import io
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from fsslib.data.palette import voc_palette


def _real() -> Path:
    """The folder of real photographs: `FSSLIB_REAL`, or a folder `real` beside the project."""
    given = os.environ.get("FSSLIB_REAL")
    beside = sorted(Path(__file__).resolve().parents[3].glob("*/real"))
    return Path(given) if given else next(iter(beside), Path("real"))


REAL = _real()

needs_voc = pytest.mark.skipif(
    not (REAL / "voc").is_dir(), reason=f"no real photographs: {REAL / 'voc'} does not exist"
)
needs_coco = pytest.mark.skipif(
    not (REAL / "coco-tiny").is_dir(), reason=f"no real COCO: {REAL / 'coco-tiny'} does not exist"
)


def photograph(seed: int, height: int = 40, width: int = 60) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def mask_values(seed: int, classes: list[int], height: int = 40, width: int = 60) -> np.ndarray:
    """Background with a bar of 255 on top and one block of rows for each class."""
    values = np.zeros((height, width), np.uint8)
    values[0] = 255
    for i, class_id in enumerate(classes):
        values[2 + 6 * i : 7 + 6 * i, 5 + seed % 7 : 40] = class_id
    return values


def png_bytes(values: np.ndarray, palette: bool = True) -> bytes:
    image = Image.fromarray(values)
    if palette:
        image.putpalette(list(voc_palette()))
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def jpeg_bytes(seed: int, height: int = 40, width: int = 60, orientation: int = 1) -> bytes:
    stream = io.BytesIO()
    exif = Image.Exif()
    if orientation != 1:
        exif[0x0112] = orientation
    photograph(seed, height, width).save(stream, "JPEG", quality=90, exif=exif)
    return stream.getvalue()


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def make_voc(root: Path, train: int = 4, val: int = 3, segmentation: str = "") -> Path:
    """A VOC-layout folder whose image `i` holds classes 1 + i % 20 and 1 + (i + 5) % 20."""
    for split, start, number in (("train", 0, train), ("val", train, val)):
        ids = [f"2007_{i:06d}" for i in range(start, start + number)]
        for i, image_id in enumerate(ids, start=start):
            classes = [1 + i % 20, 1 + (i + 5) % 20]
            write(root / "JPEGImages" / f"{image_id}.jpg", jpeg_bytes(i))
            values = mask_values(i, classes)
            write(root / "SegmentationClass" / f"{image_id}.png", png_bytes(values))
        write(root / "ImageSets" / segmentation / f"{split}.txt", "\n".join(ids).encode() + b"\n")
    return root


def sbd_mat(values: np.ndarray) -> bytes:
    """A file of SBD's `cls` folder: struct GTcls of Segmentation, Boundaries, CategoriesPresent."""
    boundaries = np.empty((20, 1), object)
    for i in range(20):
        boundaries[i, 0] = (values == i + 1).astype(np.uint8)
    present = np.unique(values[(values > 0) & (values < 255)]).astype(np.uint8).reshape(-1, 1)
    stream = io.BytesIO()
    struct = {"Segmentation": values, "Boundaries": boundaries, "CategoriesPresent": present}
    savemat(stream, {"GTcls": struct}, do_compression=True)
    return stream.getvalue()


def official_voc(root: Path) -> Path:
    """VOCdevkit/VOC2012 with train a b, val c d, and photographs e f g without masks."""
    base = root / "VOCdevkit" / "VOC2012"
    for i, image_id in enumerate("abcdefg"):
        write(base / "JPEGImages" / f"{image_id}.jpg", jpeg_bytes(i))
    for i, image_id in enumerate("abcd"):
        mask = png_bytes(mask_values(i, [1 + i]))
        write(base / "SegmentationClass" / f"{image_id}.png", mask)
        write(base / "SegmentationObject" / f"{image_id}.png", mask)
    for split, ids in (("train", "a\nb\n"), ("val", "c\nd\n"), ("trainval", "a\nb\nc\nd\n")):
        write(base / "ImageSets" / "Segmentation" / f"{split}.txt", ids.encode())
        write(base / "ImageSets" / "Main" / f"{split}.txt", b"zzz\n")
    return root


def official_sbd(root: Path) -> Path:
    """benchmark_RELEASE/dataset with masks of b (also VOC train), c (VOC val), e and f."""
    base = root / "benchmark_RELEASE" / "dataset"
    for i, image_id in enumerate("bcef", start=10):
        values = mask_values(i, [i - 5])
        values[0] = 0  # SBD marks no pixel as ignored
        write(base / "cls" / f"{image_id}.mat", sbd_mat(values))
        write(base / "inst" / f"{image_id}.mat", b"not read")
        write(base / "img" / f"{image_id}.jpg", jpeg_bytes(i))
    write(base / "train.txt", b"b\ne\n")
    write(base / "val.txt", b"c\nf\n")
    return root


def pack(folder: Path, archive: Path) -> Path:
    mode = "w:gz" if archive.suffix in (".tgz", ".gz") else "w"
    with tarfile.open(archive, mode) as tar:
        for child in sorted(folder.iterdir()):
            tar.add(child, child.name)
    return archive


def coco_json(images: list[dict], annotations: list[dict], categories: dict[int, str]) -> bytes:
    return json.dumps(
        {
            "images": images,
            "annotations": annotations,
            "categories": [{"id": i, "name": n} for i, n in categories.items()],
        }
    ).encode()
