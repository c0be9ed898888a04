"""A fit from the command line: read the table, fit the law, answer the questions."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from scaling_cli.errors import CommandError
from scaling_cli.fit_options import METHOD_NAMES
from scaling_cli.fit_questions import asks_more, questions_as_json, with_questions
from scaling_cli.fit_request import FitRequest
from scaling_cli.models import parse_factors
from scaling_cli.tables.columns import parse_columns
from scaling_cli.tables.points import TableOptions, TablePoints, read_points
from scaling_cli.tables.sources import open_rows
from scaling_cli.tables.units import parse_units
from scaling_cli.tables.where import as_number
from scaling_laws.fit.fit_law import default_objective, fit_law
from scaling_laws.fit.options import IntervalOptions, Loss, Objective
from scaling_laws.forms import form_named
from scaling_laws.law import Certificate, Finding, IntervalMethod, Law, LawRefusedError

if TYPE_CHECKING:
    from scaling_api.v1alpha1.status import Answer
    from scaling_laws.answers import Reach
    from scaling_laws.answers.attribution import Attribution
    from scaling_laws.answers.compare import Compared
    from scaling_laws.answers.next_trials import NextTrials
    from scaling_laws.answers.prediction import Prediction

METHODS = dict(
    zip(
        METHOD_NAMES,
        (
            IntervalMethod.WILD_CLUSTER_T,
            IntervalMethod.CV3,
            IntervalMethod.PAIRS,
            IntervalMethod.CLUSTER_PAIRS,
            IntervalMethod.BCA,
            IntervalMethod.HESSIAN,
            IntervalMethod.SANDWICH,
            IntervalMethod.PROFILE,
            IntervalMethod.HC3,
            IntervalMethod.LEAST_SQUARES,
        ),
        strict=True,
    )
)
"""Methods of intervals by the names that the command gives them."""
FEWEST_DRAWS = 20
"""Below this percentiles are the extremes of a handful."""


@dataclass(frozen=True)
class FitReport:
    """A fitted law and what it was fitted on."""

    law: Law
    table: TablePoints
    answers: "tuple[Answer, ...]"
    compared: "tuple[Compared, ...]" = ()
    predictions: "tuple[Prediction, ...]" = ()
    attributions: "tuple[Attribution, ...]" = ()
    next_trials: "NextTrials | None" = None
    told: "tuple[Answer, ...]" = ()
    """Attributions and trials to add, as an experiment's status tells them."""


def fit_table(request: FitRequest) -> FitReport:
    """Return the law that was asked for.

    Raises:
        CommandError: the table or an option is not usable.
        LawRefusedError: the data cannot carry the law.
    """
    if 0 < request.bootstrap < FEWEST_DRAWS:
        raise CommandError(
            f"--bootstrap {request.bootstrap} gives no intervals: use at least {FEWEST_DRAWS}, or 0 for none."
        )
    if request.form == "Joint":  # analysis.JOINT, which is slow to import
        raise CommandError(
            "Joint pairs compressed models with their controls: name it in an experiment's spec.laws. Of a table, "
            "--form Compression fits what bits and sparsity cost, and --predict N=7B,D=1T,P=int4 asks for it."
        )
    try:
        loss = request.loss or default_objective(form_named(request.form)).loss
        objective = Objective(loss=cast(Loss, loss), delta=request.delta)
        method = None if request.intervals is None else _method(request.intervals)
        intervals = IntervalOptions(method=method, draws=request.bootstrap, level=request.level, seed=request.seed)
        for name in request.compare:
            form_named(name)
    except ValueError as error:
        raise CommandError(str(error)) from None
    table = _read(request)
    try:
        law = fit_law(
            table.points,
            request.form,
            objective=objective,
            intervals=intervals,
            features=table.features,
            fixed=_fixed(request.fix),
            factors=parse_factors(request.factors),
        )
        reach = _reach(law, table, request, objective)
        report = FitReport(law, table, _answers(law, request, reach))
        return with_questions(report, request, reach) if asks_more(request) else report
    except LawRefusedError:
        raise
    except ValueError as error:
        raise CommandError(f"{request.table}: {error}") from None


def _method(name: str) -> IntervalMethod:
    """Return the method of that name, by the command's name or by that in a status."""
    known = {**METHODS, **{method.value.lower(): method for method in METHODS.values()}}
    if name.lower() in known:
        return known[name.lower()]
    near = get_close_matches(name.lower(), METHODS, n=1)
    advice = f"did you mean {near[0]}?" if near else f"the methods are {', '.join(METHODS)}."
    raise CommandError(f"--intervals: there is no method {name!r}; {advice}")


