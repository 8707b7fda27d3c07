"""Paths that the steps write: `data/<step>`, and `results` for results; one folder per fold."""

from pathlib import Path

from fsslib.files.model_names import MODEL

DATA = Path("data")
RESULTS = Path("results")
SCRATCH = Path(".scratch")

FINGERPRINT = DATA / "fingerprint"
PREPARE = DATA / "prepare"
MANIFEST = PREPARE / "manifest.json"
EXTRACT = DATA / "extract"
PROTOTYPES = DATA / "collect" / "prototypes.h5"
METRICS = RESULTS / "metrics.json"


def fingerprint(name: str) -> Path:
    """Hashes of one group of files that lie outside."""
    return FINGERPRINT / f"{name}.txt"


def kept_weights(sha256: str, backbone: str) -> Path:
    """Encoder of the trained model of this hash, as plain weights that training starts from."""
    return SCRATCH / "weights" / f"{sha256}-{backbone.replace(':', '-')}.safetensors"


def clusters(fold: int) -> Path:
    """Sub-clusters of a fold."""
    return DATA / "cluster" / str(fold) / "clusters.h5"


def cluster_report(fold: int) -> Path:
    """Sizes and classes of the sub-clusters."""
    return DATA / "cluster" / str(fold) / "report.json"


def pseudo_masks(fold: int) -> Path:
    """Folder of zips with the pseudo-masks."""
    return DATA / "annotate" / str(fold)


def trained(fold: int) -> Path:
    """Folder of the trained model and its curves."""
    return DATA / "train" / str(fold)


def curves(fold: int) -> Path:
    """Folder of the curves of training, one TSV file each."""
    return trained(fold) / "live" / "plots" / "metrics"


def model(fold: int) -> Path:
    """The trained model."""
    return trained(fold) / MODEL


def region_index(fold: int) -> Path:
    """Folder of the region index."""
    return DATA / "index" / str(fold)


def reference(fold: int) -> Path:
    """Folder of the baseline, and of the scores that the fold's result is compared with."""
    return DATA / "reference" / str(fold)


def episodes(fold: int) -> Path:
    """The frozen list of episodes."""
    return DATA / "episodes" / str(fold) / "episodes.json"


def fold_results(fold: int) -> Path:
    """Folder of one fold's results."""
    return RESULTS / "folds" / str(fold)


def timing(fold: int, experiment: str | None = None) -> Path:
    """File with the times of evaluation, of a named experiment or of the workspace.

    It is separate from the metrics, since those are the same for every run.
    """
    folder = DATA / "evaluate"
    if experiment is not None:
        folder = folder / "experiments" / experiment
    return folder / str(fold) / "timing.json"
