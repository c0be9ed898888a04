"""From records to laws and answers: what status, tables, charts and reports are made of."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from scaling_api.v1alpha1 import ExperimentSpec
from scaling_api.v1alpha1.laws import EXPRESSION, Ask, LawRequest, LossFunction, ParameterConvention
from scaling_api.v1alpha1.status import Answer, FindingStatus, LawStatus
from scaling_api.v1alpha1.trial import TrialRecord
from scaling_laws.answers.backtest import Backtest, Reach, backtests, failed_backtests, reach_of
from scaling_laws.answers.flops import flops_per_token
from scaling_laws.answers.frontier import compute_optimal, refused_answer
from scaling_laws.answers.limits import FlopsLimit, LatencyLimit, Limit, MemoryLimit
from scaling_laws.answers.serving import best_within, served_pipelines
from scaling_laws.answers.surface import has_surface, surface_of
from scaling_laws.answers.values import FINDINGS_OF_AN_ANSWER
from scaling_laws.columns import RESULT_FEATURES, varying_features
from scaling_laws.exclusions import exclusions, missingness
from scaling_laws.fit import IntervalOptions, Objective, fit_law, form_names
from scaling_laws.fit.options import Loss
from scaling_laws.form_tables import points_for
from scaling_laws.forms import FORMS, Form, LogSumExpForm, form_named, own_form
from scaling_laws.law import Finding, FindingCode, Law, LawRefusedError
from scaling_laws.penalties import PenaltyFit, PipelineLaw, fit_pipelines, hybrid_findings
from scaling_laws.points import Points, flops_column
from scaling_laws.records import PipelinePoint, canonical, pipeline_points, points_from_records
from scaling_laws.statuses import law_status

__all__ = ["Analysis", "FittedLaw", "PenaltyFit", "PipelineLaw", "PipelinePoint", "analyse"]

JOINT = "Joint"
"""The dense law and the pipelines' penalties, in two stages."""
DENSE_FORM = "Chinchilla"
"""Stage 1 of Joint."""
LINEAR = "Linear"
LOSSES: Mapping[LossFunction, Loss] = {
    LossFunction.LOG_HUBER: "log-huber",
    LossFunction.HUBER: "huber",
    LossFunction.LOG_MSE: "log-mse",
    LossFunction.MSE: "mse",
    LossFunction.LOG_STUDENT_T: "log-t",
    LossFunction.STUDENT_T: "t",
}
BACKTEST_DRAWS = 200
"""Bootstrap draws behind the coverage of a back-test."""
MOST_ANSWERS = 256
"""That a status holds."""


@dataclass(frozen=True)
class FittedLaw:
    """One entry of spec.laws: a law, or the reason why there is none."""

    request: LawRequest
    law: Law | None
    refused: Finding | None
    pipelines: tuple[PipelineLaw, ...] = ()
    """Joint only: stage 2."""
    backtests: tuple[Backtest, ...] = ()
    """How the law predicts points that it was fitted without."""
    reach: Reach | None = None
    """How far its answers may go beyond the points."""


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
            law_status(entry.request, entry.law, refused=entry.refused, pipelines=entry.pipelines)
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
    bench = _Bench(spec, canonical(records), seed)
    laws = tuple(bench.fitted(request) for request in spec.laws)
    answers = _answers(bench, laws)
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


@dataclass(frozen=True)
class _Bench:
    """The records, and what several laws share."""

    spec: ExperimentSpec
    records: tuple[TrialRecord, ...]
    seed: int
    dense_laws: dict[tuple[object, ...], FittedLaw] = field(default_factory=dict)
    """Chinchilla and the first stage of Joint are one fit."""

    @property
    def treatment(self) -> str:
        """Name of the treatment that the dense law is fitted on."""
        return self.spec.sweep.data.treatments[0].name

    def dense(self, convention: ParameterConvention) -> Points:
        """Return the points of the dense law."""
        return points_from_records(self.records, convention=convention, treatment=self.treatment)

    def fitted(self, request: LawRequest) -> FittedLaw:
        """Return the law that was asked for, or the finding that refuses it."""
        if request.form not in (*form_names(), JOINT, EXPRESSION):
            return FittedLaw(request, None, _unknown_form(request))
        return self._joint(request) if request.form == JOINT else self._law_of(request)

    def _law_of(self, request: LawRequest) -> FittedLaw:
        """Return the law of a form on the trials that the form speaks of."""
        if has_dense_surface(request.form):
            return self._dense_law(request, request.form)
        try:
            form = _form(request)
        except ValueError as mistake:
            return FittedLaw(request, None, Finding(FindingCode.INVALID_REQUEST, str(mistake)))
        points = points_for(self.records, form, convention=request.parameters, treatment=self.treatment)
        return self._attempt(request, points)

    def _joint(self, request: LawRequest) -> FittedLaw:
        entry = self._dense_law(request, DENSE_FORM)
        pairs = [
            point
            for point in pipeline_points(self.records, convention=request.parameters)
            if point.treatment == self.treatment
        ]
        surface = surface_of(entry.law) if entry.law else None
        of_hybrids = hybrid_findings(self.spec.sweep.compression, pairs, surface)
        fitted = (
            replace(law, findings=(*law.findings, of_hybrids[law.pipeline])) if law.pipeline in of_hybrids else law
            for law in fit_pipelines(pairs, dense=surface)
        )
        return replace(entry, pipelines=tuple(fitted))

    def _dense_law(self, request: LawRequest, form: str) -> FittedLaw:
        key = (form, request.parameters, request.bootstrap, request.loss)
        if key not in self.dense_laws:
            points = self.dense(request.parameters)
            entry = self._attempt(request.model_copy(update={"form": form}), points)
            self.dense_laws[key] = self._tested(entry, form, points)
        return replace(self.dense_laws[key], request=request)

    def _tested(self, entry: FittedLaw, form: str, points: Points) -> FittedLaw:
        if entry.law is None or not has_surface(entry.law):
            return entry
        options = IntervalOptions(draws=min(BACKTEST_DRAWS, entry.request.bootstrap), seed=self.seed)
        refit = partial(fit_law, form=form, intervals=options, objective=_objective(entry.request))
        results = backtests(points, refit, level=entry.law.level)
        law = replace(entry.law, findings=(*entry.law.findings, *failed_backtests(results)))
        return replace(entry, law=law, backtests=results, reach=reach_of(points, results))

    def _attempt(self, request: LawRequest, points: Points) -> FittedLaw:
        """Return the fitted law with what is missing said beside it, or why there is none."""
        options = IntervalOptions(draws=request.bootstrap, seed=self.seed)
        features = _features(request, points)
        try:
            law = fit_law(points, _form(request), intervals=options, features=features, objective=_objective(request))
        except LawRefusedError as refusal:
            return FittedLaw(request, None, refusal.finding)
        except ValueError as mistake:
            return FittedLaw(request, None, Finding(FindingCode.INVALID_REQUEST, str(mistake)))
        missing = missingness(self.records, treatment=self.treatment)
        return FittedLaw(request, replace(law, findings=(*law.findings, *missing)), None)

    def largest_budget(self, convention: ParameterConvention) -> float:
        """Return the training budget that serving questions assume: the largest asked about, else of the sweep."""
        asked = self.spec.ask.training_flops
        return max(asked) if asked else float(flops_column(self.dense(convention)).max())


