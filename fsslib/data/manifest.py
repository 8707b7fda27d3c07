"""The manifest: a list of a dataset's content, made once.

Later stages read the manifest instead of opening masks to find out what they contain.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from fsslib.data.folds import IGNORE
from fsslib.errors import FsslibError
from fsslib.files.storage import json_digest, read_json, write_bytes

VERSION = 2


@dataclass(frozen=True)
class ImageRecord:
    """One annotated image.

    Attributes:
        id: unique within its split, no path separator, no `..`.
        image: path of the photograph, relative to the dataset's root (or absolute).
        mask: path of the index mask, likewise.
        height: height of image and mask in px.
        width: width of image and mask in px.
        pixels: mask value -> number of pixels, for every value present (0 background, 255 ignore).
    """

    id: str
    image: str
    mask: str
    height: int
    width: int
    pixels: Mapping[int, int]

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in px."""
        return self.height, self.width

    def has_any(self, class_ids: Iterable[int], at_least: int = 1) -> bool:
        """Whether any of the classes covers at least `at_least` pixels."""
        return any(self.pixels.get(c, 0) >= at_least for c in class_ids)


@dataclass(frozen=True)
class Manifest:
    """A dataset: its classes, folds, and the records of both splits in sorted id order.

    Attributes:
        dataset: name (`procedural`, `pascal`, `coco`, `folder`).
        folds_rule: how the folds were made (`contiguous`, `strided`, `listed`).
        root: folder that the records' paths are relative to.
        classes: class id (1 to 254) -> name.
        folds: the novel class ids of each fold.
        train: records of the training split.
        val: records of the validation split.
        hidden: class ids of each fold that are neither trained nor scored; empty unless base
            classes play novel (`fsslib.data.holdout`).
    """

    dataset: str
    folds_rule: str
    root: Path
    classes: Mapping[int, str]
    folds: tuple[tuple[int, ...], ...]
    train: tuple[ImageRecord, ...]
    val: tuple[ImageRecord, ...]
    hidden: tuple[tuple[int, ...], ...] = ()

    def novel(self, fold: int) -> tuple[int, ...]:
        """Class ids that `fold` holds back for evaluation (C_te of section 3.1)."""
        if not 0 <= fold < len(self.folds):
            raise FsslibError(
                f"folds: {fold} is not one of 0 to {len(self.folds) - 1} of dataset {self.dataset}"
            )
        return self.folds[fold]

    def base(self, fold: int) -> tuple[int, ...]:
        """Class ids that `fold` trains on (C_tr of section 3.1).

        These are all classes that are neither novel nor hidden.
        """
        others = set(self.as_background(fold))
        return tuple(c for c in self.classes if c not in others)

    def as_background(self, fold: int) -> tuple[int, ...]:
        """Class ids that count as background in the training of `fold`: novel and hidden ones."""
        return (*self.novel(fold), *(self.hidden[fold] if self.hidden else ()))

    def labelled(self, fold: int) -> tuple[ImageRecord, ...]:
        """Training images that hold a base class of `fold`, the D_tr of section 3.1."""
        base = self.base(fold)
        return tuple(r for r in self.train if r.has_any(base))

    def image_path(self, record: ImageRecord) -> Path:
        """Path of the photograph."""
        return self.root / record.image

    def mask_path(self, record: ImageRecord) -> Path:
        """Path of the index mask."""
        return self.root / record.mask


def check_id(image_id: str) -> str:
    """Return `image_id` if it is a plain file stem, else raise `FsslibError`."""
    bad = not image_id or image_id.startswith(".") or PurePosixPath(image_id).name != image_id
    if bad or "\\" in image_id or not image_id.isprintable():
        raise FsslibError(
            f"image id {image_id!r} is not a plain file name: no separators, '..', leading dot or "
            "control characters; rename the file and its list entry"
        )
    return image_id


def _record_to_json(record: ImageRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "image": record.image,
        "mask": record.mask,
        "size": [record.height, record.width],
        "pixels": {str(c): n for c, n in sorted(record.pixels.items())},
    }


def _record_from_json(raw: dict[str, Any]) -> ImageRecord:
    height, width = raw["size"]
    pixels = {int(c): int(n) for c, n in raw["pixels"].items()}
    return ImageRecord(check_id(raw["id"]), raw["image"], raw["mask"], height, width, pixels)


def save_manifest(manifest: Manifest, path: Path, root: str | None) -> None:
    """Write the manifest, one image per line.

    Args:
        manifest: manifest to write.
        path: file to write.
        root: the dataset's root as the user gave it, or None when it is the manifest's folder. The
            resolved `manifest.root` is never written, so a second clone writes the same bytes.
    """
    head = {
        "kind": "fsslib-manifest",
        "version": VERSION,
        "dataset": manifest.dataset,
        "folds_rule": manifest.folds_rule,
        "root": root,
        "ignore": IGNORE,
        "classes": {str(c): name for c, name in manifest.classes.items()},
        "folds": [list(fold) for fold in manifest.folds],
    }
    if manifest.hidden:
        head["hidden"] = [list(fold) for fold in manifest.hidden]
    splits = {
        split: [_record_to_json(r) for r in sorted(getattr(manifest, split), key=lambda r: r.id)]
        for split in ("train", "val")
    }
    head["sha256"] = json_digest({**head, **splits})
    lines = [json.dumps(head, ensure_ascii=False)[:-1]]
    for split, records in splits.items():
        rows = ",\n".join(json.dumps(record, ensure_ascii=False) for record in records)
        lines.append(f', "{split}": [\n{rows}\n]')
    write_bytes(path, ("".join(lines) + "}\n").encode())


def load_manifest(path: Path, base_dir: Path | None = None) -> Manifest:
    """Read a manifest.

    Args:
        path: file written by `save_manifest`.
        base_dir: folder that a relative root is relative to; the working directory by default.

    Raises:
        FsslibError: the file is missing, broken, foreign, of another version, or was changed.
    """
    remedy = "run the stage 'prepare' again"
    raw = read_json(path, remedy)
    if not isinstance(raw, dict) or raw.get("kind") != "fsslib-manifest":
        raise FsslibError(f"{path} is not a dataset manifest: {remedy}")
    if raw.get("version") != VERSION:
        raise FsslibError(f"{path} has layout {raw.get('version')}, expected {VERSION}: {remedy}")
    if raw.pop("sha256", None) != json_digest(raw):
        raise FsslibError(f"{path} was changed, its sha256 does not fit its content: {remedy}")
    try:
        root = path.parent if raw["root"] is None else (base_dir or Path()) / raw["root"]
        return Manifest(
            dataset=raw["dataset"],
            folds_rule=raw["folds_rule"],
            root=root,
            classes={int(c): str(name) for c, name in raw["classes"].items()},
            folds=tuple(tuple(int(c) for c in fold) for fold in raw["folds"]),
            train=tuple(_record_from_json(r) for r in raw["train"]),
            val=tuple(_record_from_json(r) for r in raw["val"]),
            hidden=tuple(tuple(int(c) for c in fold) for fold in raw.get("hidden", ())),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FsslibError(f"{path} is damaged ({error!r}): {remedy}") from None
