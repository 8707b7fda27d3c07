"""`params.yaml` as frozen, validated models: one per stage, and all of them together.

A stage's model holds exactly the keys that `dvc.yaml` lists for it; a test compares them. `Params`
inherits from all models, so every key has one definition, and unknown keys are refused.
"""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from .param_types import (
    BatchSize,
    Count,
    LongSide,
    Miner,
    Part,
    Positive,
    PrecisionName,
    Seed,
    Share,
    WorkerCount,
    first_seeds,
)
from .params_outside import (
    DatasetParams,
    FingerprintParams,
    Section,
    SourcesParams,
    WeightsParams,
)


class Scenes(Section):
    """The embedded benchmark."""

    train: Count
    val: Count
    size: Annotated[int, Field(ge=64, le=1024)]
    seed: Seed


class Regions(Section):
    """What counts as a region of the index."""

    kind: Literal["label", "component"]
    min_area: Share


class Training(Section):
    """Joint training."""

    iterations: Count
    pairs: Count
    pool_images: Count
    shot: Count
    crop: Annotated[int, Field(ge=32, le=2048)]
    scale_min: Positive
    scale_max: Positive
    min_pixels: Count
    background_share: Share
    lr: Positive
    head_lr: Positive
    lr_steps: list[Annotated[int, Field(ge=1)]] | None
    momentum: Annotated[float, Field(ge=0, lt=1)]
    weight_decay: Annotated[float, Field(ge=0)]
    ema_decay: Annotated[float, Field(ge=0, lt=1)]
    precision: PrecisionName
    compile: bool
    micro_images: Count | None
    threads: Annotated[int, Field(ge=1, le=256)] | None
    checkpoint: Count
    picture_every: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _ordered_scale(self) -> "Training":
        if self.scale_min > self.scale_max:
            raise ValueError(
                f"scale_min: {self.scale_min} is above scale_max {self.scale_max}: swap them"
            )
        return self


class Runtime(Section):
    """Settings that never change a result; no stage tracks them."""

    device: Literal["auto", "cpu", "cuda"]
    workers: WorkerCount
    batch: BatchSize = "auto"  # not in older files
    memory_gb: Positive | None


Folds = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
Shots = Annotated[list[Count], Field(min_length=1)]
Seeds = Annotated[list[Seed], Field(min_length=1), BeforeValidator(first_seeds)]


class PrepareParams(DatasetParams):
    """Keys of `prepare`."""

    coco_folds: Literal["contiguous", "strided"]
    scenes: Scenes


class SizeParams(Section):
    """Keys of every stage that encodes or crops photographs."""

    long_side: LongSide | None


class EncoderParams(SizeParams, WeightsParams):
    """Keys of every stage that encodes with the initial weights."""

    seed: Seed


class ShardParams(Section):
    """Keys of the stages that write shards; complete shards survive a crash."""

    shard_images: Count


class FeatureParams(EncoderParams, ShardParams):
    """Keys of the stages that write or read kept features."""

    precision: PrecisionName
    dense_features: bool
    feature_dtype: Literal["int8", "float16"]


class ExtractParams(FeatureParams):
    """Keys of `extract`."""


class CollectParams(Section):
    """Keys of `collect`: none, since it only gathers the sums of `extract`."""


class ClusterParams(Section):
    """Keys of `cluster`."""

    k: Annotated[int, Field(ge=1, le=254)]
    kmeans: Literal["auto", "full", "minibatch"]
    seed: Seed


class PoolParams(SourcesParams):
    """Keys of every stage that lists the pool."""

    seed: Seed


class AnnotateParams(FeatureParams, PoolParams):
    """Keys of `annotate`."""


class TrainParams(EncoderParams, PoolParams):
    """Keys of `train`."""

    m: Share
    sigma: Positive
    pseudo_weight: Annotated[float, Field(ge=0)]
    rectify_bg: bool
    mine: bool
    miner: Miner
    training: Training


class IndexParams(SizeParams, ShardParams, PoolParams):
    """Keys of `index`."""

    ema: bool
    precision: PrecisionName
    regions: Regions


class EpisodesParams(Section):
    """Keys of `episodes`."""

    shots: Shots
    seeds: Seeds
    episodes: Count
    ways: Annotated[int, Field(ge=1, le=254)]
    protocol: Literal["paper", "hsnet"]
    min_pixels: Count | None
    min_images: Count | None


class EvaluateParams(SizeParams):
    """Keys of `evaluate`."""

    w: Share
    beta: Share
    top_n: Count
    search: Literal["exact", "ivf"]
    rectify_fg: bool
    rectify_bg: bool
    ema: bool
    precision: PrecisionName
    resize: Annotated[int, Field(ge=32, le=2048)] | None
    refine: Literal["none", "guided"]
    refine_radius: Part
    refine_eps: Positive
    boundary_iou: bool

    @model_validator(mode="after")
    def _one_size(self) -> "EvaluateParams":
        if self.resize is not None and self.long_side is not None:
            raise ValueError(
                f"resize: {self.resize} and long_side: {self.long_side} are two sizes to encode "
                "at: set one of them to null"
            )
        return self


class ReferenceParams(EncoderParams):
    """Keys of `reference`."""

    baseline_lr: Positive | None
    sigma: Positive
    training: Training
    precision: PrecisionName
    resize: Annotated[int, Field(ge=32, le=2048)] | None


class SummarizeParams(Section):
    """Keys of `summarize`."""

    folds: Folds

    @model_validator(mode="after")
    def _distinct(self) -> "SummarizeParams":
        if len(set(self.folds)) != len(self.folds):
            raise ValueError(f"folds: {self.folds} names a fold twice: list each once")
        return self


STAGES: dict[str, type[Section]] = {
    "fingerprint": FingerprintParams,
    "prepare": PrepareParams,
    "extract": ExtractParams,
    "collect": CollectParams,
    "cluster": ClusterParams,
    "annotate": AnnotateParams,
    "train": TrainParams,
    "index": IndexParams,
    "episodes": EpisodesParams,
    "reference": ReferenceParams,
    "evaluate": EvaluateParams,
    "summarize": SummarizeParams,
}


class Params(
    FingerprintParams,
    PrepareParams,
    ExtractParams,
    ClusterParams,
    AnnotateParams,
    TrainParams,
    IndexParams,
    EpisodesParams,
    ReferenceParams,
    EvaluateParams,
    SummarizeParams,
):
    """The whole of `params.yaml`."""

    runtime: Runtime

    @model_validator(mode="after")
    def _distinct_lists(self) -> "Params":
        for name in ("shots", "seeds"):
            values = getattr(self, name)
            if len(set(values)) != len(values):
                raise ValueError(f"{name}: {values} names a value twice: list each once")
        return self
