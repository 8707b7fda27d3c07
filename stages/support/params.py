"""`params.yaml` as frozen, validated models: one per stage, and all of them together.

A stage's model holds exactly the keys that `dvc.yaml` lists for it (a test compares them), and
`Params` inherits from all, so that every key has one definition and an unknown one is refused.
"""

import reprlib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from fsslib.encoders.backbones import CHOICES, is_backbone
from fsslib.errors import FsslibError

PARAMS_FILE = Path("params.yaml")

Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
LongSide = Annotated[int, Field(ge=32, le=4096)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
PrecisionName = Literal["auto", "float32", "bfloat16"]
Miner = Literal["clusters", "simclr"]


def _backbone(name: str) -> str:
    if not is_backbone(name):
        raise ValueError(f"choose one of {CHOICES}")
    return name


Backbone = Annotated[str, AfterValidator(_backbone)]


def _weights(name: str) -> str:
    if name == "procedural":
        raise ValueError("these weights are gone: set weights to installed")
    return name


Weights = Annotated[str, Field(min_length=1), AfterValidator(_weights)]

MOST_SEEDS = 1000


def _first_seeds(value: object) -> object:
    """`seeds: 5` means the first five."""
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    if not 1 <= value <= MOST_SEEDS:
        raise ValueError(f"a number of seeds is 1 to {MOST_SEEDS}: give one, or list the seeds")
    return list(range(value))


def _sources(value: object) -> object:
    """A plain name in `unlabeled` means the whole source."""
    if not isinstance(value, list):
        return value
    return [{"source": v} if isinstance(v, str) else v for v in value]


class Section(BaseModel):
    """Base of all models: frozen, strict about keys and types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


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


class Source(Section):
    """One source of pool images."""

    source: Annotated[str, Field(min_length=1)]
    cap: Count | None = None


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
    """What never changes a result; tracked by no stage."""

    device: Literal["auto", "cpu", "cuda"]
    workers: Annotated[int, Field(ge=0, le=256)]
    memory_gb: Positive | None


Folds = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
Shots = Annotated[list[Count], Field(min_length=1)]
Seeds = Annotated[list[Seed], Field(min_length=1), BeforeValidator(_first_seeds)]
Unlabeled = Annotated[list[Source], Field(min_length=1), BeforeValidator(_sources)]


class PrepareParams(Section):
    """Keys of `prepare`."""

    dataset: Literal["procedural", "pascal", "coco", "folder"]
    data_root: Annotated[str, Field(min_length=1)] | None
    coco_folds: Literal["contiguous", "strided"]
    scenes: Scenes

    @model_validator(mode="after")
    def _root_given(self) -> "PrepareParams":
        if self.dataset != "procedural" and self.data_root is None:
            raise ValueError(
                f"data_root: null, but dataset {self.dataset} needs its folder: set data_root"
            )
        return self


class SizeParams(Section):
    """Keys of every stage that encodes or crops photographs."""

    long_side: LongSide | None


class EncoderParams(SizeParams):
    """Keys of every stage that encodes with the initial weights."""

    backbone: Backbone
    weights: Weights
    seed: Seed


class ShardParams(Section):
    """Keys of the stages that write a file for some images; what is whole survives a crash."""

    shard_images: Count


class FeatureParams(EncoderParams, ShardParams):
    """Keys of the stages that write and read kept features."""

    precision: PrecisionName
    dense_features: bool
    feature_dtype: Literal["int8", "float16"]


class ExtractParams(FeatureParams):
    """Keys of `extract`."""


class CollectParams(Section):
    """`collect` reads no key: it gathers what `extract` summed."""


class ClusterParams(Section):
    """Keys of `cluster`."""

    k: Annotated[int, Field(ge=1, le=254)]
    kmeans: Literal["auto", "full", "minibatch"]
    seed: Seed


class PoolParams(Section):
    """Keys of every stage that lists the pool."""

    unlabeled: Unlabeled
    seed: Seed


class AnnotateParams(FeatureParams, PoolParams):
    """Keys of `annotate`."""


class TrainParams(EncoderParams, PoolParams):
    """Keys of `train`."""

    m: Share
    sigma: Positive
    pseudo_weight: Annotated[float, Field(ge=0)]
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


Model = TypeVar("Model", bound=Section)


def load_params(path: Path = PARAMS_FILE) -> Params:
    """Read and validate the whole file.

    Raises:
        FsslibError: missing file, bad YAML, unknown key, wrong type or impossible value; one line
            that names the key.
    """
    return parse_params(_read_text(path), path)


def parse_params(text: str, path: Path) -> Params:
    """Validate the content of a file; `path` is for errors, which are those of `load_params`."""
    return _validate(Params, _parse_yaml(text, path), path)


def stage_params(model: type[Model], params: Params) -> Model:
    """The part of the parameters that one stage may read."""
    raw = params.model_dump()
    return model.model_validate({name: raw[name] for name in model.model_fields})


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise FsslibError(f"{path} does not exist: run from the project's folder") from None
    except (OSError, ValueError) as error:
        raise FsslibError(f"{path} is not readable YAML: {_problem(error)}") from None


def _parse_yaml(text: str, path: Path) -> dict[str, Any]:
    try:
        raw = YAML(typ="safe", pure=True).load(text)
    except (ValueError, RecursionError, YAMLError) as error:
        raise FsslibError(f"{path} is not readable YAML: {_problem(error)}") from None
    if not isinstance(raw, dict):
        raise FsslibError(f"{path} holds no keys: restore it with 'git checkout {path}'")
    return raw


def _problem(error: Exception) -> str:
    """What is wrong and on which line; ruamel's own text goes on for six."""
    if isinstance(error, MarkedYAMLError) and error.problem and error.problem_mark:
        return f"line {error.problem_mark.line + 1}: {' '.join(error.problem.split())}"
    return " ".join(str(error).split())


def _validate(model: type[Model], raw: dict[str, Any], path: Path) -> Model:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise FsslibError(f"{path}: {_explain(error, model)}") from None


def _explain(error: ValidationError, model: type[Section]) -> str:
    """All problems in one line, each with its key, value and constraint."""
    parts = []
    for problem in error.errors():
        key = ".".join(str(p) for p in problem["loc"])
        if problem["type"] == "extra_forbidden":
            parts.append(f"unknown key {key}: {_suggest(key, model)}")
        elif problem["type"] == "missing":
            parts.append(f"{key} is missing: add it")
        else:
            message = problem["msg"].removeprefix("Value error, ")
            parts.append(f"{_shown(key, problem['input'])}{message[:1].lower()}{message[1:]}")
    return "; ".join(parts)


def _shown(key: str, value: object) -> str:
    """`key: value: ` for a message; a validator of a whole section names its keys itself."""
    if isinstance(value, dict):
        return f"{key}: " if key else ""
    # A few items of a few levels: YAML's aliases write lists that no memory holds in one line.
    short = reprlib.Repr()
    short.maxlevel, short.maxlist, short.maxdict, short.maxstring = 2, 4, 4, 80
    text = short.repr(value)
    return f"{key}: {text if len(text) <= 80 else text[:77] + '...'}: "


def _suggest(key: str, model: type[Section]) -> str:
    """The known key of the same section that is most like an unknown one."""
    import difflib

    *sections, name = key.split(".")
    known: type[BaseModel] = model
    for section in sections:
        inner = known.model_fields[section].annotation if section in known.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return "remove it"
        known = inner
    close = difflib.get_close_matches(name, list(known.model_fields), n=1)
    return f"did you mean {'.'.join([*sections, close[0]])}?" if close else "remove it"
