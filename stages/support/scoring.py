"""What scoring a fold's episodes needs: its trained encoder, rectification and readers."""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from fsslib.data.images import UInt8
from fsslib.data.manifest import Manifest
from fsslib.encoders.base import Encoder
from fsslib.encoders.running import PhotographEncoder, Precision
from fsslib.encoders.work import Feeding
from fsslib.errors import FsslibError
from fsslib.evaluation.batched import evaluate_in_batches
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
from fsslib.evaluation.refining import Refining, refining_named
from fsslib.evaluation.resizing import readers_at
from fsslib.rectification.index import SearchIndex
from fsslib.rectification.index_reading import load_index
from fsslib.rectification.rectify import Rectification

from . import paths
from .common import Bar
from .feeding import make_feeding
from .inputs import open_manifest
from .memory import memory_budget
from .params import (
    EvaluateParams,
    Params,
)
from .params_file import (
    stage_params,
)
from .precision import run_precision
from .trained import trained_encode


@dataclass(frozen=True)
class Scoring:
    """A fold that is ready to be scored.

    Attributes:
        params: params of `evaluate`.
        manifest: manifest of the dataset.
        episodes: the frozen list of episodes.
        precision: precision of the encoder's passes.
        encoder: encoder trained on this fold.
        encode: function from images to features, with that encoder.
        rectification: rectification of the prototypes, on the device.
        refining: refines the margins; None for the paper's protocol.
        images, masks: readers by image id.
        memory_bytes: the part of the memory budget that is left for encodings.
        feeding: how photographs get to the encoder.
    """

    params: EvaluateParams
    manifest: Manifest
    episodes: EpisodeSet
    precision: Precision
    encoder: Encoder
    encode: PhotographEncoder
    rectification: Rectification
    refining: Refining | None
    images: Reader
    masks: Reader
    memory_bytes: int
    feeding: Feeding

    def predict(self, episode: Episode) -> UInt8:
        """Predict the mask (H, W) of an episode's query; its images are encoded again."""
        return predict_episode(
            self.encode,
            self.images,
            self.masks,
            episode,
            self.rectification,
            refining=self.refining,
            workers=self.feeding.workers,
        )


def open_scoring(fold: int, everything: Params, given: Path | None = None) -> Scoring:
    """Read what `evaluate` needs for a fold.

    Args:
        fold: fold to score.
        everything: the whole of params.yaml.
        given: episode file to use instead of the fold's own.

    Raises:
        FsslibError: an input is missing or damaged, or belongs to another fold or dataset.
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
        refining_named(params.refine, params.refine_radius, params.refine_eps),
        images,
        masks,
        budget - (index.memory_bytes if index else 0),
        make_feeding(encode, runtime),
    )


def evaluate_shown(
    title: str,
    encode: PhotographEncoder,
    readers: tuple[Reader, Reader],
    drawn: EpisodeSet,
    rectification: Rectification = UNCHANGED,
    *,
    refining: Refining | None = None,
    boundary: bool = False,
    memory_bytes: int,
    feeding: Feeding,
) -> Evaluation:
    """Run the protocol, in batches on a GPU, with a progress bar over the images."""
    supports = {image for e in drawn.episodes for way in e.supports for image in way}
    queries = {e.query for e in drawn.episodes}
    with Bar(f"Evaluating {title}", len(supports) + len(queries)) as bar:

        def told(phase: str, done: int, total: int) -> None:
            bar.advance(1, phase)

        given = encode, *readers, drawn.episodes, drawn.novel, rectification
        # What is refined or has its boundary counted is scored one query at a time, on a GPU too.
        if not (feeding.one_by_one or refining or boundary):
            return evaluate_in_batches(*given, feeding=feeding, on_progress=told)
        return evaluate(
            *given,
            refining=refining,
            boundary=boundary,
            memory_bytes=memory_bytes,
            workers=feeding.workers,
            on_progress=told,
        )


def open_episodes(fold: int, manifest: Manifest, given: Path | None = None) -> EpisodeSet:
    """Load the fold's frozen episodes, or another file's, and check them with the manifest."""
    drawn = load_episodes(given or paths.episodes(fold))
    if drawn.fold != fold:
        raise FsslibError(f"{given} is of fold {drawn.fold}, not {fold}: give --fold {drawn.fold}")
    check_episodes(drawn, manifest)
    return drawn


def open_readers(manifest: Manifest, resize: int | None) -> tuple[Reader, Reader]:
    """Readers of photographs and masks by image id, resized to a square if `resize` is set."""
    images, masks = manifest_readers(manifest)
    return (images, masks) if resize is None else readers_at(images, masks, resize)


def _index(fold: int, params: EvaluateParams, memory_bytes: int) -> SearchIndex:
    """Load the fold's region index, into memory if it fits."""
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
