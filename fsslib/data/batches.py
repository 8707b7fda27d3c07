"""Training batches as a function of (seed, step): no order, workers or restart matter."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from fsslib.data.colours import Colours, draw_colours
from fsslib.data.folds import IGNORE
from fsslib.data.images import UInt8, read_image, read_mask
from fsslib.data.manifest import Manifest
from fsslib.data.pool import PoolImage
from fsslib.data.scaling import shrink
from fsslib.data.transforms import crop_on_class, rescale, strong_crop
from fsslib.errors import FsslibError
from fsslib.ranks import ALONE, Ranks

PAIRS, POOL, ORDER, EXAMPLES, VIEWS = 1, 2, 3, 4, 5
"""First word of the seeds of pairs, pool images, the pool's order, what pictures show and views."""


class Batch(TypedDict, total=False):
    """One training step's input.

    support_images: (P, S, 3, c, c) uint8; support_masks: (P, S, c, c) uint8, 1, 0 or 255;
    query_images: (P, 3, c, c) uint8; query_masks: (P, c, c) uint8;
    pool_images: (B, 3, c, c) uint8; pool_masks: (B, c, c) uint8 in 0 to K (absent unless mined).
    To be contrasted, pool_images is (2B, 3, c, c), first and then second views, without masks.
    pool_colours: what is still to be done to each pool image's colours (absent when it is done).
    """

    support_images: Tensor
    support_masks: Tensor
    query_images: Tensor
    query_masks: Tensor
    pool_images: Tensor
    pool_masks: Tensor
    pool_colours: list[Colours]


