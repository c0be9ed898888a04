"""From records to laws and answers: what status, tables, charts and reports are made of."""

from collections.abc import Iterable
from dataclasses import dataclass

from scaling_api.v1alpha1 import ExperimentSpec
from scaling_api.v1alpha1.laws import ParameterConvention
from scaling_api.v1alpha1.status import Answer, LawStatus
from scaling_api.v1alpha1.trial import TrialRecord
from scaling_laws.answers.backtest import Backtest
from scaling_laws.bench import JOINT, Bench, FittedLaw, has_dense_surface
from scaling_laws.exclusions import exclusions
from scaling_laws.penalties import PenaltyFit, PipelineLaw
from scaling_laws.points import Points
from scaling_laws.questions import answers_of
from scaling_laws.records import PipelinePoint, canonical, pipeline_points
from scaling_laws.statuses import law_status

__all__ = [
    "JOINT", "Analysis", "FittedLaw", "PenaltyFit", "PipelineLaw", "PipelinePoint", "analyse", "has_dense_surface",
]  # fmt: skip

MOST_ANSWERS = 256
"""That a status holds."""


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
        return tuple(
            law_status(
                entry.request,
                entry.law,
                refused=entry.refused,
                pipelines=entry.pipelines,
                treatments=entry.treatments,
            )
            for entry in self.laws
        )

    @property
    def backtests(self) -> tuple[Backtest, ...]:
        """How the dense law predicts points that it was fitted without: those of the first law that has any."""
        return next((entry.backtests for entry in self.laws if entry.backtests), ())


def analyse(spec: ExperimentSpec, records: Iterable[TrialRecord], *, seed: int = 0) -> Analysis:
    """Fit every law of `spec.laws` on the finished records and answer `spec.ask`.

    A law that the records cannot carry is refused with a finding, and its answers with a sentence; nothing raises.
    The same records in any order give the same analysis to the last bit.

    Args:
        spec: of the experiment.
        records: of any kind and state, one or more a trial.
        seed: of the bootstraps.
    """
    bench = Bench(spec, canonical(records), seed)
    laws = tuple(bench.fitted(request) for request in spec.laws)
    answers = answers_of(bench, laws)
    excluded = list(exclusions(bench.records, treatment=bench.treatment))
    if len(answers) > MOST_ANSWERS:
        excluded.append(f"spec.ask has {len(answers):,} answers; a status holds the first {MOST_ANSWERS}.")
    return Analysis(
        dense=bench.dense(ParameterConvention.MATMUL),
        pipeline_points=pipeline_points(bench.records, convention=ParameterConvention.MATMUL),
        laws=laws,
        answers=answers[:MOST_ANSWERS],
        excluded=tuple(excluded),
    )
