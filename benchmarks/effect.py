"""The effect of mining and rectification, with the pipeline's own commands.

    python -m benchmarks.effect --out /tmp/effect
    python -m benchmarks.effect --out /tmp/effect --tune 2    # learning rates, on fold 2 alone
    python -m benchmarks.effect --out /tmp/scenes --preset procedural    # the embedded benchmark
    python -m benchmarks.effect --out /tmp/effect --table table8 --seeds 0    # or table3, 4, 6
    python -m benchmarks.effect --out /tmp/held0 --preset procedural --folds 0 --holdout 0

For each training seed and fold: the pretrained encoder, the plain baseline trained as long (its
averaged weights, as ours), and our training, whose model is scored without rectification, with each
one and with both. Photographs are encoded once, and what is finished is not run again: an
interrupted run goes on. `--table` has the rows of that sweep instead, its models without mining
trained at the baseline's own rate.

`--holdout G` is for choosing settings; it sets the param `holdout`. In each fold group G of its
base classes plays novel, on a fifth of the training images that is set aside by a hash of the id.
The groups of a fold are the classes of the other folds, counted from 0 without the fold itself:
with `--folds 0`, group 0 holds the classes of fold 1. The fold's own classes and validation images
are not looked at.

`--rows KEY=VALUE,KEY=VALUE ...` scores our model with other evaluation keys, too.

Prints Markdown tables and writes OUT/effect.json; the last line is one JSON object.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from ruamel.yaml import YAML

from fsslib.encoders.backbones import NAMED_WEIGHTS, TIMM_PREFIX
from fsslib.experiments.presets import preset_values
from fsslib.experiments.sweeps import find_sweep

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "data" / "voc-sample"
"""The VOC sample, made by `fss data pascal --ids data/voc-sample.txt`."""

Json = dict[str, Any]

PRESETS = ("voc-sample", "procedural")

OURS: Json = {"mine": True}
BASELINE: Json = {"mine": False, "rectify_bg": False}
TUNED = {
    "baseline": (0.00005, 0.0001, 0.0002, 0.0005, 0.001),
    "ours": (0.0005, 0.001, 0.002, 0.004),
}

PLAIN: Json = {"rectify_fg": False, "rectify_bg": False}
ROWS: dict[str, tuple[str, Json]] = {
    "training-free": ("free", {**PLAIN, "ema": True}),
    "baseline": ("baseline", {**PLAIN, "ema": True}),
    "mining": ("ours", {**PLAIN, "ema": True}),
    "mining + background": ("ours", {"rectify_fg": False, "rectify_bg": True, "ema": True}),
    "mining + regions": ("ours", {"rectify_fg": True, "rectify_bg": False, "ema": True}),
    "full method": ("ours", {"rectify_fg": True, "rectify_bg": True, "ema": True}),
}
"""Row of the table -> the model that it scores, and its evaluation keys."""


MODELS: dict[str, Json] = {
    "ours": OURS,
    "ours-plain": {**OURS, "rectify_bg": False},
    **{miner: {**OURS, "miner": miner, "rectify_bg": False} for miner in ("cct", "simclr")},
    **{f"ours-k{k}": {**OURS, "k": k} for k in (1, 3, 7, 9)},
}


def rows_of(table: str) -> dict[str, tuple[str, Json]]:
    """Rows as in `ROWS`, of a sweep by its name."""
    if table == "effect":
        return ROWS
    found = {}
    for experiment in find_sweep(table).experiments:
        changes = dict(experiment.changes)
        trained = {key: changes.pop(key) for key in ("mine", "miner", "k") if key in changes}
        background = changes["rectify_bg"]  # in training as in matching
        if not trained["mine"]:
            model = "baseline-bg" if background else "baseline"
        elif trained.get("miner", "clusters") != "clusters":
            model = trained["miner"]
        elif not background:
            model = "ours-plain"
        else:
            model = "ours" if trained.get("k", 5) == 5 else f"ours-k{trained['k']}"
        found[experiment.label] = (model, changes)
    return found


SWEEPS = ("table3", "table4", "table6", "table8")


def row_file(changes: Mapping[str, Any]) -> str:
    """Name of a row's metrics, from its evaluation keys: tables label one row differently."""
    return ",".join(f"{key}={changes[key]}" for key in sorted(changes))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="voc-sample", choices=PRESETS)
    parser.add_argument("--root", type=Path, default=SAMPLE, help="the VOC sample")
    parser.add_argument("--backbone", help="default: the preset's; with its installed weights")
    parser.add_argument("--weights", help="default: installed, or imagenet for a ResNet")
    parser.add_argument("--out", type=Path, required=True, help="folder for everything made here")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1], help="of training")
    parser.add_argument("--folds", type=int, nargs="*", help="default: the preset's")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time, a thread each")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="other settings")
    parser.add_argument("--table", default="effect", choices=("effect", *SWEEPS))
    parser.add_argument(
        "--holdout", type=int, metavar="G", help="group of base classes that is novel"
    )
    parser.add_argument("--rows", nargs="*", default=[], help="more rows: KEY=VALUE,KEY=VALUE")
    parser.add_argument("--tune", type=int, metavar="FOLD", help="compare learning rates there")
    return parser.parse_args()


