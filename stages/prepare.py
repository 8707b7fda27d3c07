"""`prepare`: writes the dataset's manifest, and renders the embedded benchmark."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fsslib.data.holdout import hold_out
from fsslib.data.manifest import Manifest, save_manifest
from fsslib.datasets.layout import SPLITS, count_listed
from fsslib.datasets.rendering.scenes import make_scenes
from fsslib.datasets.scan import load_dataset
from fsslib.errors import FsslibError

from .support import paths
from .support.common import Bar, command, make_app, project_root, say
from .support.inputs import read_params
from .support.params import (
    PrepareParams,
    Runtime,
)
from .support.params_file import (
    stage_params,
)
from .support.workers import count_workers


@command
def main() -> None:
    """Make the dataset's manifest: classes, folds, and each image's size and pixels per class.

    Reads dataset, data_root, coco_folds, holdout and scenes from params.yaml. With
    `dataset: procedural`, it renders the embedded benchmark. With any other dataset, it reads the
    folder data_root in VOC layout (made by `fss data`), checks every image and mask, and copies
    nothing. With holdout, a group of base classes plays novel on training images that are set
    aside, and no validation image is opened. Writes data/prepare/: manifest.json and, for
    procedural, the rendered scenes.
    """
    everything = read_params()
    params = stage_params(PrepareParams, everything)
    with _new_folder(paths.PREPARE) as building:
        if params.dataset == "procedural":
            manifest, root = _render(params, everything.runtime, building), None
        else:
            assert params.data_root is not None
            manifest, root = _scan(params, everything.runtime), params.data_root
        if params.holdout is not None:
            manifest = hold_out(manifest, params.holdout)
        save_manifest(manifest, building / "manifest.json", root)
    say(
        f"{params.dataset}: {len(manifest.train)} training and {len(manifest.val)} "
        f"validation images, {len(manifest.classes)} classes"
    )


@contextmanager
def _new_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder, which replaces `path` after the block, or is removed if it raises."""
    building = path.with_name(f".{path.name}.part")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    try:
        yield building
        shutil.rmtree(path, ignore_errors=True)
        building.replace(path)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _render(params: PrepareParams, runtime: Runtime, folder: Path) -> Manifest:
    scenes = params.scenes
    with Bar("Rendering scenes", scenes.train + scenes.val) as bar:
        return make_scenes(
            folder,
            scenes.train,
            scenes.val,
            scenes.size,
            scenes.seed,
            bar.advance,
            max(1, count_workers(runtime, gpu=False)),
        )


def _scan(params: PrepareParams, runtime: Runtime) -> Manifest:
    root = project_root() / str(params.data_root)
    if not root.is_dir():
        raise FsslibError(f"data_root: {params.data_root} is not a folder (looked at {root})")
    splits = SPLITS if params.holdout is None else ("train",)
    with Bar("Reading masks", count_listed(root, splits)) as bar:
        return load_dataset(
            params.dataset,
            root,
            max(1, count_workers(runtime, gpu=False)),
            bar.advance,
            paths.SCRATCH / "scan.json",
            params.coco_folds,
            splits,
        )


app = make_app(main)

if __name__ == "__main__":
    app()