def has_dense_surface(form: str) -> bool:
    """Whether laws of that form are fitted on the dense models and tested on held-out ones: sums of power laws."""
    return isinstance(FORMS.get(form), LogSumExpForm)


def _form(request: LawRequest) -> Form:
    """Return what the request names or writes down.

    Raises:
        ExpressionError: its expression is none.
    """
    return form_named(request.form) if request.expression is None else own_form(request.expression)


def _objective(request: LawRequest) -> Objective | None:
    return None if request.loss is None else Objective(LOSSES[request.loss])


def _features(request: LawRequest, points: Points) -> tuple[str, ...]:
    """Return the features asked for, else the three factors: size, data, and pipeline or treatment where they vary."""
    if request.form != LINEAR or request.features:
        return request.features
    return varying_features(points, RESULT_FEATURES)


def _unknown_form(request: LawRequest) -> Finding:
    forms = ", ".join(sorted({*form_names(), JOINT, EXPRESSION}))
    return Finding(FindingCode.INVALID_REQUEST, f"There is no form {request.form}; the forms are {forms}.")


def _answers(bench: _Bench, laws: Sequence[FittedLaw]) -> tuple[Answer, ...]:
    """Return the answers question by question, each by every law that can give one."""
    able = [entry for entry in laws if _can_answer(entry)] or list(laws[:1])
    joint = [entry for entry in able if entry.request.form == JOINT]
    ask = bench.spec.ask
    budgets = [_optimal(bench, entry, flops) for flops in ask.training_flops for entry in able]
    served = [_served(bench, entry, limit) for limit in _limits(ask) for entry in joint or able]
    return (*budgets, *served)


def _limits(ask: Ask) -> Iterator[Limit]:
    yield from (MemoryLimit(memory) for memory in ask.serving_memory)
    yield from (FlopsLimit(flops) for flops in ask.inference_flops)
    for latency in ask.latency:
        yield LatencyLimit(latency.seconds_per_token, latency.flops_per_second, latency.bytes_per_second)


def _can_answer(entry: FittedLaw) -> bool:
    return entry.request.form in {DENSE_FORM, JOINT} if entry.law is None else has_surface(entry.law)


def _optimal(bench: _Bench, entry: FittedLaw, training_flops: float) -> Answer:
    request = entry.request
    if entry.law is None:
        return _no_law(entry, "trainingFlops", training_flops)
    rule = flops_per_token(bench.dense(request.parameters))
    answer = compute_optimal(entry.law, training_flops, level=entry.law.level, flops=rule, reach=entry.reach)
    return answer.model_copy(update={"law": request.name})


def _served(bench: _Bench, entry: FittedLaw, limit: Limit) -> Answer:
    request = entry.request
    if entry.law is None:
        return _no_law(entry, limit.question, limit.at)
    answer = best_within(
        entry.law,
        limit,
        training_flops=bench.largest_budget(request.parameters),
        served=served_pipelines(
            bench.records, entry.pipelines, convention=request.parameters, treatment=bench.treatment
        ),
        level=entry.law.level,
        flops=flops_per_token(bench.dense(request.parameters)),
        reach=entry.reach,
        seed=bench.seed,
    )
    findings = (*_dense_only(bench, request), *answer.findings)[:FINDINGS_OF_AN_ANSWER]
    return answer.model_copy(update={"law": request.name, "findings": findings})


def _dense_only(bench: _Bench, request: LawRequest) -> tuple[FindingStatus, ...]:
    """Say so where pipelines were swept and the law that answers knows nothing of them."""
    swept = any(pipeline.stages for pipeline in bench.spec.sweep.compression)
    if request.form == JOINT or not swept:
        return ()
    text = "This answer compares dense models only; add a law of form Joint to weigh the pipelines of the sweep."
    return (FindingStatus(code=FindingCode.DENSE_ONLY.value, message=text),)


def _no_law(entry: FittedLaw, question: str, at: float) -> Answer:
    assert entry.refused is not None
    return refused_answer(entry.request.name, question, at, f"There is no law: {entry.refused.message}")
