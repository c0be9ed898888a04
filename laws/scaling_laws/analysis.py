"""From records to laws and answers: what status, tables, charts and reports are made of."""

from collections.abc import Iterable
from dataclasses import dataclass

from scaling_api.v1alpha1 import ExperimentSpec
from scaling_api.v1alpha1.laws import LawRequest
from scaling_api.v1alpha1.status import Answer, LawStatus
from scaling_api.v1alpha1.trial import TrialRecord
from scaling_laws.law import Finding, Law
from scaling_laws.points import Points


@dataclass(frozen=True)
class PipelinePoint:
    """One compressed model beside the control it is compared with."""

    trial: str
    pipeline: str
    treatment: str
    seed: int
    N: float
    D: float
    cluster: int
    loss: float
    control_loss: float
    penalty: float
    """loss - control_loss, nats."""
    stored_bytes: float
    effective_bits: float
    inference_flops: float


@dataclass(frozen=True)
class PenaltyFit:
    """One candidate formula for a pipeline's penalty."""

    form: str
    """Such as ConstantMultiplier, MultiplierOfDN, Additive."""
    formula: str
    coefficients: tuple[tuple[str, float, float | None], ...]
    """Name, value, standard error."""
    backtest_error: float | None
    """Mean |predicted - observed| loss, nats, at the largest D held out; None when it could not be tested."""
    in_sample_error: float


@dataclass(frozen=True)
class PipelineLaw:
    """How much a pipeline costs in loss, over N and D."""

    pipeline: str
    candidates: tuple[PenaltyFit, ...]
    chosen: PenaltyFit | None
    """The candidate with the smallest back-test error."""
    mean_penalty: float
    mean_penalty_standard_error: float | None
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class FittedLaw:
    """One entry of spec.laws: a law, or the reason why there is none."""

    request: LawRequest
    law: Law | None
    refused: Finding | None
    pipelines: tuple[PipelineLaw, ...] = ()
    """Joint only: stage 2."""


@dataclass(frozen=True)
class Analysis:
    """All that can be said from the records so far."""

    dense: Points
    """Dense points of the first treatment, N by the default convention."""
    pipeline_points: tuple[PipelinePoint, ...]
    laws: tuple[FittedLaw, ...]
    answers: tuple[Answer, ...]
    excluded: tuple[str, ...]
    """Sentences: which finished trials were left out of the fits, and why."""

    @property
    def law_statuses(self) -> tuple[LawStatus, ...]:
        """The laws as they stand in a status."""
        raise NotImplementedError


def analyse(spec: ExperimentSpec, records: Iterable[TrialRecord], *, seed: int = 0) -> Analysis:
    """Fit every law of `spec.laws` on the finished records and answer `spec.ask`."""
    raise NotImplementedError
