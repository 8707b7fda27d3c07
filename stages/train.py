"""`train`: joint training on episodes and pseudo-masks."""

from collections.abc import Iterator
from typing import Any

from dvclive.live import Live
from torch.utils.data import DataLoader

from fsslib.annotate import PseudoMasks
from fsslib.clusters import load_clusters
from fsslib.data.batches import Batch, BatchPlan, StepBatches
from fsslib.encoding import choose_device
from fsslib.shards import file_digest, scratch_key
from fsslib.training.checkpoint import restore_checkpoint, save_checkpoint, save_model
from fsslib.training.trainer import Row, Trainer, TrainSettings
from stages import paths
from stages.common import Bar, FoldOption, command, make_app
from stages.encoders import initial_encoder
from stages.inputs import chosen_folds, encoder_key, open_manifest, open_pool, read_params
from stages.params import Params, TrainParams, stage_params
from stages.watch import Watch


@command
def main(fold: FoldOption = None) -> None:
    """Train the encoder on episodes of base classes and on the pool's pseudo-masks (eq. 1, 4-6).

    Reads m, sigma, pseudo_weight, mine, training, long_side and the encoder's keys from
    params.yaml, data/prepare/, data/cluster/<fold>/ and data/annotate/<fold>/ (`mine: false` trains
    the plain baseline). Writes data/train/<fold>/: model.safetensors (last and averaged encoder,
    head, global background prototype) and live/ (curves), and results/folds/<fold>/training.png,
    the same images drawn anew every `training.picture_every` steps. Interrupted, it goes on at its
    last checkpoint.
    """
    everything = read_params()
    for number in chosen_folds(fold, everything):
        _train(number, everything)


def _train(fold: int, everything: Params) -> None:
    params = stage_params(TrainParams, everything)
    training = params.training
    trainer = Trainer(
        initial_encoder(params),
        load_clusters(paths.clusters(fold)).k + 1 if params.mine else None,
        _settings(params),
        choose_device(everything.runtime.device),
    )
    batches = _batches(fold, params, everything)
    scratch = paths.SCRATCH / f"train-{_key(fold, params)}"
    checkpoint = scratch / "checkpoint.safetensors"
    history = restore_checkpoint(trainer, checkpoint) if checkpoint.exists() else []
    out = paths.trained(fold)
    out.mkdir(parents=True, exist_ok=True)
    about = {"fold": fold, **_deciding(params)}
    picture = paths.fold_results(fold) / "training.png"
    watch = Watch(trainer, batches, training.picture_every, picture)
    with (
        Live(str(out / "live"), dvcyaml=False, save_dvc_exp=False, monitor_system=False) as live,
        Bar(f"Training fold {fold}", training.iterations) as bar,
    ):
        for row in history:
            _log(live, row)
        bar.skip(len(history))
        rest = _loader(batches, trainer.step_number, everything.runtime.workers)
        for row in trainer.run(rest):
            history.append(row)
            _log(live, row)
            bar.advance(note=" ".join(f"{k} {v:.3g}" for k, v in row.items()))
            watch.look()
            done = trainer.step_number
            if done % training.checkpoint == 0 and done < training.iterations:
                save_checkpoint(trainer, history, checkpoint, about)
    # DVC keeps the curves; this copy of their last row would lie there untracked.
    (out / "live" / "metrics.json").unlink(missing_ok=True)
    save_model(trainer, paths.model(fold), about)
    checkpoint.unlink(missing_ok=True)
    if scratch.exists():
        scratch.rmdir()


def _settings(params: TrainParams) -> TrainSettings:
    t = params.training
    return TrainSettings(
        iterations=t.iterations,
        lr=t.lr,
        head_lr=t.head_lr,
        momentum=t.momentum,
        weight_decay=t.weight_decay,
        ema_decay=t.ema_decay,
        m=params.m,
        background_share=t.background_share,
        sigma=params.sigma,
        pseudo_weight=params.pseudo_weight,
        precision=t.precision,
        seed=params.seed,
        lr_steps=None if t.lr_steps is None else tuple(t.lr_steps),
    )


def _batches(fold: int, params: TrainParams, everything: Params) -> StepBatches:
    t = params.training
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
    manifest = open_manifest()
    if not params.mine:
        return StepBatches(manifest, fold, plan, t.iterations)
    masks = PseudoMasks(paths.pseudo_masks(fold))
    pool = open_pool(manifest, fold, params)
    return StepBatches(manifest, fold, plan, t.iterations, pool, masks.read)


def _loader(batches: StepBatches, start: int, workers: int) -> Iterator[Batch]:
    order = range(start, len(batches))
    return iter(DataLoader(batches, batch_size=None, sampler=order, num_workers=workers))


def _deciding(params: TrainParams) -> dict[str, Any]:
    """The params that decide the weights: all but how often a picture is drawn."""
    return params.model_dump(exclude={"training": {"picture_every"}})


def _key(fold: int, params: TrainParams) -> str:
    used = [paths.MANIFEST]
    if params.mine:
        used += [paths.clusters(fold), *sorted(paths.pseudo_masks(fold).glob("*.zip"))]
    digests = [file_digest(p) for p in used]
    return scratch_key("train", fold, _deciding(params), encoder_key(params), digests)


def _log(live: Live, row: Row) -> None:
    for name, value in row.items():
        live.log_metric(name, round(value, 6), timestamp=False)
    live.next_step()


app = make_app(main)

if __name__ == "__main__":
    app()
