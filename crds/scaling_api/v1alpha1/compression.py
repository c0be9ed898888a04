"""One level of the compression factor: a pipeline, an ordered list of stages on a dense checkpoint."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from scaling_api.v1alpha1.base import ApiModel, ShortName


class PruneMethod(StrEnum):
    """Which weights go."""

    GLOBAL_MAGNITUDE = "GlobalMagnitude"
    LAYER_MAGNITUDE = "LayerMagnitude"
    WANDA = "Wanda"
    TWO_OF_FOUR = "TwoOfFour"
    STRUCTURED = "Structured"


class Prune(ApiModel):
    """Set weights of the blocks to zero and keep them there."""

    sparsity: Annotated[float, Field(gt=0, lt=1)]
    """Share of the blocks' weights that go."""
    method: PruneMethod = PruneMethod.GLOBAL_MAGNITUDE
    """Which weights go."""


class Quantize(ApiModel):
    """Store the weights of linear layers in few bits, with one scale a group."""

    weight_bits: Annotated[int, Field(ge=1, le=8)]
    """Bits of a stored weight."""
    group_size: Annotated[int, Field(ge=1, le=4096)] = 32
    """Weights that share a scale; halved until it divides a layer's inputs."""
    activation_bits: Annotated[int, Field(ge=4, le=8)] | None = None
    """Bits of an activation; without it activations stay as they are."""
    aware: Annotated[float, Field(gt=0, le=1)] | None = None
    """Quantization-aware training for this fraction of the parent's steps first."""


class Finetune(ApiModel):
    """Train on, with the pruned weights held at zero."""

    fraction: Annotated[float, Field(gt=0, le=1)]
    """Steps, as a fraction of the parent's."""


class Distill(ApiModel):
    """Train a student on the parent's logits."""

    fraction: Annotated[float, Field(gt=0, le=1)]
    """Steps, as a fraction of the parent's."""
    temperature: Annotated[float, Field(gt=0, le=100)] = 1.0
    """Softens both distributions."""
    width_factor: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The student's width as a share of the parent's."""


class Stage(ApiModel):
    """One step of a pipeline: exactly one operation."""

    prune: Prune | None = None
    """Set weights to zero."""
    finetune: Finetune | None = None
    """Train on."""
    quantize: Quantize | None = None
    """Store weights in few bits."""
    distill: Distill | None = None
    """Train a student on the parent's logits."""

    @model_validator(mode="after")
    def _one_operation(self) -> Self:
        if sum(getattr(self, name) is not None for name in type(self).model_fields) != 1:
            raise ValueError("exactly one of prune, finetune, quantize, distill must be set in a stage")
        return self

    @property
    def operation(self) -> Prune | Finetune | Quantize | Distill:
        """The operation that is set."""
        chosen = self.prune or self.finetune or self.quantize or self.distill
        assert chosen is not None
        return chosen


class Pipeline(ApiModel):
    """One level of the compression factor. Without stages it is the dense model itself."""

    name: ShortName
    """How tables and charts call it."""
    stages: Annotated[tuple[Stage, ...], Field(max_length=8)] = ()
    """Applied in order to the dense checkpoint."""

    @model_validator(mode="after")
    def _stages_in_order(self) -> Self:
        kinds = [type(stage.operation).__name__.lower() for stage in self.stages]
        if "quantize" in kinds[:-1]:
            raise ValueError("quantize must be the last stage: quantized weights cannot be pruned or trained")
        if kinds.count("prune") > 1:
            raise ValueError("at most one prune stage is allowed")
        return self

    @property
    def extra_fraction(self) -> float:
        """Training beyond the parent's, as a fraction of the parent's steps."""
        return sum(op.fraction for s in self.stages if isinstance(op := s.operation, Finetune | Distill))
