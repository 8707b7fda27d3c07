"""Opens what stages share: params, manifest, folds, pools and the source of initial weights."""

from fsslib.data.manifest import Manifest, load_manifest
from fsslib.data.pool import PoolImage, PoolSource, build_pool, unread_in_pool
from fsslib.data.unread import describe_unread
from fsslib.encoders.backbones import NAMED_WEIGHTS
from fsslib.errors import FsslibError
from fsslib.files.model_names import MODEL, is_hub_address

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


def names_model(weights: str) -> bool:
    """Whether `weights` names a trained model, by `hf://USER/NAME` or by its folder."""
    return is_hub_address(weights) or (project_root() / weights / MODEL).is_file()


def weights_source(params: EncoderParams) -> str:
    """The value of `weights`, with a relative path resolved; of a trained model its encoder.

    Raises:
        FsslibError: the stage `fingerprint` has not kept the encoder of the model.
    """
    if params.weights in NAMED_WEIGHTS:
        return params.weights
    if not names_model(params.weights):
        return str(project_root() / params.weights)
    kept = project_root() / paths.kept_weights(_recorded(params.weights), params.backbone)
    if not kept.is_file():
        raise FsslibError(f"weights: {params.weights} is not fetched yet: run 'fss fingerprint'")
    return str(kept)


def _recorded(weights: str) -> str:
    """The hash of a model that the stage `fingerprint` wrote down, empty if there is none."""
    file = paths.fingerprint("weights")
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    found = [line.partition("  ") for line in lines if not line.startswith("#")]
    return next((sha256 for sha256, _, name in found if name == weights), "")