def _fixed(texts: Sequence[str]) -> dict[str, float]:
    """Return the values that `E=1.7,alpha=0.35` and its like write."""
    values: dict[str, float] = {}
    for part in (part for part in ",".join(texts).split(",") if part.strip()):
        name, _, number = (piece.strip() for piece in part.partition("="))
        value = as_number(number)
        if not name or value is None:
            raise CommandError(f"--fix: cannot read {part.strip()!r}; write it as E=1.7,alpha=0.35.")
        if name in values:
            raise CommandError(f"--fix: {name} is held twice, at {values[name]:g} and {value:g}; say one of them.")
        values[name] = value
    return values


def _read(request: FitRequest) -> TablePoints:
    options = TableOptions(
        columns=parse_columns(request.columns),
        features=request.named_features,
        where=tuple(request.where),
        drop_invalid=request.drop_invalid,
        units=parse_units(request.units),
        parameters=request.parameters,
        also=tuple(request.compare),
        with_documents=request.documents,
    )
    if request.table != "-" and Path(request.table).is_dir():
        from scaling_cli.tables.results import read_results

        return read_results(Path(request.table), request.form, options)
    if request.documents:
        raise CommandError("--documents: only a results folder has losses by held-out document.")
    with open_rows(request.table) as source:
        return read_points(source, request.form, options, name=_name(request.table))


def _name(table: str) -> str:
    return "standard input" if table == "-" else table


def _answers(law: Law, request: FitRequest, reach: "Reach | None") -> "tuple[Answer, ...]":
    if not request.training_flops:
        return ()
    from scaling_laws.answers import compute_optimal

    for flops in request.training_flops:
        if not 0 < flops < float("inf"):
            raise CommandError(f"--training-flops: expected a positive number such as 1e21, found {flops:g}.")
    return tuple(compute_optimal(law, flops, level=request.level, reach=reach) for flops in request.training_flops)


def _reach(law: Law, table: TablePoints, request: FitRequest, objective: Objective) -> "Reach | None":
    """Return how far back-tests of the law bridge, where that is asked about; their own intervals are not needed."""
    if not (request.training_flops or request.predict):
        return None
    from scaling_laws.answers import backtests, reach_of
    from scaling_laws.answers.along_compute import is_testable

    if not is_testable(law, table.points):
        return reach_of(table.points, ())
    refit = partial(
        fit_law,
        form=request.form,
        objective=objective,
        features=table.features,
        fixed=_fixed(request.fix),
        intervals=IntervalOptions(draws=0, level=request.level),
    )
    return reach_of(table.points, backtests(table.points, refit, level=request.level))


def report_as_json(report: FitReport) -> dict[str, Any]:
    """Return the report as JSON values, every number at full precision."""
    law = report.law
    return {
        "form": law.form,
        "formula": law.formula,
        "coefficients": {
            c.name: {"value": c.value, "standardError": c.standard_error, "lower": c.lower, "upper": c.upper}
            for c in law.coefficients
        },
        "objective": law.objective,
        "objectiveName": law.objective_name,
        "points": law.points,
        "clusters": law.clusters,
        "confidenceLevel": law.level,
        "intervalMethod": law.interval_method.value,
        "goodness": dict(law.goodness),
        "certificate": _certificate(law.certificate),
        "factors": [asdict(factor) for factor in law.factors],
        "details": {name: dict(extras) for name, extras in law.details.items()},
        "findings": [_finding(finding) for finding in law.findings],
        "answers": [answer.model_dump(mode="json") for answer in report.answers],
        **questions_as_json(report),
        "columns": dict(report.table.columns),
        "notes": list(report.table.notes),
    }


def refusal_as_json(request: FitRequest, finding: Finding) -> dict[str, Any]:
    """Return why there is no law, in the shape of a law without coefficients."""
    return {"form": request.form, "coefficients": {}, "refused": _finding(finding), "findings": [_finding(finding)]}


def _finding(finding: Finding) -> dict[str, str]:
    return {"code": finding.code.value, "message": finding.message}


def _certificate(certificate: Certificate | None) -> dict[str, Any] | None:
    if certificate is None:
        return None
    return {
        "isCertified": certificate.is_certified,
        "gradientNorm": certificate.gradient_norm,
        "smallestCurvature": certificate.smallest_curvature,
        "conditionNumber": certificate.condition_number,
        "starts": certificate.starts,
        "startsAgreeing": certificate.starts_agreeing,
        "nextBasinGap": certificate.next_basin_gap,
        "activeBounds": list(certificate.active_bounds),
    }
