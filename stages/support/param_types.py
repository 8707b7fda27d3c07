"""Types of the values in `params.yaml`, with their limits and short forms."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PlainValidator

from fsslib.encoders.backbones import CHOICES, is_backbone

Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
LongSide = Annotated[int, Field(ge=32, le=4096)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Part = Annotated[float, Field(gt=0, le=1)]
PrecisionName = Literal["auto", "float32", "bfloat16"]
Miner = Literal["clusters", "simclr", "cct"]


def _auto_or(low: int, high: int) -> PlainValidator:
    """Accept `auto`, or a whole number in a range."""

    def check(value: object) -> object:
        if value == "auto":
            return value
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(f"give auto, or a number of {low} to {high}")
        return value

    return PlainValidator(check)


WorkerCount = Annotated[int | Literal["auto"], _auto_or(0, 256)]
BatchSize = Annotated[int | Literal["auto"], _auto_or(1, 1024)]


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


def first_seeds(value: object) -> object:
    """Turn a number of seeds into a list: `seeds: 5` means the first five."""
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    if not 1 <= value <= MOST_SEEDS:
        raise ValueError(f"a number of seeds is 1 to {MOST_SEEDS}: give one, or list the seeds")
    return list(range(value))


def sources_listed(value: object) -> object:
    """Turn plain names in `unlabeled` into sources: a name means the whole source."""
    if not isinstance(value, list):
        return value
    return [{"source": v} if isinstance(v, str) else v for v in value]
