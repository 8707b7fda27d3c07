"""`extract`: encodes every training image once."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path

from fsslib.data.images import UInt8, read_image, read_mask
from fsslib.data.manifest import ImageRecord
from fsslib.data.scaling import scaled_size
from fsslib.encoders.build import feature_shape
from fsslib.encoders.feeding import feed
from fsslib.encoders.running import Precision
from fsslib.files.shards import file_digest
from fsslib.mining.extraction import Dtype, ImageFeature, stored_bytes, write_shard
from fsslib.mining.extraction_pass import extraction_work
from fsslib.mining.feature_files import Origin

from .support import paths
from .support.common import make_app, shared_command
from .support.encoders import features_origin, initial_encode
from .support.feeding import make_feeding
from .support.inputs import open_manifest, read_params
from .support.params import (
    ExtractParams,
)
from .support.params_file import (
    stage_params,
)
from .support.precision import run_precision
from .support.sharded import Sharded, write_sharded
from .support.unfinished import unfinished_key


@shared_command
def main() -> None:
    """Encode every training image once: features, image embeddings and prototype sums (eq. 2).

    Reads backbone, weights, seed, long_side, precision, dense_features, feature_dtype and
    shard_images from params.yaml, data/prepare/, and the training photographs and masks. Writes
    data/extract/, a folder of HDF5 shards. After an interruption, the same command continues after
    the last complete shard.
    """
    everything = read_params()
    params = stage_params(ExtractParams, everything)
    manifest = open_manifest()
    dtype = params.feature_dtype if params.dense_features else None
    precision = run_precision(params.precision, everything.runtime)
    origin = features_origin(params)

    def read(record: ImageRecord) -> tuple[str, UInt8, UInt8]:
        image = read_image(manifest.image_path(record), record.size)
        return record.id, image, read_mask(manifest.mask_path(record), record.size)

    def describe(shards: Sequence[Sequence[ImageRecord]]) -> Iterator[ImageFeature]:
        encode = initial_encode(params, precision, everything.runtime)
        work = extraction_work(encode, read, dtype)
        return feed(work, [*chain(*shards)], make_feeding(encode, everything.runtime))

    def write(path: Path, described: Iterable[ImageFeature]) -> None:
        write_shard(path, described, dtype, origin)

    write_sharded(_work(params, precision, manifest.train, dtype, origin), describe, write)


def _work(
    params: ExtractParams,
    precision: Precision,
    records: Sequence[ImageRecord],
    dtype: Dtype | None,
    origin: Origin,
) -> Sharded[ImageRecord]:
    sizes = ((*scaled_size(r.height, r.width, params.long_side), len(r.pixels)) for r in records)
    remedy = "set dense_features to false"
    if dtype == "float16":
        remedy = "set feature_dtype to int8, or dense_features to false"
    return Sharded(
        "Encoding training images",
        records,
        params.shard_images,
        ".h5",
        paths.EXTRACT,
        [
            "extract",
            asdict(origin),
            precision,
            dtype,
            params.shard_images,
            file_digest(paths.MANIFEST),
            unfinished_key("train_photographs", "train_masks"),
        ],
        stored_bytes(sizes, *feature_shape(params.backbone), dtype),
        remedy if dtype else "point the project to a larger disk",
    )


app = make_app(main)

if __name__ == "__main__":
    app()
