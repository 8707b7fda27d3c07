"""`index`: embeds the pool's images and regions with the trained encoder."""

from collections.abc import Iterator, Sequence
from itertools import chain

from fsslib.data.images import UInt8
from fsslib.data.pool import PoolImage
from fsslib.encoders.feeding import feed
from fsslib.encoders.running import Precision
from fsslib.errors import FsslibError
from fsslib.files.shards import file_digest
from fsslib.mining.pseudo_masks import PseudoMasks
from fsslib.rectification.index_building import (
    ImageRegions,
    stored_bytes,
    write_regions,
)
from fsslib.rectification.index_pass import index_work
from fsslib.training.trained_model import TrainedModel

from .support import paths
from .support.common import FoldOption, as_json, make_app, shared_command
from .support.feeding import make_feeding
from .support.inputs import chosen_folds, open_manifest, open_pool, read_params
from .support.params import (
    IndexParams,
    Params,
)
from .support.params_file import (
    stage_params,
)
from .support.precision import run_precision
from .support.sharded import Sharded, write_sharded
from .support.trained import trained_encode
from .support.unfinished import unfinished_key

REGIONS_EACH = 5
"""Regions per image, to estimate the size on disk. VOC photographs had 4.5 at K = 5."""


@shared_command
def main(fold: FoldOption = None) -> None:
    """Embed every pool image and its pseudo-labelled regions by average pooling (section 3.4).

    Reads ema, precision, long_side, regions, unlabeled, seed and shard_images from params.yaml,
    data/prepare/, data/annotate/<fold>/, data/train/<fold>/ and the pool's photographs. Writes
    data/index/<fold>/, a folder of HDF5 shards.
    """
    everything = read_params()
    for number in chosen_folds(fold, everything):
        _index(number, everything)


def _index(fold: int, everything: Params) -> None:
    params = stage_params(IndexParams, everything)
    pool = open_pool(open_manifest(), fold, params)
    masks = PseudoMasks(paths.pseudo_masks(fold))
    precision = run_precision(params.precision, everything.runtime)
    encode, trained, _ = trained_encode(
        paths.model(fold), params.ema, precision, params.long_side, everything.runtime
    )
    regions = params.regions

    def read(item: PoolImage) -> tuple[str, UInt8, UInt8]:
        image, mask = item.read(), masks.read(item.id)
        if mask.shape != image.shape[:2]:
            (height, width), (tall, wide) = image.shape[:2], mask.shape
            raise FsslibError(
                f"image {item.id} is {width}x{height} px, its pseudo-mask {wide}x{tall}: it was "
                "replaced, run the stages from 'prepare' again"
            )
        return item.id, image, mask

    def describe(shards: Sequence[Sequence[PoolImage]]) -> Iterator[ImageRegions]:
        work = index_work(encode, read, regions.kind, regions.min_area)
        return feed(work, [*chain(*shards)], make_feeding(encode, everything.runtime))

    write_sharded(_work(fold, params, precision, pool, trained), describe, write_regions)


def _work(
    fold: int,
    params: IndexParams,
    precision: Precision,
    pool: Sequence[PoolImage],
    trained: TrainedModel,
) -> Sharded[PoolImage]:
    zips = sorted(paths.pseudo_masks(fold).glob("*.zip"))
    return Sharded(
        f"Indexing the pool of fold {fold}",
        pool,
        params.shard_images,
        ".h5",
        paths.region_index(fold),
        [
            "index",
            {**as_json(params), "precision": precision},
            file_digest(paths.model(fold)),
            [file_digest(p) for p in zips],
            file_digest(paths.MANIFEST),
            unfinished_key("train_photographs", "pool"),
        ],
        stored_bytes(len(pool), REGIONS_EACH * len(pool), trained.encoder.channels),
        "raise regions.min_area, or list fewer images in unlabeled",
    )


app = make_app(main)

if __name__ == "__main__":
    app()
