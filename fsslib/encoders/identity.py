"""Which weights an encoder starts from, in one word that changes with their content."""

from pathlib import Path

from fsslib.encoders.backbones import NAMED_WEIGHTS, WEIGHTS_REMEDY
from fsslib.encoders.installed import INSTALLED
from fsslib.errors import FsslibError
from fsslib.files.fingerprints import hash_file


def weights_identity(backbone: str, source: str, seed: int) -> str:
    """Name of the weights that `load_weights` loads, or the hash of their file.

    Args:
        backbone: name of the encoder.
        source: as in `load_weights`.
        seed: seed of `random`.

    Returns:
        `random 0` with the seed, `imagenet`, or the file's SHA-256 in hex. The hash of `installed`
        weights is the one that `installed_file` demands, so no file is read for it.

    Raises:
        FsslibError: the file is missing or unreadable.
    """
    if source == "random":
        return f"random {seed}"
    if source == "installed":
        return installed_identity(backbone)
    if source in NAMED_WEIGHTS:
        return source
    return hash_file(require_weights(Path(source)))


def installed_identity(backbone: str) -> str:
    """SHA-256 of the installed weights of a backbone, or `installed` where there are none."""
    weights = INSTALLED.get(backbone.partition("@")[0])
    return "installed" if weights is None else weights.sha256


def require_weights(path: Path) -> Path:
    """Return the path of a weights file, or raise `FsslibError` where there is no file."""
    if not path.is_file():
        raise FsslibError(f"weights: {path} does not exist: {WEIGHTS_REMEDY}")
    return path
