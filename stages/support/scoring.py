"""What scores the episodes of a fold: its trained encoder, rectification and readers."""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from fsslib.data.images import UInt8
from fsslib.data.manifest import Manifest
from fsslib.encoders.base import Encoder
from fsslib.encoders.running import Encode, Precision
from fsslib.errors import FsslibError
from fsslib.evaluation.episode_files import check_episodes, load_episodes
from fsslib.evaluation.episodes import Episode, EpisodeSet
from fsslib.evaluation.passes import Reader
from fsslib.evaluation.protocol import (
    UNCHANGED,
    Evaluation,
    evaluate,
    manifest_readers,
    predict_episode,
)
from fsslib.evaluation.resizing import readers_at
from fsslib.rectification.index import SearchIndex
from fsslib.rectification.index_reading import load_index
from fsslib.rectification.rectify import Rectification
from stages.support import paths
from stages.support.common import Bar
from stages.support.inputs import open_manifest
from stages.support.memory import memory_budget
from stages.support.params import (
    EvaluateParams,
    Params,
)
from stages.support.params_file import (
    stage_params,
)
from stages.support.precision import run_precision
from stages.support.trained import trained_encode


@dataclass(frozen=True)
class Scoring:
    """A fold ready to be scored.

    Attributes:
        params: of `evaluate`.
        manifest: of the dataset.
        episodes: the frozen list.
        precision: of the encoder's passes.
        encoder: trained on this fold.
        encode: images to features with it.
        rectification: of the prototypes, on the device.
        images, masks: readers by image id.
        memory_bytes: what is left of the budget for encodings.
        workers: threads that decode.
    """

    params: EvaluateParams
    manifest: Manifest
    episodes: EpisodeSet
    precision: Precision
    encoder: Encoder
    encode: Encode
    rectification: Rectification
    images: Reader
    masks: Reader
    memory_bytes: int
    workers: int

    def predict(self, episode: Episode) -> UInt8:
        """Mask (H, W) of an episode's query, encoded anew."""
        return predict_episode(
            self.encode,
            self.images,
            self.masks,
            episode,
            self.rectification,
            workers=self.workers,
        )


def open_scoring(fold: int, everything: Params, given: Path | None = None) -> Scoring:
    """Read what `evaluate` needs of a fold.

    Args:
        fold: to score.
        everything: of params.yaml.
        given: an episode file instead of the fold's own.

    Raises:
        FsslibError: something is missing, damaged, or of another fold or dataset.
    """
    params, runtime = stage_params(EvaluateParams, everything), everything.runtime
    manifest = open_manifest()
    drawn = open_episodes(fold, manifest, given)
    precision = run_precision(params.precision, runtime)
    encode, trained, device = trained_encode(
        paths.model(fold), params.ema, precision, params.long_side, runtime
    )
    budget = memory_budget(runtime)
    index = _index(fold, params, budget // 2) if params.rectify_fg else None
    images, masks = open_readers(manifest, params.resize)
    return Scoring(
        params,
        manifest,
        drawn,
        precision,
        trained.encoder,
        encode,
        _rectification(params, trained.background, index).to(device),
        images,
        masks,
        budget - (index.memory_bytes if index else 0),
        runtime.workers,
    )


def evaluate_shown(
    title: str,
    encode: Encode,
    readers: tuple[Reader, Reader],
    drawn: EpisodeSet,
    rectification: Rectification = UNCHANGED,
    *,
    memory_bytes: int,
    workers: int,
) -> Evaluation:
    """`evaluate` with a progress bar over the images of the supports and of the queries."""
    supports = {image for e in drawn.episodes for way in e.supports for image in way}
    queries = {e.query for e in drawn.episodes}
    with Bar(f"Evaluating {title}", len(supports) + len(queries)) as bar:
        return evaluate(
            encode,
            *readers,
            drawn.episodes,
            drawn.novel,
            rectification,
            memory_bytes=memory_bytes,
            workers=workers,
            on_progress=lambda phase, done, total: bar.advance(1, phase),
        )


def open_episodes(fold: int, manifest: Manifest, given: Path | None = None) -> EpisodeSet:
    """The fold's frozen episodes, or those of another file, checked against the manifest."""
    drawn = load_episodes(given or paths.episodes(fold))
    if drawn.fold != fold:
        raise FsslibError(f"{given} is of fold {drawn.fold}, not {fold}: give --fold {drawn.fold}")
    check_episodes(drawn, manifest)
    return drawn


def open_readers(manifest: Manifest, resize: int | None) -> tuple[Reader, Reader]:
    """Readers of photographs and masks by image id."""
    images, masks = manifest_readers(manifest)
    return (images, masks) if resize is None else readers_at(images, masks, resize)


def _index(fold: int, params: EvaluateParams, memory_bytes: int) -> SearchIndex:
    """The fold's region index, in memory when it fits."""
    index = load_index(paths.region_index(fold), memory_bytes)
    if params.search == "exact":
        return index
    from fsslib.rectification.ivf_search import ivf_index  # needs faiss, an optional extra

    return ivf_index(index)


def _rectification(
    params: EvaluateParams, background: Tensor | None, index: SearchIndex | None
) -> Rectification:
    if params.rectify_bg and background is None:
        raise FsslibError("rectify_bg: true, but the model has no global background: set m below 1")
    return Rectification(
        background if params.rectify_bg else None,
        params.w,
        index,
        params.top_n,
        params.beta,
    )
