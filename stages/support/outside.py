"""Fingerprints of what lies outside of the project: weights, dataset and pool folders.

The stage `fingerprint` writes them, `outside_now` and `fss data check` compare them.
"""

import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from fsslib.data.listing import photographs_below
from fsslib.data.pool import LABELLED, is_folder, pool_folder
from fsslib.data.tar_shards import tar_files
from fsslib.datasets.layout import SPLITS
from fsslib.datasets.outside import dataset_files, folder_digest
from fsslib.encoders.backbones import NAMED_WEIGHTS
from fsslib.encoders.identity import installed_identity, require_weights
from fsslib.errors import FsslibError
from fsslib.files.fingerprints import Hashed, changes, hash_files, listing, read_listing

from . import paths
from .common import Bar, project_root
from .inputs import names_model
from .params_file import load_params, stage_params
from .params_outside import FingerprintParams

DATASET = ("lists", *(f"{split}_{what}" for split in SPLITS for what in ("photographs", "masks")))
"""Fingerprints of the dataset's folder, as `fsslib.datasets.outside.dataset_files` names them."""

NAMES = ("weights", *DATASET, "pool")
"""All fingerprints; each is a file of its name."""

QUICK_SECONDS = 2
"""Seconds of hashing before a bar is shown."""


def make_fingerprints(params: FingerprintParams) -> dict[str, str]:
    """Name -> content of its file; equal on every machine that has equal files outside.

    Raises:
        FsslibError: a folder or the weights file is missing, or a file cannot be read.
    """
    with _Progress() as progress:
        taken: dict[tuple[int, int], str] = {}
        return {
            "weights": _weights(params, progress),
            **_dataset(params, taken, progress),
            "pool": _pool(params, taken, progress),
        }


class _Progress:
    """A bar for each group of files that takes longer to hash than `QUICK_SECONDS`."""

    def __init__(self) -> None:
        self.what = ""
        self._bar: Bar | None = None
        self._start, self._done = time.monotonic(), 0

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._bar.__exit__(*exc)

    def begin(self, what: str) -> None:
        """Start on another group."""
        self.__exit__(None, None, None)
        self.what, self._bar, self._start, self._done = what, None, time.monotonic(), 0

    def __call__(self, done: int, total: int) -> None:
        """Show that `done` of `total` files of the group are hashed."""
        if self._bar is None:
            if time.monotonic() - self._start < QUICK_SECONDS:
                return
            self._bar = Bar(f"Hashing {self.what}", total).__enter__()
        self._bar.advance(done - self._done)
        self._done = done


def _weights(params: FingerprintParams, progress: _Progress) -> str:
    head = "# SHA-256 of the initial weights, or what they are called\n"
    if params.weights == "installed":
        return f"{head}{installed_identity(params.backbone)}  installed {params.backbone}\n"
    if params.weights in NAMED_WEIGHTS:
        return f"{head}{params.weights}\n"
    path = project_root() / params.weights
    progress.begin("weights")
    if names_model(params.weights):
        from .model_weights import model_fingerprint  # imports torch: takes seconds

        return head + model_fingerprint(params)
    require_weights(path)
    (hashed,) = _hash(path.parent, [path.name], "weights", progress)
    return f"{head}{hashed.sha256}  {params.weights}\n"


def _dataset(
    params: FingerprintParams, taken: dict[tuple[int, int], str], progress: _Progress
) -> dict[str, str]:
    """Fingerprints of the dataset's folder; its photographs are entered into `taken`."""
    if params.dataset == "procedural":
        return dict.fromkeys(DATASET, "# dataset: procedural, nothing lies outside\n")
    root = project_root() / str(params.data_root)
    if not root.is_dir():
        raise FsslibError(
            f"data_root: {params.data_root} is not a folder (looked at {root}); to go on without "
            "it from what is computed: dvc freeze fingerprint"
        )
    # With a holdout, no validation image is opened: training images take their place.
    splits = SPLITS if params.holdout is None else ("train",)
    found = {}
    for name, files in dataset_files(root, splits).items():
        progress.begin(name.replace("_", " "))
        hashed = _hash(root, files, name, progress)
        if name.endswith("photographs"):
            taken.update((h.key, f"data_root/{f}") for f, h in zip(files, hashed, strict=True))
        head = f"# {name.replace('_', ' ')} of data_root, for 'sha256sum --check' in that folder\n"
        found[name] = head + listing(files, hashed)
    if params.holdout is not None:
        found.update({n: found[n.replace("val", "train", 1)] for n in found if n[:3] == "val"})
    return found


def _pool(params: FingerprintParams, taken: dict[tuple[int, int], str], progress: _Progress) -> str:
    text = "# each folder and tar file in 'unlabeled': one SHA-256 of names and contents\n"
    root = project_root()
    for number, source in enumerate(params.unlabeled):
        if source.source in LABELLED:
            continue
        progress.begin(f"photographs of {source.source}")
        if not is_folder(source.source, root):
            archives = tar_files(source.source, root)
            names = [os.path.relpath(archive, root) for archive in archives]
            text += listing(names, _hash(root, names, "tars", progress))
        else:
            folder = pool_folder(root, source.source)
            names = photographs_below(folder)
            hashed = _hash(folder, names, "pool", progress)
            digest = folder_digest([f"@{number}/{name}" for name in names], hashed, taken)
            text += f"{digest}  {source.source} ({len(names)} files)\n"
    return text


def _hash(root: Path, names: Sequence[str], group: str, progress: _Progress) -> list[Hashed]:
    """Hash files with the project's memory, which experiments in copies of the project share."""
    where = f"{os.path.realpath(root)}\0{group}"
    key = hashlib.sha256(where.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    memory = project_root() / paths.SCRATCH / "fingerprints" / f"{key}.txt"
    return hash_files(root, names, memory, progress)


def changed_since(root: Path, now: Mapping[str | None, str | None]) -> list[str]:
    """What became of the photographs and masks since the stages used them, a line for each change.

    Nothing if `root` is not `data_root` of the workspace's params, or if the hashes are missing.

    Args:
        root: folder of a dataset.
        now: path relative to it -> SHA-256; None for a file that is missing or cannot be read.
    """
    files = [paths.fingerprint(name) for name in DATASET if name != "lists"]
    try:
        params = stage_params(FingerprintParams, load_params())
    except FsslibError:  # outside of a project
        return []
    ours = params.dataset != "procedural" and params.holdout is None
    if not ours or not all(file.is_file() for file in files):
        return []
    if os.path.realpath(root) != os.path.realpath(project_root() / str(params.data_root)):
        return []
    texts = [file.read_text(encoding="utf-8", errors="surrogateescape") for file in files]
    then = {name: sha256 for text in texts for name, sha256 in read_listing(text).items()}
    there = {name: sha256 for name, sha256 in now.items() if name is not None}
    return [f"{change} since the last 'dvc repro'" for change in changes(then, there)]
