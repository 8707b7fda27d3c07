"""Cuts windows that show one large object each out of a sample in VOC layout.

    python -m benchmarks.single_objects --root data/voc-sample --out data/voc-single

Photographs of a crowded sample hide a second class in most backgrounds. Other photographs do not.
A setting that is right for one kind can be wrong for the other, so settings are chosen on both.
The result is a folder in VOC layout, for `--root` of the other benchmarks or `data_root`. The same
sample gives the same windows.

Of each photograph and each class with at least 3000 px in it, 60 random windows around the class
are tried. A window has sides of at least 160 px, shows at least three quarters of the class's
pixels, and is filled by it to at most three quarters. The one with the fewest pixels of other
classes is kept, if these are less than one hundredth of it.
"""

import argparse
import random
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from fsslib.data.folds import IGNORE

TRIES, SMALLEST_SIDE, SMALLEST_CLASS = 60, 160, 3000
LEAST_SHOWN, MOST_FILLED, MOST_OTHERS = 0.75, 0.75, 0.01
MARGINS = (-0.15, 0.6)
"""Range of each margin around the class's box, as a share of the box's side."""

Box = tuple[int, int, int, int]


def single_window(mask: npt.NDArray[np.uint8], class_id: int, rng: random.Random) -> Box | None:
    """Left, top, right and bottom of the best window of a class, or None if no window is right."""
    rows, columns = np.where(mask == class_id)
    top, bottom, left, right = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
    height, width = bottom - top, right - left
    found: list[tuple[float, Box]] = []
    for _ in range(TRIES):
        above, below, before, after = (rng.uniform(*MARGINS) for _ in range(4))
        box = (
            max(0, int(left - width * before)),
            max(0, int(top - height * above)),
            min(mask.shape[1], int(right + width * after)),
            min(mask.shape[0], int(bottom + height * below)),
        )
        window = mask[box[1] : box[3], box[0] : box[2]]
        if not window.size or min(window.shape) < SMALLEST_SIDE:
            continue
        own = int((window == class_id).sum())
        others = int(((window > 0) & (window != IGNORE)).sum()) - own
        if own >= LEAST_SHOWN * len(rows) and own <= MOST_FILLED * window.size:
            found.append((others / window.size, box))
    best = min(found, default=None)
    return best[1] if best and best[0] < MOST_OTHERS else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="sample in VOC layout")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets"):
        (args.out / folder).mkdir(parents=True, exist_ok=True)
    for part in ("train", "val"):
        made = []
        for name in (args.root / f"ImageSets/{part}.txt").read_text().split():
            photograph = Image.open(args.root / f"JPEGImages/{name}.jpg").convert("RGB")
            labels = Image.open(args.root / f"SegmentationClass/{name}.png")
            mask, rng = np.array(labels), random.Random(name)
            classes, pixels = np.unique(mask[(mask > 0) & (mask != IGNORE)], return_counts=True)
            for class_id in classes[pixels >= SMALLEST_CLASS].tolist():
                box = single_window(mask, class_id, rng)
                if box:
                    made.append(f"{name}_{class_id}")
                    photograph.crop(box).save(args.out / f"JPEGImages/{made[-1]}.jpg", quality=92)
                    labels.crop(box).save(args.out / f"SegmentationClass/{made[-1]}.png")
        (args.out / f"ImageSets/{part}.txt").write_text("".join(f"{n}\n" for n in made))
        print(f"{part}: {len(made)} windows")


if __name__ == "__main__":
    main()
