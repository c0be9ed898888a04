"""Which trials the experiment asks for: model sizes, data, compression, compute, seeds."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from scaling_api.v1alpha1.base import ApiModel, Fraction, PoolName, ShortName
from scaling_api.v1alpha1.compression import Pipeline
from scaling_api.v1alpha1.quantities import Count, Flops


class Design(StrEnum):
    """The rule that makes the sweep."""

    GRID = "Grid"
    ISOFLOP = "IsoFLOP"
    LIST = "List"


class Strategy(StrEnum):
    """How several workers share one model."""

    DDP = "DDP"
    FSDP = "FSDP"
    TENSOR = "Tensor"
    PIPELINE = "Pipeline"


class ModelAxis(ApiModel):
    """Which model sizes to train."""

    parameters: Annotated[tuple[Count, ...], Field(min_length=1, max_length=64)]
    """Target parameter counts N, such as 30k or 1.5M. The realised N of each is in the plan."""


class Treatment(ApiModel):
    """One level of data quality."""

    name: ShortName
    """How tables and charts call it."""
    token_noise: Fraction = 0.0
    """Share of training tokens replaced by random ones. Held-out text stays clean."""


CLEAN = Treatment(name="clean")


class DataAxis(ApiModel):
    """How much data, and of what quality."""

    tokens: Annotated[tuple[Count, ...], Field(max_length=64)] = ()
    """Training tokens D, such as 0.5M. Left out for IsoFLOP, which solves D from the budget, and for List."""
    treatments: Annotated[tuple[Treatment, ...], Field(min_length=1, max_length=16)] = (CLEAN,)
    """Data-quality levels."""


class ComputeLevel(ApiModel):
    """Where and how a trial trains."""

    pool: PoolName | None = None
    """Name of a pool in execution.pools; without it, the first."""
    workers: Annotated[int, Field(ge=1, le=4096)] = 1
    """Processes that train one model together."""
    strategy: Strategy = Strategy.DDP
    """How several workers share one model."""


class Combination(ApiModel):
    """One (N, D) of a List design."""

    parameters: Count
    """Target parameter count N."""
    tokens: Count
    """Training tokens D."""


class Ratio(ApiModel):
    """Bounds of a ratio."""

    min: Annotated[float, Field(ge=0)] = 0.0
    """Points below are left out."""
    max: Annotated[float, Field(gt=0)] | None = None
    """Points above are left out."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.max is not None and self.max < self.min:
            raise ValueError(f"max {self.max:g} is below min {self.min:g}")
        return self


class Limits(ApiModel):
    """Which combinations are worth training."""

    tokens_per_parameter: Ratio = Ratio()
    """Bounds of D/N."""


class Sweep(ApiModel):
    """The set of trials that the experiment asks for."""

    design: Design = Design.GRID
    """The rule that makes the sweep."""
    model: ModelAxis | None = None
    """Which model sizes to train. Left out for List."""
    data: DataAxis = DataAxis()
    """How much data, and of what quality."""
    training_flops: Annotated[tuple[Flops, ...], Field(max_length=64)] = ()
    """IsoFLOP only: the training budgets C; each is crossed with every model size."""
    combinations: Annotated[tuple[Combination, ...], Field(max_length=1024)] = ()
    """List only: the (N, D) to train."""
    compression: Annotated[tuple[Pipeline, ...], Field(min_length=1, max_length=64)] = (Pipeline(name="dense"),)
    """Pipelines applied to each dense checkpoint."""
    compute: Annotated[tuple[ComputeLevel, ...], Field(min_length=1, max_length=16)] = (ComputeLevel(),)
    """Where and how a trial trains."""
    seeds: Annotated[int, Field(ge=1, le=64)] = 1
    """Repetitions of each combination with other initial weights and data order."""
    first_seed: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """The first seed; the others follow it."""
    limits: Limits = Limits()
    """Which combinations are worth training."""

    @model_validator(mode="after")
    def _axes_fit_the_design(self) -> Self:
        needed = {Design.GRID: {"model", "data.tokens"}, Design.ISOFLOP: {"model", "trainingFlops"},
                  Design.LIST: {"combinations"}}[self.design]  # fmt: skip
        given = {name for name, value in (("model", self.model), ("data.tokens", self.data.tokens),
                 ("trainingFlops", self.training_flops), ("combinations", self.combinations)) if value}  # fmt: skip
        if missing := sorted(needed - given):
            raise ValueError(f"design {self.design} needs {', '.join(missing)}")
        if extra := sorted(given - needed):
            raise ValueError(f"design {self.design} does not use {', '.join(extra)}")
        return self

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        for axis, names in (("compression", [p.name for p in self.compression]),
                            ("data.treatments", [t.name for t in self.data.treatments])):  # fmt: skip
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"{axis} names must be unique, found twice: {', '.join(twice)}")
        return self
