"""Params that name what lies outside of the project, and the base of all models of params."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from .param_types import Backbone, Count, Weights, sources_listed


class Section(BaseModel):
    """Base of all models: frozen, strict about keys and types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Source(Section):
    """One source of pool images."""

    source: Annotated[str, Field(min_length=1)]
    cap: Count | None = None


Unlabeled = Annotated[list[Source], Field(min_length=1), BeforeValidator(sources_listed)]


class DatasetParams(Section):
    """Keys of the stages that read the dataset's folder itself."""

    dataset: Literal["procedural", "pascal", "coco", "folder"]
    data_root: Annotated[str, Field(min_length=1)] | None
    holdout: Annotated[int, Field(ge=0)] | None

    @model_validator(mode="after")
    def _root_given(self) -> "DatasetParams":
        if self.dataset != "procedural" and self.data_root is None:
            raise ValueError(
                f"data_root: null, but dataset {self.dataset} needs its folder: set data_root"
            )
        return self


class WeightsParams(Section):
    """Keys that name the initial weights."""

    backbone: Backbone
    weights: Weights


class SourcesParams(Section):
    """The key that names the sources of the pool."""

    unlabeled: Unlabeled


class FingerprintParams(DatasetParams, WeightsParams, SourcesParams):
    """Keys of `fingerprint`: all that name something outside of the project."""
