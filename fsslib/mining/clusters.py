"""Representative sub-clusters: K foreground centres, one background prototype (section 3.3.1)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from fsslib.errors import FsslibError
from fsslib.files.storage import create_hdf5, read_array, read_hdf5
from fsslib.mining.feature_files import UNKNOWN, Origin, read_origin, write_origin
from fsslib.mining.prototypes import FoldPrototypes

KIND, VERSION = "clusters", 1
REMEDY = "run the stage 'cluster' again"
FULL_LIMIT = 100_000
"""Largest number of prototypes for which `auto` runs the full K-Means."""
SILHOUETTE_SAMPLE = 2000

Algorithm = Literal["auto", "full", "minibatch"]


@dataclass(frozen=True)
class Clusters:
    """Representative prototypes P_rep of a fold.

    Attributes:
        prototypes: (K + 1, C) float32; row 0 is the background p_bg, row i is sub-cluster i, from
            the largest to the smallest.
        assignment: (n_fg,) int64, sub-cluster 1 to K of every foreground prototype.
        inertia: sum of squared distances to the centres.
        silhouette: silhouette score of a random sample of prototypes, -1 to 1; 0 when the sample
            has one sub-cluster only, or a sub-cluster of its own for each prototype.
        origin: what made the features.
    """

    prototypes: NDArray[np.float32]
    assignment: NDArray[np.int64]
    inertia: float
    silhouette: float
    origin: Origin = UNKNOWN

    @property
    def k(self) -> int:
        """Number of sub-clusters."""
        return len(self.prototypes) - 1


def cluster_prototypes(
    prototypes: FoldPrototypes, k: int, seed: int, algorithm: Algorithm = "auto"
) -> Clusters:
    """Run K-Means on P_fg and average P_bg; the result does not depend on the number of threads.

    Args:
        prototypes: prototypes of the fold.
        k: number of sub-clusters.
        seed: seed of the initialisation.
        algorithm: `full`, `minibatch`, or `auto` for mini-batches above `FULL_LIMIT` prototypes.

    Raises:
        FsslibError: there are fewer distinct foreground prototypes than `k`, or no background
            prototype.
    """
    samples = np.ascontiguousarray(prototypes.foreground, np.float32)
    distinct = _count_distinct(samples, k)
    if distinct < k:
        raise FsslibError(
            f"k={k} needs at least {k} foreground prototypes, found {distinct}: "
            "lower k or add images"
        )
    if not len(prototypes.background):
        raise FsslibError("no labelled image has background pixels: check the masks")
    full = algorithm == "full" or (algorithm == "auto" and len(samples) <= FULL_LIMIT)
    # Imported here, because `train` and others that only read clusters need not wait for it.
    from sklearn.cluster import KMeans, MiniBatchKMeans

    estimator = KMeans if full else MiniBatchKMeans
    # One thread, because the order of K-Means' partial sums depends on the number of threads.
    with threadpool_limits(limits=1):
        model = estimator(n_clusters=k, n_init=10, random_state=seed).fit(samples)
        quality = _silhouette(samples, model.labels_, seed)
    order = np.argsort(-np.bincount(model.labels_, minlength=k), kind="stable")
    rank = np.empty(k, np.int64)
    rank[order] = np.arange(1, k + 1)
    background = prototypes.background.mean(axis=0, dtype=np.float64)
    representatives = np.vstack([background[None], model.cluster_centers_[order]])
    return Clusters(
        representatives.astype(np.float32),
        rank[model.labels_],
        float(model.inertia_),
        quality,
        prototypes.origin,
    )


def _count_distinct(samples: NDArray[np.float32], enough: int) -> int:
    """Number of different rows; counting stops at `enough`."""
    seen: set[bytes] = set()
    for row in samples:
        seen.add((row + 0).tobytes())  # + 0 makes -0 equal 0
        if len(seen) >= enough:
            break
    return len(seen)


def _silhouette(samples: NDArray[np.float32], labels: NDArray[np.int32], seed: int) -> float:
    chosen = np.random.default_rng(seed).permutation(len(samples))[:SILHOUETTE_SAMPLE]
    found = len(np.unique(labels[chosen]))
    if not 1 < found < len(chosen):
        return 0.0
    from sklearn.metrics import silhouette_score

    return float(silhouette_score(samples[chosen], labels[chosen]))


def save_clusters(clusters: Clusters, prototypes: FoldPrototypes, path: Path) -> None:
    """Write the sub-clusters and the assignment of the foreground prototypes."""
    with create_hdf5(path, KIND, VERSION) as file:
        write_origin(file, clusters.origin)
        file.put("prototypes", clusters.prototypes)
        file.put("assignment", clusters.assignment)
        file.put("class_id", prototypes.foreground_class)
        images = np.char.encode(prototypes.foreground_image)
        file.put("image_id", images)
        file.number("inertia", clusters.inertia)
        file.number("silhouette", clusters.silhouette)


def load_clusters(path: Path) -> Clusters:
    """Read the sub-clusters that `save_clusters` wrote."""
    with read_hdf5(path, KIND, VERSION, REMEDY) as file:
        prototypes = read_array(file, "prototypes", "float32", None, None)
        if len(prototypes) < 2:
            raise ValueError("prototypes hold no sub-cluster")
        return Clusters(
            prototypes,
            read_array(file, "assignment", "int64", None),
            float(file.attrs["inertia"]),
            float(file.attrs["silhouette"]),
            read_origin(file),
        )


def cluster_report(
    clusters: Clusters, prototypes: FoldPrototypes, names: dict[int, str]
) -> dict[str, object]:
    """Report sizes, inertia and silhouette, and the classes in each sub-cluster."""
    rows = []
    for number in range(1, clusters.k + 1):
        classes = prototypes.foreground_class[clusters.assignment == number]
        values, counts = np.unique(classes, return_counts=True)
        order = np.argsort(-counts, kind="stable")
        made_of = {names[int(values[i])]: int(counts[i]) for i in order}
        rows.append({"cluster": number, "prototypes": len(classes), "classes": made_of})
    return {
        "k": clusters.k,
        "inertia": round(clusters.inertia, 3),
        "silhouette": round(clusters.silhouette, 4),
        "background_prototypes": len(prototypes.background),
        "clusters": rows,
    }
