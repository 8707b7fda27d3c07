"""`index`: image and region embeddings of the pool with the trained encoder."""

from collections.abc import Sequence
from pathlib import Path

from fsslib.annotate import PseudoMasks
from fsslib.data.images import read_image
from fsslib.data.pool import PoolImage
from fsslib.encoding import map_ordered
from fsslib.region_index import ImageRegions, describe_regions, write_regions
from fsslib.shards import file_digest, scratch_key, split_shards, write_shards
from stages import paths
from stages.common import Bar, FoldOption, as_json, command, make_app
from stages.inputs import chosen_folds, open_manifest, open_pool, read_params
from stages.params import IndexParams, Params, stage_params
from stages.trained import trained_encode

IMAGES_PER_FILE = 1000


@command
def main(fold: FoldOption = None) -> None:
    """Embed every pool image and its pseudo-labelled regions by average pooling (section 3.4).

    Reads ema, precision, regions and unlabeled from params.yaml, data/annotate/<fold>/ and
    data/train/<fold>/. Writes data/index/<fold>/, a folder of HDF5 shards.
    """
    everything = read_params()
    for number in chosen_folds(fold, everything):
        _index(number, everything)


def _index(fold: int, everything: Params) -> None:
    params = stage_params(IndexParams, everything)
    pool = open_pool(open_manifest(), fold, params)
    masks = PseudoMasks(paths.pseudo_masks(fold))
    encode, _, _ = trained_encode(fold, params.ema, params.precision, everything.runtime)
    regions = params.regions

    def describe(item: PoolImage) -> ImageRegions:
        feature = encode(read_image(item.path))
        return describe_regions(
            item.id, feature, masks.read(item.id), regions.kind, regions.min_area
        )

    with Bar(f"Indexing the pool of fold {fold}", len(pool)) as bar:

        def write(path: Path, images: Sequence[PoolImage]) -> None:
            described = map_ordered(describe, images, everything.runtime.workers)
            write_regions(path, bar.count(described))

        digests = [file_digest(p) for p in sorted(paths.pseudo_masks(fold).glob("*.zip"))]
        key = scratch_key(
            "index",
            as_json(params),
            file_digest(paths.model(fold)),
            digests,
            file_digest(paths.MANIFEST),
        )
        shards = split_shards(pool, IMAGES_PER_FILE)
        scratch = paths.SCRATCH / f"index-{key}"
        write_shards(shards, scratch, paths.region_index(fold), ".h5", write, bar.skip)


app = make_app(main)

if __name__ == "__main__":
    app()
