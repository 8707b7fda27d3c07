"""`cluster`: finds K sub-clusters and one background prototype per fold."""

from fsslib.files.storage import write_bytes, write_json
from fsslib.mining.clusters import cluster_prototypes, cluster_report, save_clusters
from fsslib.mining.prototypes import fold_prototypes, load_prototypes
from fsslib.pictures.clusters import cluster_sheet

from .support import paths
from .support.common import FoldOption, command, make_app, say
from .support.inputs import chosen_folds, open_manifest, read_params
from .support.params import (
    ClusterParams,
)
from .support.params_file import (
    stage_params,
)


@command
def main(fold: FoldOption = None) -> None:
    """Run K-Means on the foreground prototypes of the fold's base classes (section 3.3.1).

    Reads k, kmeans and seed from params.yaml, data/collect/ and data/prepare/. For the picture, it
    also reads a few training photographs and masks of each sub-cluster. Writes
    data/cluster/<fold>/clusters.h5 and report.json (sizes, inertia, silhouette, classes), and the
    picture results/folds/<fold>/clusters.png (the most typical regions of each sub-cluster).
    """
    everything = read_params()
    params = stage_params(ClusterParams, everything)
    manifest, table = open_manifest(), load_prototypes(paths.PROTOTYPES)
    for number in chosen_folds(fold, everything):
        prototypes = fold_prototypes(table, manifest.base(number), manifest.as_background(number))
        clusters = cluster_prototypes(prototypes, params.k, params.seed, params.kmeans)
        save_clusters(clusters, prototypes, paths.clusters(number))
        report = cluster_report(clusters, prototypes, dict(manifest.classes))
        write_json(paths.cluster_report(number), report)
        sheet = cluster_sheet(manifest, clusters, prototypes)
        write_bytes(paths.fold_results(number) / "clusters.png", sheet)
        say(
            f"fold {number}: {len(prototypes.foreground)} prototypes in {params.k} sub-clusters, "
            f"silhouette {clusters.silhouette:.3f}"
        )


app = make_app(main)

if __name__ == "__main__":
    app()
