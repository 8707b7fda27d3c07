"""Opens what stages share: params, manifest, folds, pools and the source of initial weights."""

from fsslib.data.manifest import Manifest, load_manifest
from fsslib.data.pool import PoolImage, PoolSource, build_pool, unread_in_pool
from fsslib.data.unread import describe_unread
from fsslib.encoders.backbones import NAMED_WEIGHTS

from . import paths
from .common import project_root, say
from .params import (
    EncoderParams,
    Params,
    PoolParams,
)
from .params_file import (
    load_params,
)


def read_params() -> Params:
    """Read and validate the whole of `params.yaml`."""
    return load_params()


def chosen_folds(fold: int | None, params: Params) -> list[int]:
    """The requested fold, or every fold of `params.yaml`."""
    return [fold] if fold is not None else params.folds


def open_manifest() -> Manifest:
    """Open the manifest that `prepare` wrote."""
    return load_manifest(paths.MANIFEST, project_root())


def open_pool(manifest: Manifest, fold: int, params: PoolParams) -> list[PoolImage]:
    """List the fold's pool of images to annotate and mine."""
    cache = paths.SCRATCH / "tars"
    return build_pool(manifest, fold, _sources(params), params.seed, project_root(), cache)


def say_unread_in_pool(params: PoolParams) -> None:
    """Say which files in folders of the pool are not read, a line for each folder."""
    for folder, names in unread_in_pool(_sources(params), project_root()).items():
        say(f"{folder}: {describe_unread(names)}")


def _sources(params: PoolParams) -> list[PoolSource]:
    return [PoolSource(s.source, s.cap) for s in params.unlabeled]


def weights_source(params: EncoderParams) -> str:
    """The value of `weights`, with a relative path resolved."""
    if params.weights in NAMED_WEIGHTS:
        return params.weights
    return str(project_root() / params.weights)
