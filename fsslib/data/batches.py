"""Training batches as a function of (seed, step).

A batch does not depend on the iteration order, the number of workers or a restart.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from fsslib.data.colours import Colours, draw_colours
from fsslib.data.images import UInt8, read_image, read_mask
from fsslib.data.manifest import Manifest
from fsslib.data.pool import PoolImage
from fsslib.data.scaling import shrink
from fsslib.data.transforms import (
    base_labels,
    binary_mask,
    crop_on_class,
    rescale,
    strong_crop,
)
from fsslib.errors import FsslibError
from fsslib.ranks import ALONE, Ranks

PAIRS, POOL, ORDER, EXAMPLES, VIEWS, FEATURES = 1, 2, 3, 4, 5, 6
"""Number that follows the seed in each generator, one per use.

The uses are pairs, pool images, the order of the pool, example pictures, contrastive views, and the
perturbation of features (`fsslib.training.consistency`).
"""


Miner = Literal["clusters", "simclr", "cct"]
"""What the encoder learns from the pool: to predict pseudo-masks of sub-clusters, to match two
views of the same image, or to predict base classes alike under perturbations."""


class Batch(TypedDict, total=False):
    """Input of one training step.

    support_images: (P, S, 3, c, c) uint8; support_masks: (P, S, c, c) uint8, 1, 0 or 255;
    query_images: (P, 3, c, c) uint8; query_masks: (P, c, c) uint8;
    pool_images: (B, 3, c, c) uint8; pool_masks: (B, c, c) uint8 in 0 to K (absent unless mined).
    With `simclr`, pool_images is (2B, 3, c, c), all first views before all second views, without
    masks. With `cct` there are no masks either.
    query_labels: (P, c, c) uint8; 0 is the background, 1 to n are the base classes of the fold in
    the order of their ids, 255 is ignored (`cct` alone). Novel and hidden classes are background.
    pool_colours: colour changes still to apply to each pool image (absent when already applied).
    """

    support_images: Tensor
    support_masks: Tensor
    query_images: Tensor
    query_masks: Tensor
    query_labels: Tensor
    pool_images: Tensor
    pool_masks: Tensor
    pool_colours: list[Colours]


@dataclass(frozen=True)
class BatchPlan:
    """Composition of a step's batch.

    Attributes:
        pairs: number of support-query pairs.
        shot: number of supports per pair.
        pool_images: number of pool images.
        crop: side of a crop in px.
        min_pixels: pixels of the class that a crop should show.
        scale: range of the random factor by which photographs are resized before the crop.
        seed: seed of all random choices.
        long_side: longer side in px of a photograph at factor 1, None for its original size.
    """

    pairs: int
    shot: int
    pool_images: int
    crop: int
    min_pixels: int
    scale: tuple[float, float]
    seed: int
    long_side: int | None = None


class StepBatches(Dataset[Batch]):
    """Dataset whose item i is this rank's part of the batch of step i.

    The parts of all ranks, in the order of the ranks, make up the whole batch.

    Args:
        manifest: manifest of the dataset.
        fold: fold whose base classes are trained on.
        plan: see `BatchPlan`.
        steps: number of steps.
        pool: images used beside the episodes.
        pseudo: function that reads a pool image's pseudo-mask by its id; without it, batches hold
            no pseudo-masks.
        ranks: rank of this process and number of processes.
        miner: what the pool is used for; only `clusters` needs pseudo-masks.
        colours_later: do not change the pool images' colours; the consumer of the batch does, for
            example on a GPU.

    Attributes:
        by_class: class id -> ids of the images from which its episodes are drawn.
        names: class id -> name, for these classes.
        pool: the pool images; empty for the baseline.

    Raises:
        FsslibError: no base class has `shot + 1` images, or the ranks cannot share equally.
    """

    def __init__(
        self,
        manifest: Manifest,
        fold: int,
        plan: BatchPlan,
        steps: int,
        pool: Sequence[PoolImage] = (),
        pseudo: Callable[[str], UInt8] | None = None,
        ranks: Ranks = ALONE,
        miner: Miner = "clusters",
        colours_later: bool = False,
    ) -> None:
        self.plan, self.steps = plan, steps
        self._pair_slots = ranks.part(plan.pairs, "training.pairs")
        if pseudo is not None or miner != "clusters":
            self._pool_slots = ranks.part(plan.pool_images, "training.pool_images")
        self._images = {r.id: (manifest.image_path(r), r.size) for r in manifest.train}
        self._masks = {r.id: (manifest.mask_path(r), r.size) for r in manifest.train}
        self.by_class = images_by_class(
            manifest, fold, plan.min_pixels, plan.shot + 1, plan.long_side
        )
        self._classes = sorted(self.by_class)
        self.names = {c: manifest.classes[c] for c in self._classes}
        self._base = manifest.base(fold)
        self.pool, self._pseudo, self._miner = pool, pseudo, miner
        self._colours_later = colours_later

    def __len__(self) -> int:
        return self.steps

    @property
    def mined(self) -> bool:
        """Whether batches hold pool images with pseudo-masks."""
        return self._pseudo is not None

    def __getitem__(self, step: int) -> Batch:
        """Build this rank's part of the batch of one step."""
        pairs = [self._pair(step, slot) for slot in self._pair_slots]
        batch = Batch(
            support_images=torch.stack([torch.stack(images[:-1]) for images, _, _ in pairs]),
            support_masks=torch.stack([torch.stack(masks[:-1]) for _, masks, _ in pairs]),
            query_images=torch.stack([images[-1] for images, _, _ in pairs]),
            query_masks=torch.stack([masks[-1] for _, masks, _ in pairs]),
        )
        if self.mined:
            extra = [self._pool_image(step, slot) for slot in self._pool_slots]
            batch["pool_masks"] = torch.stack([mask for _, mask, _ in extra])
        elif self._miner == "simclr":
            places = [(slot, view) for view in (0, 1) for slot in self._pool_slots]
            extra = [self._view(VIEWS, step, *place) for place in places]
        elif self._miner == "cct":
            extra = [self._view(POOL, step, slot) for slot in self._pool_slots]
            labels = torch.stack([query for _, _, query in pairs])
            batch["query_labels"] = base_labels(labels, self._base)
        else:
            return batch
        batch["pool_images"] = torch.stack([image for image, _, _ in extra])
        if self._colours_later:
            batch["pool_colours"] = [colours for _, _, colours in extra]
        return batch

    def _pair(self, step: int, slot: int) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """Draw a pair of one class; the class is drawn uniformly from the base classes."""
        rng = np.random.default_rng([self.plan.seed, PAIRS, step, slot])
        class_id = self._classes[int(rng.integers(len(self._classes)))]
        return self.draw_pair(class_id, rng)

    def draw_pair(
        self, class_id: int, rng: np.random.Generator
    ) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """Draw crops of one class, the supports first, the query last, with masks (1, 0 or 255).

        The last value is the query's mask with the class ids of the dataset.
        """
        plan, ids = self.plan, self.by_class[class_id]
        chosen = rng.choice(len(ids), plan.shot + 1, replace=False)
        images, masks = [], []
        for number in chosen:
            image, labels = self._read(ids[number])
            height, width = labels.shape
            factor = shrink(height, width, plan.long_side) * float(rng.uniform(*plan.scale))
            image, labels = rescale(image, labels, factor)
            image, labels = crop_on_class(image, labels, plan.crop, plan.min_pixels, rng, class_id)
            images.append(image)
            masks.append(binary_mask(labels, class_id))
        return images, masks, labels

    def _read(self, image_id: str) -> tuple[Tensor, Tensor]:
        image = _read_photograph(*self._images[image_id])
        return image, torch.from_numpy(read_mask(*self._masks[image_id]).copy())

    def _pool_item(self, step: int, slot: int) -> PoolImage:
        """Pool image of a slot; every pass over the pool has its own shuffled order."""
        epoch, place = divmod(step * self.plan.pool_images + slot, len(self.pool))
        return self.pool[int(_order(self.plan.seed, epoch, len(self.pool))[place])]

    def _pool_image(self, step: int, slot: int) -> tuple[Tensor, Tensor, Colours]:
        rng = np.random.default_rng([self.plan.seed, POOL, step, slot])
        return self._augment(*self.read_pool(self._pool_item(step, slot)), rng)

    def _view(self, use: int, step: int, slot: int, *view: int) -> tuple[Tensor, Tensor, Colours]:
        """One strong augmentation of a pool image; no mask is read.

        With `use` POOL it is the one that the image would have with its pseudo-mask.
        """
        rng = np.random.default_rng([self.plan.seed, use, step, slot, *view])
        image = _as_tensor(self._pool_item(step, slot).read())
        return self._augment(image, torch.zeros_like(image[0]), rng)

    def _augment(
        self, image: Tensor, mask: Tensor, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor, Colours]:
        """Strong augmentation of image and mask (section 4.1), and its colour changes."""
        image, mask = strong_crop(image, mask, self.plan.crop, rng)
        colours = draw_colours(rng)
        return image if self._colours_later else colours.apply(image), mask, colours

    def read_pool(self, item: PoolImage) -> tuple[Tensor, Tensor]:
        """Read a pool image, (3, H, W) uint8, and its pseudo-mask, (H, W) uint8, unchanged.

        Raises:
            FsslibError: image and pseudo-mask differ in size.
        """
        assert self._pseudo is not None
        image = _as_tensor(item.read())
        mask = torch.from_numpy(self._pseudo(item.id).copy())
        if mask.shape != image.shape[1:]:
            raise FsslibError(
                f"pseudo-mask of {item.id} is {tuple(mask.shape)}, its image "
                f"{tuple(image.shape[1:])}: run the stage 'annotate' again"
            )
        return image, mask