def write_params(folder: Path, changes: Mapping[str, Any]) -> None:
    """The project's params.yaml with some keys changed; `a.b` is key b of section a."""
    yaml = YAML()
    params = yaml.load((ROOT / "params.yaml").read_text())
    for key, value in changes.items():
        *sections, name = key.split(".")
        place = params
        for section in sections:
            place = place[section]
        if name not in place:
            raise SystemExit(f"{key} is no key of params.yaml")
        place[name] = value
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "params.yaml").open("w") as stream:
        yaml.dump(params, stream)


class Work:
    """Folders of one run, each like a checkout's `data/` and `results/`."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args, self.out = args, args.out.resolve()
        preset = preset_values(args.preset)
        args.folds = args.folds or preset["folds"]
        self.out.mkdir(parents=True, exist_ok=True)
        given = dict(pair.split("=", 1) for pair in args.set)
        self.settings: Json = {
            **preset,
            **self.encoder(),
            "folds": list(args.folds),
            "runtime.workers": 1,
            "holdout": args.holdout,
            **{key: YAML(typ="safe").load(value) for key, value in given.items()},
        }
        if args.preset == "voc-sample":
            self.settings["data_root"] = str(args.root.resolve())
        self.baseline = {**BASELINE, "training.lr": self.settings["baseline_lr"]}
        self.common = self.out / "common"

    def encoder(self) -> Json:
        """Backbone and weights: those asked for, with installed weights for every model of timm."""
        backbone = self.args.backbone or preset_values(self.args.preset)["backbone"]
        weights = self.args.weights or (
            "installed" if backbone.startswith(TIMM_PREFIX) else "imagenet"
        )
        if weights not in NAMED_WEIGHTS:
            weights = str(Path(weights).resolve())
        return {"backbone": backbone, "weights": weights}

    def run(self, folder: Path, stage: str, *options: str, threads: int = 1) -> None:
        """One stage's command in a folder; its own words go to OUT/log.txt."""
        env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(threads)}
        command = [sys.executable, "-m", f"stages.{stage}", *options]
        with (self.out / "log.txt").open("a") as log:
            log.write(f"\n{folder.relative_to(self.out)}: {' '.join(command[2:])}\n")
            log.flush()
            done = subprocess.run(command, cwd=folder, env=env, stdout=log, stderr=log)
        if done.returncode:
            raise SystemExit(f"{stage} failed in {folder}: see {self.out / 'log.txt'}")

    def prepare(self) -> None:
        """What does not depend on the training seed: manifest, features, prototypes, episodes."""
        write_params(self.common, {**self.settings, "runtime.workers": 2})
        for stage, made in (
            ("prepare", "data/prepare/manifest.json"),
            ("extract", "data/extract"),
            ("collect", "data/collect/prototypes.h5"),
            ("episodes", f"data/episodes/{self.args.folds[-1]}/episodes.json"),
        ):
            if not (self.common / made).exists():
                tell(f"{stage} ...")
                self.run(self.common, stage)

    def folder(self, seed: int, fold: int, name: str, changes: Mapping[str, Any]) -> Path:
        """A folder of one training, with links to what is common."""
        folder = self.out / f"seed{seed}" / f"fold{fold}" / name
        write_params(folder, {**self.settings, "seed": seed, **changes})
        for part in ("prepare", "extract", "collect", "episodes"):
            link = folder / "data" / part
            link.parent.mkdir(exist_ok=True)
            if not link.is_symlink():
                link.symlink_to(self.common / "data" / part)
        return folder

    def train(self, seed: int, fold: int, name: str, changes: Mapping[str, Any]) -> Path:
        """Train in a folder unless that is done already; returns the folder."""
        folder = self.folder(seed, fold, name, changes)
        if not (folder / f"data/train/{fold}/model.safetensors").exists():
            option = ("--fold", str(fold))
            if changes["mine"] and changes.get("miner", "clusters") == "clusters":
                for stage in ("cluster", "annotate"):
                    self.run(folder, stage, *option)
            since = time.monotonic()
            self.run(folder, "train", *option)
            (folder / "minutes").write_text(f"{(time.monotonic() - since) / 60:.1f}\n")
        return folder

    def score(self, seed: int, fold: int, folder: Path, trained: Json, changes: Json) -> Json:
        """Metrics of one row of a model, from the file where they are known already."""
        kept = folder / "rows" / f"{row_file(changes)}.json"
        if not kept.exists():
            write_params(folder, {**self.settings, "seed": seed, **trained, **changes})
            if changes["rectify_fg"]:
                self.index(folder, fold, changes["ema"])
            self.run(folder, "evaluate", "--fold", str(fold))
            kept.parent.mkdir(exist_ok=True)
            shutil.copy(folder / f"results/folds/{fold}/metrics.json", kept)
        metrics: Json = json.loads(kept.read_text())
        return metrics

    def index(self, folder: Path, fold: int, ema: bool) -> None:
        """Regions of the pool under a model's weights, unless they are there."""
        made_with = folder / "index-ema"
        known = made_with.read_text().strip() if made_with.exists() else "True"
        if any((folder / "data").glob(f"index/{fold}/*.h5")) and known == str(ema):
            return
        if not (folder / f"data/annotate/{fold}").exists():  # trained without pseudo-masks
            for stage in ("cluster", "annotate"):
                self.run(folder, stage, "--fold", str(fold))
        self.run(folder, "index", "--fold", str(fold))
        made_with.write_text(f"{ema}\n")


