"""One level of the compression factor: a pipeline, an ordered list of stages on a dense checkpoint."""

from typing import Annotated

from pydantic import Field

from scaling_api.rules import exactly_one, rule
from scaling_api.v1alpha1.base import ApiModel, Choice, Int, Many, ShortName


class PruneMethod(Choice):
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

    weight_bits: Annotated[Int, Field(ge=1, le=8)]
    """Bits of a stored weight."""
    group_size: Annotated[Int, Field(ge=1, le=4096)] = 32
    """Weights that share a scale; halved until it divides a layer's inputs."""
    activation_bits: Annotated[Int, Field(ge=4, le=8)] | None = None
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

    @rule(
        exactly_one("prune", "finetune", "quantize", "distill"),
        "exactly one of prune, finetune, quantize, distill must be set",
    )
    def _one_operation(self) -> str | None:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        return None if len(given) == 1 else self.given(*given)

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
    stages: Annotated[Many[Stage], Field(max_length=8)] = ()
    """Applied in order to the dense checkpoint."""

    @rule(
        "self.stages.filter(s, has(s.quantize)).size() <= "
        "(self.stages.size() > 0 && has(self.stages[self.stages.size() - 1].quantize) ? 1 : 0)",
        "quantize must be the last stage, as quantized weights cannot be pruned or trained",
        field="stages",
    )
    def _quantize_last(self) -> str | None:
        return self._order if any(stage.quantize for stage in self.stages[:-1]) else None

    @rule(
        "self.stages.filter(s, has(s.prune)).size() <= 1",
        "at most one stage may prune",
        field="stages",
    )
    def _prune_once(self) -> str | None:
        return self._order if sum(stage.prune is not None for stage in self.stages) > 1 else None

    @property
    def _order(self) -> str:
        return ", ".join(type(stage.operation).__name__.lower() for stage in self.stages)

    @property
    def extra_fraction(self) -> float:
        """Training beyond the parent's, as a fraction of the parent's steps."""
        return sum(op.fraction for s in self.stages if isinstance(op := s.operation, Finetune | Distill))
