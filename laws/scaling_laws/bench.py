"""The laws of an experiment, fitted on its records."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from scaling_api.v1alpha1 import ExperimentSpec
from scaling_api.v1alpha1.laws import EXPRESSION, LawRequest, LossFunction, ParameterConvention
from scaling_api.v1alpha1.trial import TrialRecord
from scaling_laws.answers.backtest import Backtest, Reach, backtests, failed_backtests, reach_of
from scaling_laws.answers.surface import has_surface, surface_of
from scaling_laws.columns import RESULT_FEATURES, varying_features
from scaling_laws.exclusions import missingness
from scaling_laws.fit import IntervalOptions, Objective, fit_law, form_names
from scaling_laws.fit.options import Loss
from scaling_laws.form_tables import points_for
from scaling_laws.forms import FORMS, Form, LogSumExpForm, advice_on, form_named, own_form
from scaling_laws.law import Finding, FindingCode, Law, LawRefusedError
from scaling_laws.penalties import PipelineLaw, fit_pipelines, hybrid_findings
from scaling_laws.points import FloatArray, Points, flops_column
from scaling_laws.records import count_parameters, pipeline_points, points_from_records, table_from_records

JOINT = "Joint"
"""The dense law and the pipelines' penalties, in two stages."""
DENSE_FORM = "Chinchilla"
"""Stage 1 of Joint."""
LINEAR = "Linear"
DATA_QUALITY = "DataQuality"
"""What treatments change, beside stage 1 of Joint."""
LOSSES: Mapping[LossFunction, Loss] = {
    LossFunction.LOG_HUBER: "log-huber",
    LossFunction.HUBER: "huber",
    LossFunction.LOG_MSE: "log-mse",
    LossFunction.MSE: "mse",
    LossFunction.LOG_STUDENT_T: "log-t",
    LossFunction.STUDENT_T: "t",
    LossFunction.LOG_HUBER_DENSITY: "log-huber-density",
    LossFunction.HUBER_DENSITY: "huber-density",
}
BACKTEST_DRAWS = 200
"""Bootstrap draws behind the coverage of a back-test."""


@dataclass(frozen=True)
class FittedLaw:
    """One entry of spec.laws: a law, or the reason why there is none."""

    request: LawRequest
    law: Law | None
    refused: Finding | None
    pipelines: tuple[PipelineLaw, ...] = ()
    """Joint only: stage 2."""
    treatments: Law | None = None
    """Joint only, where several treatments were swept: what each changes, beside the dense law of all of them."""
    backtests: tuple[Backtest, ...] = ()
    """How the law predicts points that it was fitted without."""
    reach: Reach | None = None
    """How far its answers may go beyond the points."""


@dataclass(frozen=True)
class Bench:
    """The records, and what several laws share."""

    spec: ExperimentSpec
    records: tuple[TrialRecord, ...]
    seed: int
    dense_laws: dict[tuple[object, ...], FittedLaw] = field(default_factory=dict)
    """Chinchilla and the first stage of Joint are one fit."""
    tables: dict[tuple[str, ParameterConvention], Points] = field(default_factory=dict)
    """Each is made once, however many questions there are."""

    @property
    def treatment(self) -> str:
        """Name of the treatment that the dense law is fitted on."""
        return self.spec.sweep.data.treatments[0].name

    def dense(self, convention: ParameterConvention) -> Points:
        """Return the points of the dense law."""
        key = ("dense", convention)
        if key not in self.tables:
            made = points_from_records(self.records, convention=convention, treatment=self.treatment)
            self.tables[key] = made
        return self.tables[key]

    def all_models(self, convention: ParameterConvention) -> Points:
        """Return every measured model, dense and compressed, of all treatments."""
        key = ("all", convention)
        if key not in self.tables:
            self.tables[key] = table_from_records(self.records, convention=convention)
        return self.tables[key]

    def compressible(self, convention: ParameterConvention) -> Callable[[FloatArray], FloatArray]:
        """Return the function from N to the parameters that compression acts on, interpolated between sizes."""
        counts = {
            float(count_parameters(record.spec.parameters, convention)): float(record.spec.parameters.blocks)
            for record in self.records
        }
        sizes = np.array(sorted(counts))
        shares = np.array([counts[N] / N for N in sizes])
        return lambda N: N * np.interp(np.log(N), np.log(sizes), shares) if len(sizes) else N

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
        return replace(entry, pipelines=tuple(fitted), treatments=self._treatments(request))

    def _treatments(self, request: LawRequest) -> Law | None:
        """Return what treatments change, where there are several and enough points of each."""
        if len(self.spec.sweep.data.treatments) < 2:
            return None
        return self._law_of(request.model_copy(update={"form": DATA_QUALITY})).law

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
    advice = advice_on(request.form, (*form_names(), JOINT, EXPRESSION))
    return Finding(FindingCode.INVALID_REQUEST, f"There is no form {request.form}; {advice}")
