"""Which laws to fit, and the questions to answer from them."""

from typing import Annotated

from pydantic import Field

from scaling_api.rules import Matches, rule
from scaling_api.v1alpha1.base import ApiModel, Choice, Int, Many, ShortName
from scaling_api.v1alpha1.quantities import Bytes, Count, Flops


class ParameterConvention(Choice):
    """What N counts: matrices that multiply (blocks and head), blocks alone, or everything."""

    MATMUL = "Matmul"
    BLOCKS = "Blocks"
    TOTAL = "Total"


class LossFunction(Choice):
    """What a fit minimises: of residuals of the log loss, or of the loss itself."""

    LOG_HUBER = "LogHuber"
    HUBER = "Huber"
    LOG_MSE = "LogMse"
    MSE = "Mse"
    LOG_STUDENT_T = "LogStudentT"
    STUDENT_T = "StudentT"
    LOG_HUBER_DENSITY = "LogHuberDensity"
    HUBER_DENSITY = "HuberDensity"


TAKES_FEATURES = ("Linear", "Mixing", "BNSL")
"""Forms whose columns the user may name."""
EXPRESSION = "Expression"
"""The form that `expression` writes down."""

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
    """The functional form, such as Chinchilla, Linear or Joint; Expression for one of your own."""
    expression: Annotated[str, Field(min_length=3, max_length=1000)] | None = None
    """Expression only: the law written out, such as loss = E + A*N^-alpha + B*D^-beta. Names that are columns of the
    trial table are variables; all others are coefficients, which are fitted."""
    loss: LossFunction | None = None
    """What is minimised; without it, what the form is usually fitted by, which is LogHuber for most."""
    parameters: ParameterConvention = ParameterConvention.MATMUL
    """What N counts in this law."""
    features: Annotated[Many[Feature], Field(max_length=32)] = ()
    """Linear: columns of the trial table, such as log(N), log(D), pipeline; text columns become dummies. Mixing: the
    domains' shares. BNSL: its variable."""
    bootstrap: Annotated[Int, Field(ge=0, le=100_000)] = 1000
    """Bootstrap draws behind the intervals."""

    @rule(
        f"self.form in {list(TAKES_FEATURES)} || self.features.size() == 0",
        "features are for the forms Linear, Mixing and BNSL alone",
        field="features",
        reason="FieldValueForbidden",
    )
    def _features_are_used(self) -> str | None:
        return f"the form {self.form}" if self.features and self.form not in TAKES_FEATURES else None

    @rule(
        f"has(self.expression) == (self.form == '{EXPRESSION}')",
        "expression is needed by the form Expression, and not used by others",
        field="expression",
    )
    def _expression_is_used(self) -> str | None:
        if (self.expression is not None) == (self.form == EXPRESSION):
            return None
        return f"the form {self.form} with{'out' if self.expression is None else ''} expression"

    @property
    def formula(self) -> str:
        """The form's name, or the expression."""
        return self.expression or self.form


class Latency(ApiModel):
    """A limit on the time of one token, on hardware of a speed and a bandwidth: the slower of the two decides."""

    seconds_per_token: Annotated[float, Field(gt=0, le=1e6)]
    """The limit."""
    flops_per_second: Annotated[float, Field(gt=0)]
    """What the hardware computes."""
    bytes_per_second: Annotated[float, Field(gt=0)]
    """What its memory delivers: each token reads the whole model once."""


class AskedModel(ApiModel):
    """A model, trained or not."""

    parameters: Count
    """N."""
    tokens: Count
    """D."""
    treatment: ShortName | None = None
    """One of sweep.data.treatments; without it the first."""
    pipeline: ShortName | None = None
    """One of sweep.compression; without it the dense model."""


class Change(ApiModel):
    """Two models whose difference is to be explained."""

    start: Annotated[AskedModel, Field(alias="from")]
    """The model that the change starts from."""
    end: Annotated[AskedModel, Field(alias="to")]
    """The model that it leads to."""


class Ask(ApiModel):
    """Questions to answer from the laws."""

    training_flops: Annotated[Many[Flops], Field(max_length=64)] = ()
    """Compute budgets C: the compute-optimal N, D and loss of each, with intervals."""
    serving_memory: Annotated[Many[Bytes], Field(max_length=64)] = ()
    """Memory limits: the best (N, D, pipeline) that fits each."""
    inference_flops: Annotated[Many[Flops], Field(max_length=64)] = ()
    """Limits of the forward FLOPs a token: the best (N, D, pipeline) within each."""
    latency: Annotated[Many[Latency], Field(max_length=64)] = ()
    """Limits of the time a token: the best (N, D, pipeline) within each."""
    attribute: Annotated[Many[Change], Field(max_length=16)] = ()
    """Pairs of models: how much of the difference of their losses is due to size, tokens, treatment and pipeline."""
    next_trials: Annotated[Many[Flops], Field(max_length=16)] = ()
    """FLOPs for further trials: those that shrink the interval of the loss at 10 times the sweep's compute most."""