def more_rows(given: Iterable[str]) -> dict[str, tuple[str, Json]]:
    """Rows of our model with other evaluation keys than the full method's."""
    found = {}
    for text in given:
        pairs = (pair.split("=", 1) for pair in text.split(","))
        keys = {key: YAML(typ="safe").load(value) for key, value in pairs}
        found[text] = ("ours", {**ROWS["full method"][1], **keys})
    return found


def untrained(work: Work, fold: int) -> Path:
    """A folder whose model is the pretrained encoder."""
    from fsslib.encoders.build import build_encoder
    from fsslib.encoders.weights import load_weights
    from fsslib.training.checkpoint import save_model
    from fsslib.training.trainer import Trainer, TrainSettings

    folder = work.folder(0, fold, "free", {})
    path = folder / f"data/train/{fold}/model.safetensors"
    if not path.exists():
        encoder = build_encoder(work.settings["backbone"])
        load_weights(encoder, work.settings["weights"])
        settings = TrainSettings(1, 1, 1, 0, 0, 0, 0.999, 0, 20, 1, "float32", 0)
        path.parent.mkdir(parents=True, exist_ok=True)
        save_model(Trainer(encoder, None, settings, torch.device("cpu")), path, {})
    return folder


def tell(message: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {message}", file=sys.stderr, flush=True)


def measure(
    work: Work, seed: int, fold: int, model: str, rows: Mapping[str, tuple[str, Json]]
) -> list[tuple[str, int, int, Json]]:
    """All rows of one model."""
    if model == "free":
        folder, trained = untrained(work, fold), {"mine": False}
    else:
        plain = {"baseline": False, "baseline-bg": True}
        trained = {**work.baseline, "rectify_bg": plain[model]} if model in plain else MODELS[model]
        folder = work.train(seed, fold, model, trained)
    found = []
    for row, (of, changes) in rows.items():
        if of == model:
            metrics = work.score(seed, fold, folder, trained, changes)
            found.append((row, seed, fold, metrics))
            tell(f"seed {seed} fold {fold} {row}: {metrics['shot1']['miou']}")
    return found


def tune(work: Work, fold: int) -> None:
    """1-shot mIoU of one fold by learning rate, one training seed, no rectification."""
    jobs = [(kind, rate) for kind, rates in TUNED.items() for rate in rates]

    def one(job: tuple[str, float]) -> tuple[str, float, float]:
        kind, rate = job
        changes = {**(OURS if kind == "ours" else work.baseline), "training.lr": rate}
        if kind == "ours":
            changes["training.head_lr"] = 10 * rate
        folder = work.train(0, fold, f"{kind}-{rate}", changes)
        metrics = work.score(0, fold, folder, changes, {**PLAIN, "ema": True})
        tell(f"{kind} {rate}: {metrics['shot1']['miou']}")
        return kind, rate, metrics["shot1"]["miou"]

    rows = in_parallel(one, jobs, work.args.jobs)
    print("| | learning rate | 1-shot mIoU |\n|---|---|---|")
    for kind, rate, miou in rows:
        print(f"| {kind} | {rate:g} | {miou:.2f} |")
    best = {kind: max((r[2], r[1]) for r in rows if r[0] == kind)[1] for kind in TUNED}
    print(json.dumps({"fold": fold, **best}))


def in_parallel(function: Callable[[Any], Any], jobs: Iterable[Any], workers: int) -> list[Any]:
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(function, jobs))


