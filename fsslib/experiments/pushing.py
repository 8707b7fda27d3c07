"""Uploads a published folder to a model repository of the Hugging Face Hub."""

from pathlib import Path

from fsslib.encoders.hub import impatient
from fsslib.errors import FsslibError, reason
from fsslib.files.model_names import MODEL, SCHEME, parse_address
from fsslib.prediction.hub_models import fetch_config
from fsslib.prediction.publication import CARD, CONFIG, PRESENCE, read_publication

LOGIN = "log in with 'hf auth login', or set HF_TOKEN to a token that may write"
HUBS_OWN = frozenset({".gitattributes", CARD})
"""Files that a repository may hold before anything was published to it."""


def check_push(repository: str, licence: str | None) -> None:
    """Refuse what cannot be uploaded, before anything is written.

    Raises:
        FsslibError: no licence, no login, or the hub cannot be reached.
    """
    from huggingface_hub import constants, get_token

    if licence is None:
        raise FsslibError(
            f"--push {repository} needs --license: say what others may do with the weights"
        )
    if get_token() is None:
        raise FsslibError(f"--push {repository}: no login for the hub: {LOGIN}")
    with impatient():
        offline = constants.HF_HUB_OFFLINE
    if offline:
        raise FsslibError(
            f"--push {repository}: {constants.ENDPOINT} cannot be reached: publish without --push "
            "and upload the folder from another machine with 'hf upload'"
        )


def push_folder(folder: Path, repository: str, private: bool) -> str:
    """Upload a folder as one commit, to a new repository or over an earlier publication.

    Args:
        folder: that `fsslib.experiments.publishing.publish_model` made.
        repository: `USER/NAME`.
        private: whether only the publisher sees a repository that is made.

    Returns:
        The commit.

    Raises:
        FsslibError: the hub refused it or cannot be reached, or the repository holds anything but
            a publication.
    """
    from huggingface_hub import HfApi, constants

    api = HfApi(endpoint=constants.ENDPOINT)
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        _require_ours(repository, set(api.list_repo_files(repository)))
        done = api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            allow_patterns=[MODEL, *PRESENCE, CARD, CONFIG],
            delete_patterns=list(PRESENCE),  # of an earlier model that was calibrated
            commit_message="fss publish",
        )
        return str(done.oid)
    except FsslibError:
        raise
    except Exception as error:  # from the hub's client or the network; its classes vary
        first = error.__cause__ or error  # the client says 'Error while uploading' of anything
        status = getattr(getattr(first, "response", None), "status_code", None)
        remedy = LOGIN if status in (401, 403) else "run the same command again"
        raise FsslibError(
            f"{repository} was not uploaded ({reason(first)}); {folder} is whole: {remedy}"
        ) from None


def _require_ours(repository: str, files: set[str]) -> None:
    """Refuse to write over somebody's other model."""
    if files <= HUBS_OWN:
        return
    try:
        ours = read_publication(fetch_config(parse_address(f"{SCHEME}{repository}"))[0]) is not None
    except FsslibError:
        ours = False
    if not ours:
        raise FsslibError(
            f"{repository} holds {sorted(files - HUBS_OWN)[0]} and no model of 'fss publish': "
            "push to another name"
        )
