"""`annotate`: makes one dense pseudo-mask per pool image."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from itertools import islice

import torch
from torch import Tensor

from fsslib.data.images import UInt8
from fsslib.data.manifest import Manifest
from fsslib.data.pool import PoolImage
from fsslib.encoders.feeding import feed
from fsslib.encoders.running import Precision, map_ordered, one_thread_each
from fsslib.files.shards import file_digest
from fsslib.files.storage import write_bytes
from fsslib.mining.annotation_pass import annotation_work
from fsslib.mining.clusters import load_clusters
from fsslib.mining.extraction import FeatureStore
from fsslib.mining.feature_files import Origin, require_origin
from fsslib.mining.pseudo_masks import (
    PseudoMasks,
    encode_png,
    pseudo_mask,
    stored_bytes,
    write_masks,
)
from fsslib.pictures.panels import pseudo_panel
from fsslib.ranks import read_ranks

from .support import paths
from .support.common import FoldOption, as_json, make_app, shared_command
from .support.encoders import features_origin, initial_encode
from .support.feeding import make_feeding
from .support.inputs import (
    chosen_folds,
    open_manifest,
    open_pool,
    read_params,
    say_unread_in_pool,
)
from .support.params import (
    AnnotateParams,
    Params,
)
from .support.params_file import (
    stage_params,
)
from .support.precision import run_precision
from .support.sharded import Sharded, write_sharded
from .support.unfinished import unfinished_key
from .support.workers import count_workers


@shared_command
def main(fold: FoldOption = None) -> None:
    """Label every pixel of the pool with its most similar sub-cluster or background (eq. 3).

    Reads unlabeled, backbone, weights, seed, long_side, precision, dense_features, feature_dtype
    and shard_images from params.yaml, data/prepare/, data/extract/, data/cluster/<fold>/ and the
    pool's photographs. Only photographs without features in data/extract/ are encoded.
    Writes data/annotate/<fold>/, zips of PNGs with the VOC palette (0 is background, 1 to k are
    sub-clusters), and the picture results/folds/<fold>/pseudo.png.
    """
    everything = read_params()
    if read_ranks().leads:
        say_unread_in_pool(everything)
    for number in chosen_folds(fold, everything):
        _annotate(number, everything)


def _annotate(fold: int, everything: Params) -> None:
    params = stage_params(AnnotateParams, everything)
    manifest = open_manifest()
    pool = open_pool(manifest, fold, params)
    clusters, origin = load_clusters(paths.clusters(fold)), features_origin(params)
    require_origin(clusters.origin, origin, paths.clusters(fold), "extract")
    prototypes = torch.from_numpy(clusters.prototypes)
    precision = run_precision(params.precision, everything.runtime)
    source = _Labels(params, precision, everything, prototypes, origin)
    work = _work(fold, params, precision, pool, manifest, origin)
    write_sharded(work, source.label, write_masks)
    if read_ranks().leads:
        masks = PseudoMasks(paths.pseudo_masks(fold))
        panel = pseudo_panel(manifest, fold, set(masks.ids()), masks.read)
        write_bytes(paths.fold_results(fold) / "pseudo.png", panel)


def _work(
    fold: int,
    params: AnnotateParams,
    precision: Precision,
    pool: Sequence[PoolImage],
    manifest: Manifest,
    origin: Origin,
) -> Sharded[PoolImage]:
    # Images of a folder source are not opened yet: assume that they are as large as the dataset's.
    pixels = sum(r.height * r.width for r in manifest.train) * len(pool) // len(manifest.train)
    return Sharded(
        f"Annotating the pool of fold {fold}",
        pool,
        params.shard_images,
        ".zip",
        paths.pseudo_masks(fold),
        [
            "annotate",
            asdict(origin),
            precision,
            params.dense_features,
            params.feature_dtype,
            params.shard_images,
            [as_json(s) for s in params.unlabeled],
            file_digest(paths.clusters(fold)),
            file_digest(paths.MANIFEST),
            [i.id for i in pool],
            unfinished_key("train_photographs", "pool"),
        ],
        stored_bytes(pixels),
        "list fewer images in unlabeled (a source may have a cap)",
    )


class _Labels:
    """Pseudo-masks of pool images: from kept features if they exist, else from the encoder."""

    def __init__(
        self,
        params: AnnotateParams,
        precision: Precision,
        everything: Params,
        prototypes: Tensor,
        origin: Origin,
    ) -> None:
        one_thread_each()
        self._runtime, self._prototypes = everything.runtime, prototypes
        self._workers = count_workers(everything.runtime, gpu=False)
        self._store = FeatureStore(paths.EXTRACT)
        require_origin(self._store.origin, origin, paths.EXTRACT, "extract")
        self._make_encode = partial(initial_encode, params, precision, everything.runtime)

    def label(self, shards: Sequence[Sequence[PoolImage]]) -> Iterator[tuple[str, bytes]]:
        """Yield (id, PNG), in each shard those of kept features first."""
        rest = self._encoded([image for shard in shards for image in shard if not self._has(image)])
        for shard in shards:
            kept = [image.id for image in shard if self._has(image)]
            if kept:
                features = self._store.features(kept)
                yield from map_ordered(self._label, features, self._workers)
            yield from islice(rest, len(shard) - len(kept))

    def _has(self, image: PoolImage) -> bool:
        return self._store.dense and image.id in self._store

    def _label(self, item: tuple[str, tuple[int, int], Tensor]) -> tuple[str, bytes]:
        image_id, size, feature = item
        return image_id, encode_png(pseudo_mask(feature, self._prototypes.to(feature), size))

    def _encoded(self, images: Sequence[PoolImage]) -> Iterator[tuple[str, bytes]]:
        if images:  # if all features were kept, the encoder is never built
            encode = self._make_encode()
            work = annotation_work(encode, _read, self._prototypes)
            yield from feed(work, images, make_feeding(encode, self._runtime))


def _read(image: PoolImage) -> tuple[str, UInt8]:
    return image.id, image.read()


app = make_app(main)

if __name__ == "__main__":
    app()
