"""Models that others published on the Hugging Face Hub, by `hf://USER/NAME`, pinned and verified.

Files are cached by huggingface_hub (`HF_HOME`); a commit that is cached needs no network.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fsslib.encoders.hub import impatient
from fsslib.errors import FsslibError, reason
from fsslib.files.model_names import MODEL, Address, parse_address
from fsslib.prediction.publication import (
    CONFIG,
    MOST_CONFIG,
    check_publication,
    read_publication,
)

COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Fetched:
    """A published model on this machine.

    Attributes:
        folder: that holds its files; read only, huggingface_hub's.
        address: with the commit in place of a branch or tag.
        sha256: of `model.safetensors`.
    """

    folder: Path
    address: Address
    sha256: str


def fetch_model(source: str | Path) -> Fetched:
    """Download a published model, or find it in the cache, and verify its files.

    Args:
        source: see `parse_address`.

    Raises:
        FsslibError: no such address, no network and nothing cached, nothing there that 'fss
            publish' made, or a file is another than `config.json` or the address says.
    """
    address = parse_address(source)
    try:
        with impatient():
            folder, commit = _download(address)
    except FsslibError:
        raise
    except Exception as error:  # from the hub's client or the network; its classes vary
        raise FsslibError(f"{address} could not be loaded: {_explained(error)}") from None
    found = check_publication(folder, str(address))
    if found is None:
        raise FsslibError(_not_ours(address))
    if address.sha256 not in ("", found.model_sha256):
        raise FsslibError(
            f"{address}: {MODEL} has SHA-256 {found.model_sha256[:12]} at commit {commit[:12]}: "
            "name the commit that has the wanted one"
        )
    return Fetched(folder, replace(address, revision=commit), found.model_sha256)


def _download(address: Address) -> tuple[Path, str]:
    """The folder that holds the files, and their commit."""
    folder, commit = fetch_config(address)
    found = read_publication(folder)
    if found is None:
        raise FsslibError(_not_ours(address))
    for name in found.files:
        _get(replace(address, revision=commit), name)
    return folder, commit


def fetch_config(address: Address) -> tuple[Path, str]:
    """The folder that holds `config.json` after it was downloaded, and its commit.

    Raises:
        FsslibError: there is none, or it is too large.
        Exception: of the hub's client.
    """
    from huggingface_hub import HfApi, constants

    pinned = bool(COMMIT.fullmatch(address.revision))
    config = _cached(address, CONFIG) if pinned else None
    sizes: dict[str, int | None] = {}
    if config is None and not constants.HF_HUB_OFFLINE:
        info = HfApi(endpoint=constants.ENDPOINT).model_info(
            address.repository, revision=address.revision or None, files_metadata=True
        )
        address = replace(address, revision=_commit(info.sha, address))
        sizes = {file.rfilename: file.size for file in info.siblings or ()}
        name = f"{address.folder}/{CONFIG}".lstrip("/")
        if name not in sizes:
            raise FsslibError(_not_ours(address))
        if (sizes[name] or 0) > MOST_CONFIG:
            raise FsslibError(f"{address}: {CONFIG} has more than {MOST_CONFIG} bytes: not read")
    config = config or _get(address, CONFIG)
    return config.parent, _commit(_after_snapshots(config), address)


def _get(address: Address, name: str) -> Path:
    from huggingface_hub import constants, hf_hub_download

    path: str = hf_hub_download(
        address.repository,
        name,
        subfolder=address.folder or None,
        revision=address.revision or None,
        endpoint=constants.ENDPOINT,
        cache_dir=constants.HF_HUB_CACHE,
        local_files_only=bool(constants.HF_HUB_OFFLINE),
    )
    return Path(path)


def _cached(address: Address, name: str) -> Path | None:
    from huggingface_hub import constants, try_to_load_from_cache

    file = f"{address.folder}/{name}".lstrip("/")
    found = try_to_load_from_cache(
        address.repository, file, cache_dir=constants.HF_HUB_CACHE, revision=address.revision
    )
    return Path(found) if isinstance(found, str) else None


def _after_snapshots(path: Path) -> str:
    """The commit in a path of the cache, `.../snapshots/COMMIT/...`."""
    parts = path.parts
    last = len(parts) - 1 - parts[::-1].index("snapshots")
    return parts[last + 1]


def _commit(value: Any, address: Address) -> str:  # noqa: ANN401 - as a server sent it
    if not isinstance(value, str) or not COMMIT.fullmatch(value):
        raise FsslibError(f"{address} could not be loaded: the hub names no commit: try again")
    return value


def _not_ours(address: Address) -> str:
    return (
        f"{address} holds no model that 'fss publish' made: models of timm are named timm:NAME, "
        "others by their file"
    )


def _explained(error: Exception) -> str:
    """Why the hub's client failed, and what to do about it."""
    from huggingface_hub import constants

    kinds = {kind.__name__ for kind in type(error).__mro__}  # its modules vary by version
    if "LocalEntryNotFoundError" in kinds:
        return (
            f"{constants.ENDPOINT} cannot be reached and nothing is cached: download the "
            "repository on another machine and name its folder"
        )
    if "RepositoryNotFoundError" in kinds:
        return (
            f"{constants.ENDPOINT} has no such repository, or it is private: check the name, or "
            "log in with 'hf auth login'"
        )
    if "RevisionNotFoundError" in kinds:
        return "the repository has no such revision: name a commit, branch or tag of it"
    return f"{reason(error)}: try again, or download the repository and name its folder"