def _read_photograph(path: Path, size: tuple[int, int] | None = None) -> Tensor:
    """Read a photograph as (3, H, W) uint8; `size` is the (H, W) of the manifest, if given."""
    return _as_tensor(read_image(path, size))


def _as_tensor(image: UInt8) -> Tensor:
    """(H, W, 3) -> (3, H, W)."""
    return torch.from_numpy(image.copy()).permute(2, 0, 1)


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """Order of the pool in one pass.

    The cache holds two passes, because a batch usually touches at most two (more with a small
    pool).
    """
    return np.random.default_rng([seed, ORDER, epoch]).permutation(count)


def images_by_class(
    manifest: Manifest, fold: int, min_pixels: int, at_least: int, long_side: int | None = None
) -> Mapping[int, list[str]]:
    """List the training images of each base class that show at least `min_pixels` of it.

    Pixels are counted at the size to which `long_side` scales the photograph. Classes with fewer
    than `at_least` images are left out.

    Raises:
        FsslibError: no base class has `at_least` images.
    """
    least = {r.id: min_pixels / shrink(r.height, r.width, long_side) ** 2 for r in manifest.train}
    found = {
        c: [r.id for r in manifest.train if r.pixels.get(c, 0) >= least[r.id]]
        for c in manifest.base(fold)
    }
    enough = {c: ids for c, ids in found.items() if len(ids) >= at_least}
    if not enough:
        raise FsslibError(
            f"no base class of fold {fold} has {at_least} training images with {min_pixels} px: "
            "lower training.shot or training.min_pixels, or add images"
        )
    return enough
