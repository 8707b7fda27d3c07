"""Opening what stages share: parameters, manifest, initial encoder, folds and pools."""

from fsslib.data.manifest import Manifest, load_manifest
from fsslib.data.pool import PoolImage, PoolSource, build_pool
from fsslib.encoders.backbones import NAMED_WEIGHTS
from stages.support import paths
from stages.support.common import project_root
from stages.support.params import (
    EncoderParams,
    Params,
    PoolParams,
)
from stages.support.params_file import (
    load_params,
)


def read_params() -> Params:
    """The whole of `params.yaml`, validated."""
    return load_params()


def chosen_folds(fold: int | None, params: Params) -> list[int]:
    """The fold asked for, or every fold of `params.yaml`."""
    return [fold] if fold is not None else params.folds


def open_manifest() -> Manifest:
    """The manifest that `prepare` wrote."""
    return load_manifest(paths.MANIFEST, project_root())


def open_pool(manifest: Manifest, fold: int, params: PoolParams) -> list[PoolImage]:
    """The fold's pool of images to annotate and mine."""
    sources = [PoolSource(s.source, s.cap) for s in params.unlabeled]
    return build_pool(manifest, fold, sources, params.seed, project_root())


def weights_source(params: EncoderParams) -> str:
    """`weights` with relative paths resolved."""
    if params.weights in NAMED_WEIGHTS:
        return params.weights
    return str(project_root() / params.weights)


def encoder_key(params: EncoderParams) -> list[object]:
    """What decides the initial encoder and what it is given, for scratch keys."""
    return [params.backbone, params.weights, params.seed, params.long_side]
