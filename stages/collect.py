"""`collect`: gathers one row per (image, class) from the feature shards."""

from fsslib.mining.prototypes import collect_prototypes, save_prototypes

from .support import paths
from .support.common import command, make_app, say


@command
def main() -> None:
    """Gather the prototype sums and pixel counts of every (image, class) into one HDF5 table.

    Reads data/extract/ and no params. Writes data/collect/prototypes.h5. `extract` computed the
    sums, by exact masked average pooling (eq. 2), while it had the features. So `collect` reads no
    image. The table does not depend on the fold. Each fold adds its novel classes to its background
    later.
    """
    table = collect_prototypes(paths.EXTRACT)
    save_prototypes(table, paths.PROTOTYPES)
    say(f"{len(table.class_id)} prototypes of {len(set(table.image_id))} images")


app = make_app(main)

if __name__ == "__main__":
    app()
