"""Which laws to fit, and the questions to answer from them."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from scaling_api.v1alpha1.base import ApiModel, ShortName
from scaling_api.v1alpha1.quantities import Bytes, Flops


class ParameterConvention(StrEnum):
    """What N counts: matrices that multiply (blocks and head), blocks alone, or everything."""

    MATMUL = "Matmul"
    BLOCKS = "Blocks"
    TOTAL = "Total"


class LawRequest(ApiModel):
    """A law to fit."""

    name: ShortName
    """How status and report call it."""
    form: Annotated[str, Field(pattern=r"^[A-Z][A-Za-z0-9]*$", max_length=63)]
    """The functional form, such as Chinchilla, Linear or Joint."""
    parameters: ParameterConvention = ParameterConvention.MATMUL
    """What N counts in this law."""
    features: Annotated[
        tuple[Annotated[str, Field(pattern=r"^(log\([A-Za-z_]\w*\)|[A-Za-z_]\w*)$", max_length=63)], ...],
        Field(max_length=32),
    ] = ()
    """Linear only: columns of the trial table, such as log(N), log(D), pipeline. Text columns become dummies."""
    bootstrap: Annotated[int, Field(ge=0, le=100_000)] = 1000
    """Bootstrap draws behind the intervals."""


class Ask(ApiModel):
    """Questions to answer from the laws."""

    training_flops: Annotated[tuple[Flops, ...], Field(max_length=64)] = ()
    """Compute budgets C: the compute-optimal N, D and loss of each, with intervals."""
    serving_memory: Annotated[tuple[Bytes, ...], Field(max_length=64)] = ()
    """Memory limits: the best (N, D, pipeline) that fits each."""
