"""`fingerprint`: hashes what lies outside of the project, so that a change is noticed."""

from fsslib.files.storage import write_bytes

from .support import paths
from .support.common import command, make_app
from .support.outside import make_fingerprints
from .support.params_file import (
    load_params,
    stage_params,
)
from .support.params_outside import FingerprintParams


@command
def main() -> None:
    """Hash the weights file, the dataset's folder and the folders of the pool.

    Reads backbone, weights, dataset, data_root, holdout and unlabeled from params.yaml, and the
    files that they name. `dvc repro` runs it every time. Each later stage depends on the hashes of
    what it reads, so it runs again after a change of just that. A file is read again only if its
    size, times or inode are new; the rest is remembered in .scratch/fingerprints/. Writes
    data/fingerprint/: weights.txt, lists.txt, train_photographs.txt, train_masks.txt,
    val_photographs.txt, val_masks.txt and pool.txt.
    """
    params = stage_params(FingerprintParams, load_params())
    for name, text in make_fingerprints(params).items():
        write_bytes(paths.fingerprint(name), text.encode("utf-8", "surrogateescape"))


app = make_app(main)

if __name__ == "__main__":
    app()
