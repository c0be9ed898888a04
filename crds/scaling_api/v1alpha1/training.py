"""How every trial is trained and evaluated: the recipe's dials."""

from typing import Annotated

from pydantic import Field

from scaling_api.v1alpha1.base import ApiModel, Choice, Fraction, Int


class Precision(Choice):
    """Number format of the arithmetic."""

    FP32 = "FP32"
    BF16 = "BF16"


class Training(ApiModel):
    """How every trial is trained: the same for all sizes but for the muP-style width rule."""

    batch_size: Annotated[Int, Field(ge=1, le=65536)] = 8
    """Sequences a step. Large batches leave small D with too few steps (finding StepLimited)."""
    warmup_steps: Annotated[Int, Field(ge=0, le=100_000)] = 60
    """Steps over which the learning rate rises from zero."""
    decay_fraction: Annotated[float, Field(gt=0, le=1)] = 0.2
    """Last share of a branch's steps, over which the rate falls as 1 - sqrt."""
    learning_rate: Annotated[float, Field(gt=0, le=10)] = 5.7e-3
    """Rate at width 32; hidden layers and head scale it by 32/width."""
    weight_decay: Annotated[float, Field(ge=0, le=10)] = 0.1
    """Decoupled weight decay of matrices."""
    gradient_clip: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    """Largest norm of the gradient."""
    precision: Precision = Precision.FP32
    """Number format of the arithmetic."""
    evaluation_sequences: Annotated[Int, Field(ge=16, le=1_000_000)] = 1024
    """Held-out sequences that every point is evaluated on."""
    held_out_fraction: Annotated[Fraction, Field(gt=0, le=0.5)] = 0.05
    """Share of the corpus's documents kept out of training."""
