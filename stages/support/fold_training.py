"""Training on a fold, shared by `train` and `reference`, with checkpoints and curves."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from dvclive.live import Live
from torch.utils.data import DataLoader

from fsslib.data.batches import Batch, BatchPlan, StepBatches
from fsslib.data.manifest import Manifest
from fsslib.encoders.running import Precision, choose_device
from fsslib.files.shards import file_digest, scratch_key
from fsslib.mining.clusters import load_clusters
from fsslib.mining.feature_files import Origin, require_origin
from fsslib.mining.pseudo_masks import PseudoMasks
from fsslib.ranks import Ranks, read_ranks
from fsslib.training.across_ranks import require_same_step
from fsslib.training.checkpoint import restore_checkpoint, save_checkpoint, save_model
from fsslib.training.trained_on import KEY as TRAINED_ON
from fsslib.training.trained_on import TrainedOn
from fsslib.training.trainer import Row, Trainer, TrainSettings

from . import paths
from .common import Bar, as_json
from .encoders import features_origin, initial_encoder
from .inputs import open_manifest, open_pool
from .params import (
    Runtime,
    Training,
    TrainParams,
)
from .precision import run_precision
from .stopping import GracefulStop, ignore_signals
from .unfinished import unfinished_key
from .waiting import Waited
from .watch import Watch
from .workers import count_workers


@dataclass(frozen=True)
class Outputs:
    """Paths that a training run writes.

    Attributes:
        model: file of the trained model.
        curves: folder of the curves; None for no curves.
        picture: file of the training picture; None for no picture.
    """

    model: Path
    curves: Path | None = None
    picture: Path | None = None


def train_fold(fold: int, params: TrainParams, runtime: Runtime, outputs: Outputs) -> None:
    """Train on a fold, or continue from the last checkpoint; all ranks call it.

    Raises:
        FsslibError: an input is missing or does not fit, or the loss is not finite.
    """
    ranks = read_ranks()
    ranks.require_together("train")
    precision = run_precision(params.training.precision, runtime, "training.precision")
    manifest = open_manifest()
    about, origin = _about(manifest, fold, params, precision), features_origin(params)
    device = _device(runtime, ranks)
    if device.type == "cpu" and params.training.threads is not None:
        torch.set_num_threads(params.training.threads)
    batches = _batches(manifest, fold, params, ranks, device)
    trainer = Trainer(
        initial_encoder(params),
        _classes(manifest, fold, params, origin),
        _settings(params, precision),
        device,
        ranks,
    )
    checkpoint = (
        paths.SCRATCH / f"train-{_key(fold, params, about, origin)}" / "checkpoint.safetensors"
    )
    history = restore_checkpoint(trainer, checkpoint) if checkpoint.exists() else []
    require_same_step(trainer.step_number, ranks)
    watch = None
    if outputs.picture is not None:
        watch = Watch(trainer, batches, params.training.picture_every, outputs.picture)
    rest = _loader(batches, len(history), runtime, device)
    records = Records(fold, checkpoint, about, history, watch, outputs.curves)
    _run(trainer, rest, params.training, records)
    if ranks.leads:
        save_model(trainer, outputs.model, about)
        shutil.rmtree(checkpoint.parent, ignore_errors=True)
    ranks.wait()


@dataclass(frozen=True)
class Records:
    """What is kept besides the weights: checkpoints and their description, curves, pictures."""

    fold: int
    checkpoint: Path
    about: Mapping[str, Any]
    history: list[Row]
    watch: Watch | None
    curves: Path | None


def _run(trainer: Trainer, batches: Iterator[Batch], training: Training, records: Records) -> None:
    """Run the remaining steps, with curves, a progress bar, pictures and checkpoints."""
    ranks, fold, history = trainer.ranks, records.fold, records.history
    with (
        _curves(records.curves, history, ranks) as log,
        _bar(fold, training, trainer) as bar,
        GracefulStop(quiet=not ranks.leads) as stop,
    ):
        waited = Waited(batches)
        for row in trainer.run(waited):
            history.append(row)
            log(row)
            losses = " ".join(f"{k} {v:.3g}" for k, v in row.items())
            bar.advance(note=f"{losses} waiting {waited.share:.0%}")
            if records.watch is not None:
                records.watch.look()
            done, stopping = trainer.step_number, ranks.any(stop.asked)
            due = done % training.checkpoint == 0 and done < training.iterations
            if ranks.leads and (due or stopping):
                save_checkpoint(trainer, history, records.checkpoint, records.about)
            if stopping:
                stop.ask()
                break


@contextmanager
def _curves(out: Path | None, history: list[Row], ranks: Ranks) -> Iterator[Callable[[Row], None]]:
    """Yield a function that adds a row to the curves, which start with `history`.

    On other ranks than the first, the function does nothing.
    """
    if out is None or not ranks.leads:
        yield lambda row: None
        return
    out.mkdir(parents=True, exist_ok=True)
    live = Live(str(out / "live"), dvcyaml=False, save_dvc_exp=False, monitor_system=False)
    with live:
        for row in history:
            _log(live, row)
        yield partial(_log, live)
    # DVC tracks the curves. This file only repeats their last row, and would stay untracked.
    (out / "live" / "metrics.json").unlink(missing_ok=True)


def _bar(fold: int, training: Training, trainer: Trainer) -> Bar:
    """Make a progress bar that counts steps and shows images per second.

    The rate is that of all ranks together, and does not count steps of an earlier run.
    """
    mined = training.pool_images if trainer.head is not None else 0
    images = training.pairs * (training.shot + 1) + mined
    silent = not trainer.ranks.leads
    bar = Bar(f"Training fold {fold}", training.iterations, silent, each=images, unit=" images")
    bar.skip(trainer.step_number)
    return bar


def _device(runtime: Runtime, ranks: Ranks) -> torch.device:
    device = choose_device(runtime.device, ranks.local)
    if device.type == "cuda":
        torch.cuda.set_device(device)  # NCCL and compiled code start on the current device
    return device


def _about(
    manifest: Manifest, fold: int, params: TrainParams, precision: Precision
) -> dict[str, Any]:
    """What decides the model: images, fold, params and the resolved precision.

    `picture_every` is left out, since it does not change the model.
    """
    training = {**as_json(params.training), "precision": precision}
    del training["picture_every"]
    seen = {TRAINED_ON: TrainedOn.of_fold(manifest, fold).header()}
    return {"fold": fold, **as_json(params), "training": training, **seen}


def _classes(manifest: Manifest, fold: int, params: TrainParams, origin: Origin) -> int | None:
    """Classes of the auxiliary head, with the background; None without a head."""
    if not params.mine:
        return None
    if params.miner == "clusters":
        return _sub_clusters(fold, origin) + 1
    return 1 + len(manifest.base(fold))


def _settings(params: TrainParams, precision: Precision) -> TrainSettings:
    t = params.training
    return TrainSettings(
        iterations=t.iterations,
        lr=t.lr,
        head_lr=t.head_lr,
        momentum=t.momentum,
        weight_decay=t.weight_decay,
        ema_decay=t.ema_decay,
        m=params.m,
        # Without eq. 7 the global background is no part of training either (table 3).
        background_share=t.background_share if params.rectify_bg else 0.0,
        sigma=params.sigma,
        pseudo_weight=params.pseudo_weight,
        precision=precision,
        seed=params.seed,
        lr_steps=None if t.lr_steps is None else tuple(t.lr_steps),
        micro_images=t.micro_images,
        compile=t.compile,
        miner=params.miner,
    )


def _batches(
    manifest: Manifest, fold: int, params: TrainParams, ranks: Ranks, device: torch.device
) -> StepBatches:
    t = params.training
    later = device.type == "cuda"  # the GPU changes colours while the next crops are read
    plan = BatchPlan(
        t.pairs,
        t.shot,
        t.pool_images,
        t.crop,
        t.min_pixels,
        (t.scale_min, t.scale_max),
        params.seed,
        params.long_side,
    )
    if not params.mine:
        return StepBatches(manifest, fold, plan, t.iterations, ranks=ranks)
    pool = open_pool(manifest, fold, params)
    pseudo = PseudoMasks(paths.pseudo_masks(fold)).read if params.miner == "clusters" else None
    return StepBatches(manifest, fold, plan, t.iterations, pool, pseudo, ranks, params.miner, later)


def _loader(
    batches: StepBatches, start: int, runtime: Runtime, device: torch.device
) -> Iterator[Batch]:
    return iter(
        DataLoader(
            batches,
            batch_size=None,
            sampler=range(start, len(batches)),
            num_workers=count_workers(runtime, device.type == "cuda"),
            worker_init_fn=ignore_signals,
            pin_memory=device.type == "cuda",
        )
    )


def _sub_clusters(fold: int, origin: Origin) -> int:
    """K of the fold, whose sub-clusters have to be those of the weights that training starts from.

    Raises:
        FsslibError: they were made with other weights or at another size.
    """
    clusters = load_clusters(paths.clusters(fold))
    require_origin(clusters.origin, origin, paths.clusters(fold), "extract")
    return clusters.k


def _key(fold: int, params: TrainParams, about: Mapping[str, Any], origin: Origin) -> str:
    used, outside = [paths.MANIFEST], ["train_photographs", "train_masks"]
    if params.mine:
        outside.append("pool")
    if params.mine and params.miner == "clusters":
        used += [paths.clusters(fold), *sorted(paths.pseudo_masks(fold).glob("*.zip"))]
    digests = [file_digest(p) for p in used]
    return scratch_key("train", about, asdict(origin), digests, unfinished_key(*outside))


def _log(live: Live, row: Row) -> None:
    for name, value in row.items():
        live.log_metric(name, round(value, 6), timestamp=False)
    live.next_step()
