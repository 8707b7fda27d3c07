"""Presence measured: which score tells photographs with a class from those without, and how well.

    python -m benchmarks.presence --root VOC --features /tmp/features
    python -m benchmarks.presence --root VOC --backbone resnet18 --weights FILE

Training images of a VOC-layout folder as supports and queries, an encoder that is not trained
further. The candidates are judged by the AUC on the base classes of `--fold`. Then the curve and
the threshold of the chosen one are fitted on the base classes of each fold, and its errors told on
them and on the novel classes, which decide nothing. The last line is one JSON object.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import stages  # noqa: F401 - the process settings of the commands
from benchmarks.parts import Json
from fsslib.data.images import read_image, read_mask
from fsslib.data.manifest import Manifest
from fsslib.datasets.scan import load_dataset
from fsslib.encoders.backbones import DEFAULT_BACKBONE
from fsslib.encoders.build import build_encoder
from fsslib.encoders.running import make_encode, one_thread_each
from fsslib.encoders.weights import load_weights
from fsslib.evaluation.matching import score_margins
from fsslib.prediction.calibration import Trial, draw_trials, prediction_score, score_trials
from fsslib.prediction.presence import (
    area_under_curve,
    choose_threshold,
    fit_presence,
    measure_rates,
)
from fsslib.prediction.typical import Typical

Trials = Sequence[Trial]
CHOSEN, DEFAULT = "whitened, top 5 %", "without the supports' background, top 5 %"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="VOC-layout folder")
    parser.add_argument("--weights", default="installed", help="a state dict, or a name")
    parser.add_argument("--backbone", default=DEFAULT_BACKBONE)
    parser.add_argument("--fold", type=int, default=2, help="whose base classes choose the score")
    parser.add_argument("--trials", type=int, default=50, help="with and without, a class")
    parser.add_argument("--shots", type=int, nargs="*", default=[1, 5])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--features", type=Path, help="folder that keeps features as float16")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def top(likeness: Tensor, share: float) -> float:
    """Mean over the best share of the locations."""
    return float(likeness.topk(max(1, round(share * len(likeness)))).values.mean())


def candidates(
    feature: Tensor, foreground: Tensor, background: Tensor, typical: Typical
) -> dict[str, float]:
    """Every score that was thought of; of `foreground` (1, C) and `background` (C,)."""
    margins = score_margins(feature, foreground[None], background[None])[0, 0].flatten()
    own = float(1 - F.cosine_similarity(foreground[0], background, dim=0))
    inside = margins > 0
    inside = inside if inside.any() else margins == margins.max()
    flat = feature.flatten(1).T
    found = {
        "margin, top 5 %": top(margins, 0.05),
        "margin, foreground": float(margins[inside].mean()),
        "margin, foreground, of the prototype's": float(margins[inside].mean()) / own,
        "area": float((margins > 0).float().mean()),
    }
    nothing = Typical(torch.zeros_like(typical.mean))
    for name, about in (
        ("cosine", nothing),
        ("without the supports' background", Typical(background)),
        ("without the mean", Typical(typical.mean)),
        ("whitened", typical),
    ):
        wanted = about.unit(foreground)[0]
        likeness = about.unit(flat) @ wanted
        found |= {f"{name}, top {100 * s:g} %": top(likeness, s) for s in (0.01, 0.05, 0.1)}
        found[f"{name}, foreground"] = float(about.unit(flat[inside].mean(0)[None])[0] @ wanted)
        found[f"{name}, whole photograph"] = float(about.unit(flat.mean(0)[None])[0] @ wanted)
    assert abs(found[CHOSEN] - prediction_score(feature, foreground, background, typical)) < 1e-4
    return found


def features_of(args: argparse.Namespace, manifest: Manifest) -> Callable[[str], Tensor]:
    """Image id -> feature, remembered as float16 in a folder where one is given."""
    encoder = build_encoder(args.backbone)
    load_weights(encoder, args.weights)
    encode = make_encode(encoder, torch.device("cpu"), "float32")
    one_thread_each()
    records = {r.id: r for r in manifest.train}

    def feature(image_id: str) -> Tensor:
        kept = args.features / f"{image_id}.npy" if args.features else None
        if kept is not None and kept.exists():
            return torch.from_numpy(np.load(kept)).float()
        made = encode(read_image(manifest.image_path(records[image_id])))
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            np.save(kept, made.numpy().astype(np.float16))
        return made

    return feature


def split(trials: Trials, values: Sequence[float], classes: Sequence[int]) -> tuple:
    """Scores and answers of the trials of some classes."""
    kept = [
        (v, t.present)
        for t, v in zip(trials, values, strict=True)
        if t.episode.class_ids[0] in classes
    ]
    return [v for v, _ in kept], [p for _, p in kept]


def of_fold(manifest: Manifest, fold: int, trials: Trials, values: list[float]) -> Json:
    """Fit on base classes; errors on them and, reported only, on the novel ones."""
    base = split(trials, values, manifest.base(fold))
    novel = split(trials, values, manifest.novel(fold))
    presence = fit_presence(*base)
    threshold = choose_threshold(presence, *base)
    result: Json = {"middle": presence.middle, "width": presence.width}
    for name, drawn in (("base", base), ("novel", novel)):
        if any(drawn[1]):
            result[name] = asdict(measure_rates(presence, *drawn, threshold))
            result[f"{name} at 0.5"] = asdict(measure_rates(presence, *drawn, 0.5))
    return result


def show(result: Json) -> str:
    rates = [
        f"{kind}: AUC {r['auc']:.3f}, p >= {r['threshold']:.2f}, false absent "
        f"{100 * r['false_absent']:.0f} %, false present {100 * r['false_present']:.0f} %"
        for kind, r in result.items()
        if isinstance(r, dict)
    ]
    return "; ".join([f"middle {result['middle']:.3f} width {result['width']:.3f}", *rates])


def main() -> None:
    args = parse()
    manifest = load_dataset("pascal", args.root)
    masks = {r.id: manifest.mask_path(r) for r in manifest.train}
    feature = features_of(args, manifest)
    result: Json = {}
    for shots in args.shots:
        trials = draw_trials(
            manifest.train, sorted(manifest.classes), args.trials, args.seed, shots
        )
        started = time.perf_counter()
        values, _ = score_trials(
            feature,
            lambda i: read_mask(masks[i]),
            trials,
            workers=args.threads,
            score=candidates,
            on_progress=lambda done, total: print(
                f"\r{done}/{total}", end="", file=sys.stderr, flush=True
            ),
        )
        print(f"{shots} shot: {len(trials)} trials in {time.perf_counter() - started:.0f} s")
        folds = [args.fold, *(f for f in range(len(manifest.folds)) if f != args.fold)]
        print(f"AUC on base classes of folds {folds}; the first decides")
        aucs = {
            name: [
                area_under_curve(*split(trials, [v[name] for v in values], manifest.base(f)))
                for f in folds
            ]
            for name in values[0]
        }
        for name, found in sorted(aucs.items(), key=lambda item: -item[1][0]):
            print(f"  {' '.join(f'{auc:.3f}' for auc in found)}  {name}")
        result[shots] = {"trials": len(trials), "auc": aucs}
        for name in (CHOSEN, DEFAULT):
            kept = [v[name] for v in values]
            result[shots][name] = {f: of_fold(manifest, f, trials, kept) for f in folds}
            for fold, found in result[shots][name].items():
                print(f"  {name}, fold {fold}: {show(found)}")
        sys.stdout.flush()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
