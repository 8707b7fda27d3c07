"""Trained models as initial weights: on the hub, published in a folder, or of another project."""

from fsslib.files.fingerprints import hash_file
from fsslib.files.model_names import MODEL, SCHEME, is_hub_address
from fsslib.prediction.hub_models import fetch_model
from fsslib.prediction.publication import check_publication, write_encoder

from . import paths
from .common import project_root
from .params_outside import FingerprintParams


def model_fingerprint(params: FingerprintParams) -> str:
    """Hash of the model that `weights` names, and on the hub the commit that it comes from.

    Its encoder is kept for the stages that start from it, so that they need no network:
    `stages.support.inputs.weights_source` finds it by this hash.

    Raises:
        FsslibError: there is no such model, its files are not those that were published, or it is
            of another backbone.
    """
    if is_hub_address(params.weights):
        fetched = fetch_model(params.weights)
        model, sha256 = fetched.folder / MODEL, fetched.sha256
        note = f"# {SCHEME}{fetched.address.repository} at commit {fetched.address.revision}\n"
    else:
        folder, note = project_root() / params.weights, ""
        check_publication(folder)
        model = folder / MODEL
        sha256 = hash_file(model)
    kept = project_root() / paths.kept_weights(sha256, params.backbone)
    if not kept.is_file():
        write_encoder(model, params.backbone, kept)
    return f"{note}{sha256}  {params.weights}\n"
