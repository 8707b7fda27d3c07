"""A run in the real layout, made of small files: two folds, or less of them."""

import json
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from fsslib.evaluation.metrics import Counts
from fsslib.evaluation.summary import common_head, fold_metrics, overall_metrics
from fsslib.files.storage import write_json
from tests.support.project import ROOT

HOSTILE = '<script>document.title="owned"</script>'
NAMES = {1: "cat", 2: "dog & <b>bird</b>", 3: "sheep", 4: HOSTILE, 5: "cow"}
NOVEL = ((1, 2), (3, 4))


def counts(class_ids, seed) -> Counts:
    """Pixels of two evaluation seeds, drawn."""
    generator = np.random.default_rng(seed)
    made = Counts((0, 1), tuple(class_ids))
    made.intersection = generator.integers(100, 900, (2, len(class_ids)))
    made.union = made.intersection + generator.integers(100, 900, (2, len(class_ids)))
    made.binary_intersection = made.intersection[:, :2] + 100
    made.binary_union = made.binary_intersection + 700
    made.episodes = made.episodes + 3
    return made


def write_curve(folder: Path, name: str, values) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"step\t{name}", *(f"{i}\t{value}" for i, value in enumerate(values))]
    (folder / f"{name}.tsv").write_text("\n".join(lines) + "\n")


def write_picture(path: Path, width=640, height=200) -> None:
    """Noise on a ramp: a PNG that is larger than its WebP, as photographs are."""
    noise = np.random.default_rng(0).integers(0, 40, (height, width, 3))
    pixels = (noise + np.linspace(0, 200, width)[None, :, None]).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def write_fold(root: Path, fold: int) -> dict:
    """All that the stages leave of a fold; its metrics."""
    results, trained = root / f"results/folds/{fold}", root / f"data/train/{fold}"
    head = {"fold": fold, "dataset": "procedural", "protocol": "paper", "ways": 1}
    shots = {1: counts(NOVEL[fold], fold), 5: counts(NOVEL[fold], fold + 10)}
    metrics = {**head, **fold_metrics(shots, NAMES)}
    write_json(results / "metrics.json", metrics)
    for name in ("training", "clusters", "pseudo", "episodes"):
        write_picture(results / f"{name}.png")
    curves = trained / "live/plots/metrics"
    for name in ("loss", "episode", "pseudo", "episode_iou", "pseudo_accuracy", "lr"):
        write_curve(curves, name, [1 / (i + 1) for i in range(30)])
    rows = [{"cluster": n, "prototypes": 9 - n, "classes": {"cow": 9 - n}} for n in (1, 2)]
    write_json(
        root / f"data/cluster/{fold}/report.json",
        {
            "k": 2,
            "inertia": 1.5,
            "silhouette": 0.25,
            "background_prototypes": 4,
            "clusters": rows,
        },
    )
    return metrics


def write_run(root: Path, folds=(0, 1)) -> Path:
    """A project folder with params.yaml for folds 0 and 1, and a run of `folds`."""
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    root.mkdir(parents=True, exist_ok=True)
    (root / "params.yaml").write_text(text.replace("  - 2\n  - 3\nunlabeled", "unlabeled"))
    parts = {fold: write_fold(root, fold) for fold in folds}
    if parts:
        write_json(root / "results/metrics.json", {**common_head(parts), **overall_metrics(parts)})
    return root


def change_json(path: Path, **values) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def forget(root: Path, *patterns: str) -> None:
    """Remove what matches."""
    for pattern in patterns:
        for path in root.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