def table(
    names: Iterable[str], rows: list[tuple[str, int, int, Json]], folds: list[int], shot: str
) -> list[Json]:
    """Means over training seeds by row; prints the Markdown table of one number of shots."""
    print(f"\n| {shot} | " + " | ".join(f"fold {f}" for f in folds) + " | mean | ± seeds |")
    print("|---|" + "---|" * (len(folds) + 2))
    out = []
    for name in names:
        by_seed: dict[int, dict[int, float]] = {}
        for row, seed, fold, metrics in rows:
            if row == name:
                by_seed.setdefault(seed, {})[fold] = metrics[shot]["miou"]
        means = [mean(found.values()) for found in by_seed.values()]
        each = {f: mean(found[f] for found in by_seed.values()) for f in folds}
        spread = stdev(means) if len(means) > 1 else 0.0
        cells = " | ".join(f"{each[f]:.2f}" for f in folds)
        print(f"| {name} | {cells} | {mean(means):.2f} | {spread:.2f} |")
        out.append({"row": name, "folds": each, "mean": mean(means), "seeds": means})
    return out


def main() -> None:
    args = parse()
    work = Work(args)
    work.prepare()
    if args.tune is not None:
        tune(work, args.tune)
        return
    rows = rows_of(args.table) | more_rows(args.rows)
    models = list(dict.fromkeys(model for model, _ in rows.values()))
    models.sort(key=lambda model: model in ("baseline", "free"))  # the longest first
    jobs = [(s, f, m) for s in args.seeds for m in models for f in args.folds]
    jobs = [(s, f, m) for s, f, m in jobs if m != "free" or s == args.seeds[0]]
    parts = in_parallel(lambda job: measure(work, *job, rows), jobs, args.jobs)
    scores = [score for part in parts for score in part]
    tables = {shot: table(rows, scores, args.folds, shot) for shot in ("shot1", "shot5")}
    (work.out / f"{args.table}.json").write_text(json.dumps({"settings": work.settings, **tables}))
    one = {row["row"]: row["mean"] for row in tables["shot1"]}
    if args.table != "effect":
        print(json.dumps({name: round(value, 2) for name, value in one.items()}))
        return
    best = max(one["training-free"], one["baseline"])
    gains = {
        "full_minus_best": one["full method"] - best,
        "mining_minus_best": one["mining"] - best,
        "background": one["full method"] - one["mining + regions"],
        "regions": one["full method"] - one["mining + background"],
    }
    print(json.dumps({key: round(value, 2) for key, value in gains.items()}))


if __name__ == "__main__":
    main()