@dataclass(frozen=True)
class BatchPlan:
    """What a step's batch is made of.

    Attributes:
        pairs: support-query pairs.
        shot: supports of a pair.
        pool_images: pseudo-labelled images.
        crop: side in px.
        min_pixels: of the class that a crop should show.
        scale: photographs are resized by a factor drawn from this range before the crop.
        seed: of everything.
        long_side: px that the factor 1 makes of a photograph's longer side, None for its own.
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
    """Dataset whose item i is the batch of step i: this rank's part of it, in the ranks' order.

    Args:
        manifest: of the dataset.
        fold: whose base classes are trained on.
        plan: see `BatchPlan`.
        steps: length.
        pool: images beside the episodes.
        pseudo: reads a pool image's pseudo-mask by its id; without it the pool is not mined.
        ranks: this process among those that train together.
        contrast: give two views of each pool image in place of pseudo-masks.
        colours_later: leave the pool images' colours to who takes the batch, a GPU for example.

    Attributes:
        by_class: ids of the images of each class that episodes are drawn of.
        names: of these classes.
        pool: images with a pseudo-mask; none for the baseline.

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
        contrast: bool = False,
        colours_later: bool = False,
    ) -> None:
        self.plan, self.steps = plan, steps
        self._pair_slots = ranks.part(plan.pairs, "training.pairs")
        if pseudo is not None or contrast:
            self._pool_slots = ranks.part(plan.pool_images, "training.pool_images")
        self._images = {r.id: (manifest.image_path(r), r.size) for r in manifest.train}
        self._masks = {r.id: (manifest.mask_path(r), r.size) for r in manifest.train}
        self.by_class = images_by_class(
            manifest, fold, plan.min_pixels, plan.shot + 1, plan.long_side
        )
        self._classes = sorted(self.by_class)
        self.names = {c: manifest.classes[c] for c in self._classes}
        self.pool, self._pseudo, self._contrast = pool, pseudo, contrast
        self._colours_later = colours_later

    def __len__(self) -> int:
        return self.steps

    @property
    def mined(self) -> bool:
        """Whether batches hold pool images with pseudo-masks."""
        return self._pseudo is not None

    def __getitem__(self, step: int) -> Batch:
        """Build the batch of one step."""
        pairs = [self._pair(step, slot) for slot in self._pair_slots]
        batch = Batch(
            support_images=torch.stack([torch.stack(images[:-1]) for images, _ in pairs]),
            support_masks=torch.stack([torch.stack(masks[:-1]) for _, masks in pairs]),
            query_images=torch.stack([images[-1] for images, _ in pairs]),
            query_masks=torch.stack([masks[-1] for _, masks in pairs]),
        )
        if self.mined:
            extra = [self._pool_image(step, slot) for slot in self._pool_slots]
            batch["pool_masks"] = torch.stack([mask for _, mask, _ in extra])
        elif self._contrast:
            places = [(slot, view) for view in (0, 1) for slot in self._pool_slots]
            extra = [self._view(step, *place) for place in places]
        else:
            return batch
        batch["pool_images"] = torch.stack([image for image, _, _ in extra])
        if self._colours_later:
            batch["pool_colours"] = [colours for _, _, colours in extra]
        return batch

    def _pair(self, step: int, slot: int) -> tuple[list[Tensor], list[Tensor]]:
        """A pair of one class drawn uniformly among the base classes."""
        rng = np.random.default_rng([self.plan.seed, PAIRS, step, slot])
        class_id = self._classes[int(rng.integers(len(self._classes)))]
        return self.draw_pair(class_id, rng)

    def draw_pair(
        self, class_id: int, rng: np.random.Generator
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Crops of the supports, then of the query, of one class, and their masks (1, 0 or 255)."""
        plan, ids = self.plan, self.by_class[class_id]
        chosen = rng.choice(len(ids), plan.shot + 1, replace=False)
        images, masks = [], []
        for number in chosen:
            image, labels = self._read(ids[number])
            height, width = labels.shape
            factor = shrink(height, width, plan.long_side) * float(rng.uniform(*plan.scale))
            image, labels = rescale(image, labels, factor)
            mask = binary_mask(labels, class_id)
            image, mask = crop_on_class(image, mask, plan.crop, plan.min_pixels, rng)
            images.append(image)
            masks.append(mask)
        return images, masks

    def _read(self, image_id: str) -> tuple[Tensor, Tensor]:
        image = _read_photograph(*self._images[image_id])
        return image, torch.from_numpy(read_mask(*self._masks[image_id]).copy())

    def _pool_item(self, step: int, slot: int) -> PoolImage:
        """Pool images in an order shuffled anew for each pass over the pool."""
        epoch, place = divmod(step * self.plan.pool_images + slot, len(self.pool))
        return self.pool[int(_order(self.plan.seed, epoch, len(self.pool))[place])]

    def _pool_image(self, step: int, slot: int) -> tuple[Tensor, Tensor, Colours]:
        rng = np.random.default_rng([self.plan.seed, POOL, step, slot])
        return self._augment(*self.read_pool(self._pool_item(step, slot)), rng)

    def _view(self, step: int, slot: int, view: int) -> tuple[Tensor, Tensor, Colours]:
        """One of two strong augmentations of a pool image; no mask is read."""
        rng = np.random.default_rng([self.plan.seed, VIEWS, step, slot, view])
        image = _read_photograph(self._pool_item(step, slot).path)
        return self._augment(image, torch.zeros_like(image[0]), rng)

    def _augment(
        self, image: Tensor, mask: Tensor, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor, Colours]:
        """A strong augmentation of both (section 4.1), and what its colours are drawn to be."""
        image, mask = strong_crop(image, mask, self.plan.crop, rng)
        colours = draw_colours(rng)
        return image if self._colours_later else colours.apply(image), mask, colours

    def read_pool(self, item: PoolImage) -> tuple[Tensor, Tensor]:
        """A pool image, (3, H, W) uint8, and its pseudo-mask, (H, W) uint8, as they are stored.

        Raises:
            FsslibError: the two differ in size.
        """
        assert self._pseudo is not None
        image = _read_photograph(item.path)
        mask = torch.from_numpy(self._pseudo(item.id).copy())
        if mask.shape != image.shape[1:]:
            raise FsslibError(
                f"pseudo-mask of {item.id} is {tuple(mask.shape)}, its image "
                f"{tuple(image.shape[1:])}: run the stage 'annotate' again"
            )
        return image, mask


def _read_photograph(path: Path, size: tuple[int, int] | None = None) -> Tensor:
    """(3, H, W) uint8, of `size` where the manifest says it."""
    return torch.from_numpy(read_image(path, size).copy()).permute(2, 0, 1)


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """Order of the pool in one pass; a batch touches one pass or two, a small pool more."""
    return np.random.default_rng([seed, ORDER, epoch]).permutation(count)


def binary_mask(labels: Tensor, class_id: int) -> Tensor:
    """Index mask to 1 (the class), 0 (everything else) and 255 (ignore), uint8."""
    mask = (labels == class_id).to(torch.uint8)
    mask[labels == IGNORE] = IGNORE
    return mask


def images_by_class(
    manifest: Manifest, fold: int, min_pixels: int, at_least: int, long_side: int | None = None
) -> Mapping[int, list[str]]:
    """Training images of each base class with `min_pixels` of it; rarer classes are left out.

    Pixels are counted at the size that `long_side` gives the photograph.

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
