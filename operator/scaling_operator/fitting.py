"""Analyses as the operator asks for them: a request with a digest, answered off the event loop."""

from dataclasses import dataclass
from functools import cached_property

from scaling_api.v1alpha1.experiment import ExperimentSpec
from scaling_api.v1alpha1.status import Answer, LawStatus
from scaling_api.v1alpha1.trial import TrialRecord
from scaling_laws.design.identity import digest


@dataclass(frozen=True)
class AnalysisRequest:
    """Laws to fit and questions to answer."""

    spec: ExperimentSpec
    records: tuple[TrialRecord, ...]
    """Finished trials of the plan as it is now, in its order."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that the answer depends on. A finished trial never changes: its id and state stand for it."""
        return digest(
            sweep=self.spec.sweep.model_dump(mode="json"),
            laws=[law.model_dump(mode="json") for law in self.spec.laws],
            ask=self.spec.ask.model_dump(mode="json"),
            trials=sorted((record.spec.id, record.status.state.value) for record in self.records),
        )


@dataclass(frozen=True)
class AnalysisAnswer:
    """Laws and answers as a status holds them."""

    digest: str
    """Of the request."""
    trials: int
    """Finished trials that the request held."""
    laws: tuple[LawStatus, ...] = ()
    answers: tuple[Answer, ...] = ()
    failure: str | None = None
    """A sentence: why there is no analysis at all (it took too long, or too much memory)."""


def make_analysis(request: AnalysisRequest) -> AnalysisAnswer:
    """Return the laws and answers that were asked for. Takes up to minutes."""
    from scaling_laws.analysis import analyse  # scipy behind it costs 60 MiB, of the child process alone

    analysis = analyse(request.spec, request.records)
    return AnalysisAnswer(
        request.digest, trials=len(request.records), laws=analysis.law_statuses, answers=analysis.answers
    )
