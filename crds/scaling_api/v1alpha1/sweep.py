"""Which trials the experiment asks for: model sizes, data, compression, compute, seeds."""

from typing import Annotated

from pydantic import Field

from scaling_api.rules import UniqueBy, rule
from scaling_api.v1alpha1.base import ApiModel, Choice, Fraction, Int, Many, PoolName, ShortName
from scaling_api.v1alpha1.compression import Pipeline
from scaling_api.v1alpha1.quantities import Count, Flops


class Design(Choice):
    """The rule that makes the sweep."""

    GRID = "Grid"
    ISOFLOP = "IsoFLOP"
    LIST = "List"


class Strategy(Choice):
    """How several workers share one model."""

    DDP = "DDP"
    FSDP = "FSDP"
    TENSOR = "Tensor"
    PIPELINE = "Pipeline"


class ModelAxis(ApiModel):
    """Which model sizes to train."""

    parameters: Annotated[Many[Count], Field(min_length=1, max_length=64)]
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

    tokens: Annotated[Many[Count], Field(max_length=64)] = ()
    """Training tokens D, such as 0.5M. Left out for IsoFLOP, which solves D from the budget, and for List."""
    treatments: Annotated[Many[Treatment], Field(min_length=1, max_length=16), UniqueBy("name")] = (CLEAN,)
    """Data-quality levels."""


class ComputeLevel(ApiModel):
    """Where and how a trial trains."""

    pool: PoolName | None = None
    """Name of a pool in execution.pools; without it, the first."""
    workers: Annotated[Int, Field(ge=1, le=4096)] = 1
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

    @rule("!has(self.max) || self.min <= self.max", "min must not be above max", field="min")
    def _ordered(self) -> str | None:
        return None if self.max is None or self.min <= self.max else f"{self.min:g} above {self.max:g}"


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
    training_flops: Annotated[Many[Flops], Field(max_length=64)] = ()
    """IsoFLOP only: the training budgets C; each is crossed with every model size."""
    combinations: Annotated[Many[Combination], Field(max_length=1024)] = ()
    """List only: the (N, D) to train."""
    compression: Annotated[Many[Pipeline], Field(min_length=1, max_length=64), UniqueBy("name")] = (
        Pipeline(name="dense"),
    )
    """Pipelines applied to each dense checkpoint."""
    compute: Annotated[Many[ComputeLevel], Field(min_length=1, max_length=16)] = (ComputeLevel(),)
    """Where and how a trial trains."""
    seeds: Annotated[Int, Field(ge=1, le=64)] = 1
    """Repetitions of each combination with other initial weights and data order."""
    first_seed: Annotated[Int, Field(ge=0, le=1_000_000)] = 0
    """The first seed; the others follow it."""
    limits: Limits = Limits()
    """Which combinations are worth training."""

    @rule(
        "has(self.model) == (self.design != 'List')",
        "model is needed by the designs Grid and IsoFLOP, and not used by List",
        field="model",
    )
    def _model_fits_the_design(self) -> str | None:
        return self._mismatch("model", self.model is not None, self.design is not Design.LIST)

    @rule(
        "(self.data.tokens.size() > 0) == (self.design == 'Grid')",
        "data.tokens is needed by the design Grid, and not used by IsoFLOP and List",
        field="data.tokens",
    )
    def _tokens_fit_the_design(self) -> str | None:
        return self._mismatch("data.tokens", bool(self.data.tokens), self.design is Design.GRID)

    @rule(
        "(self.trainingFlops.size() > 0) == (self.design == 'IsoFLOP')",
        "trainingFlops is needed by the design IsoFLOP, and not used by Grid and List",
        field="trainingFlops",
    )
    def _budgets_fit_the_design(self) -> str | None:
        return self._mismatch("trainingFlops", bool(self.training_flops), self.design is Design.ISOFLOP)

    @rule(
        "(self.combinations.size() > 0) == (self.design == 'List')",
        "combinations is needed by the design List, and not used by Grid and IsoFLOP",
        field="combinations",
    )
    def _combinations_fit_the_design(self) -> str | None:
        return self._mismatch("combinations", bool(self.combinations), self.design is Design.LIST)

    def _mismatch(self, axis: str, is_given: bool, is_needed: bool) -> str | None:
        if is_given == is_needed:
            return None
        return f"design {self.design} with{'' if is_given else 'out'} {axis}"
