"""Which laws to fit, and the questions to answer from them."""

from typing import Annotated

from pydantic import Field

from scaling_api.rules import Matches, rule
from scaling_api.v1alpha1.base import ApiModel, Choice, Int, Many, ShortName
from scaling_api.v1alpha1.quantities import Bytes, Flops


class ParameterConvention(Choice):
    """What N counts: matrices that multiply (blocks and head), blocks alone, or everything."""

    MATMUL = "Matmul"
    BLOCKS = "Blocks"
    TOTAL = "Total"


Form = Annotated[
    str,
    Matches(
        r"^[A-Z][A-Za-z0-9]*$",
        "the name of a form such as Chinchilla: letters and digits, starting with a capital, at most 63 long",
        63,
    ),
]
Feature = Annotated[
    str,
    Matches(
        r"^(log\([A-Za-z_][A-Za-z0-9_]*\)|[A-Za-z_][A-Za-z0-9_]*)$",
        "the name of a column of the trial table, such as pipeline, or log(name), at most 63 long",
        63,
    ),
]


class LawRequest(ApiModel):
    """A law to fit."""

    name: ShortName
    """How status and report call it."""
    form: Form
    """The functional form, such as Chinchilla, Linear or Joint."""
    parameters: ParameterConvention = ParameterConvention.MATMUL
    """What N counts in this law."""
    features: Annotated[Many[Feature], Field(max_length=32)] = ()
    """Linear only: columns of the trial table, such as log(N), log(D), pipeline. Text columns become dummies."""
    bootstrap: Annotated[Int, Field(ge=0, le=100_000)] = 1000
    """Bootstrap draws behind the intervals."""

    @rule(
        "self.form == 'Linear' || self.features.size() == 0",
        "features are for the form Linear alone",
        field="features",
        reason="FieldValueForbidden",
    )
    def _features_are_used(self) -> str | None:
        return f"the form {self.form}" if self.features and self.form != "Linear" else None


class Ask(ApiModel):
    """Questions to answer from the laws."""

    training_flops: Annotated[Many[Flops], Field(max_length=64)] = ()
    """Compute budgets C: the compute-optimal N, D and loss of each, with intervals."""
    serving_memory: Annotated[Many[Bytes], Field(max_length=64)] = ()
    """Memory limits: the best (N, D, pipeline) that fits each."""
