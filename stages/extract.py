"""`extract`: one encoder pass over the training images."""

from collections.abc import Sequence
from pathlib import Path

from fsslib.data.images import read_image, read_mask
from fsslib.data.manifest import ImageRecord
from fsslib.encoding import map_ordered
from fsslib.features import ImageFeature, describe_image, write_shard
from fsslib.shards import file_digest, scratch_key, split_shards, write_shards
from stages import paths
from stages.common import Bar, command, make_app
from stages.encoders import initial_encode
from stages.inputs import encoder_key, open_manifest, read_params
from stages.params import ExtractParams, stage_params


@command
def main() -> None:
    """Encode every training image once: features, image embeddings and prototype sums (eq. 2).

    Reads backbone, weights, seed, precision, dense_features, feature_dtype and shard_images from
    params.yaml, and data/prepare/. Writes data/extract/, a folder of HDF5 shards. Interrupted, it
    goes on at the last whole shard.
    """
    everything = read_params()
    params = stage_params(ExtractParams, everything)
    manifest = open_manifest()
    encode = initial_encode(params, params.precision, everything.runtime)
    dtype = params.feature_dtype if params.dense_features else None

    def describe(record: ImageRecord) -> ImageFeature:
        feature = encode(read_image(manifest.image_path(record)))
        return describe_image(record.id, feature, read_mask(manifest.mask_path(record)), dtype)

    with Bar("Encoding training images", len(manifest.train)) as bar:

        def write(path: Path, records: Sequence[ImageRecord]) -> None:
            described = map_ordered(describe, records, everything.runtime.workers)
            write_shard(path, bar.count(described), dtype)

        key = scratch_key(
            "extract",
            encoder_key(params),
            params.precision,
            dtype,
            params.shard_images,
            file_digest(paths.MANIFEST),
        )
        shards = split_shards(manifest.train, params.shard_images)
        scratch = paths.SCRATCH / f"extract-{key}"
        write_shards(shards, scratch, paths.EXTRACT, ".h5", write, bar.skip)


app = make_app(main)

if __name__ == "__main__":
    app()
