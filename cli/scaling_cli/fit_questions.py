"""What `scaling fit` is asked beyond the law itself: comparisons, predictions, attributions, trials to add."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from scaling_cli.errors import CommandError
from scaling_cli.models import in_numbers, parse_change, parse_model
from scaling_laws.forms import FORMS, LinearForm
from scaling_laws.forms.mixing import MIXING

if TYPE_CHECKING:
    from scaling_api.v1alpha1.status import Answer
    from scaling_cli.fit_request import FitRequest
    from scaling_cli.fitting import FitReport
    from scaling_laws.answers import Reach
    from scaling_laws.answers.attribution import Attribution
    from scaling_laws.answers.compare import Compared
    from scaling_laws.answers.next_trials import NextTrials


def asks_more(request: "FitRequest") -> bool:
    """Whether anything beyond the law and its frontier is asked."""
    return bool(request.compare or request.predict or request.attribute or request.next_flops is not None)


def with_questions(report: "FitReport", request: "FitRequest", reach: "Reach | None") -> "FitReport":
    """Return the report with the answers.

    Raises:
        CommandError: a question is not readable.
        ValueError: the law cannot answer it.
    """
    from scaling_laws.answers.prediction import predicted

    attributions = tuple(_attributed(report, text, request.level) for text in request.attribute)
    further = None if request.next_flops is None else _next(report, request.next_flops, request.level)
    return replace(
        report,
        compared=_compared(report, request) if request.compare else (),
        predictions=tuple(
            predicted(report.law, _asked(report, text), level=request.level, reach=reach) for text in request.predict
        ),
        attributions=attributions,
        next_trials=further,
        told=tuple(_told(report, request, attributions, further)),
    )


def _asked(report: "FitReport", text: str) -> "dict[str, float | str]":
    """Return the model that is asked about; to a linear law a text is a level of its column."""
    model = parse_model(text, "--predict")
    if report.law.form == MIXING.name:
        from scaling_laws.answers.mixtures import mixture

        return {**mixture(model, report.table.points, report.table.features)}
    return model if isinstance(FORMS.get(report.law.form), LinearForm) else in_numbers(model)


def _attributed(report: "FitReport", text: str, level: float) -> "Attribution":
    from scaling_laws.answers.attribution import attribute
    from scaling_laws.answers.corners import expected

    start, end = parse_change(text)
    return attribute(expected(report.law), start, end, points=report.table.points, level=level)


def _told(
    report: "FitReport", request: "FitRequest", attributions: "Sequence[Attribution]", further: "NextTrials | None"
) -> "Iterator[Answer]":
    """Yield attributions and trials to add in the shape that an experiment's status has."""
    from scaling_laws.answers.statuses import attribution_answer, next_trials_answer

    for at, (text, found) in enumerate(zip(request.attribute, attributions, strict=True), 1):
        start, end = parse_change(text)
        yield attribution_answer(found, report.law.form, at, start=start, end=end)
    if further is not None and request.next_flops is not None:
        yield next_trials_answer(further, report.law.form, request.next_flops)


def _compared(report: "FitReport", request: "FitRequest") -> "tuple[Compared, ...]":
    from scaling_laws.answers.compare import compare_forms
    from scaling_laws.fit.options import Objective

    objective = None if request.loss is None else Objective(request.loss, request.delta)  # type: ignore[arg-type]
    forms = tuple(dict.fromkeys((request.form, *request.compare)))
    return compare_forms(report.table.points, forms, objective=objective)


def _next(report: "FitReport", flops: float, level: float) -> "NextTrials":
    from scaling_laws.answers.flops import flops_per_token
    from scaling_laws.answers.next_trials import next_trials

    if not 0 < flops < float("inf"):
        raise CommandError(f"--next-flops: expected a positive number such as 1e21, found {flops:g}.")
    points = report.table.points
    return next_trials(report.law, points, flops, flops=flops_per_token(points), level=level)


def questions_as_json(report: "FitReport") -> dict[str, Any]:
    """Return the answers as JSON values; those that were not asked for are left out."""
    out: dict[str, Any] = {}
    if report.compared:
        out["comparison"] = [_compared_json(entry) for entry in report.compared]
    if report.predictions:
        out["predictions"] = [asdict(prediction) for prediction in report.predictions]
    if report.attributions:
        out["attributions"] = [_attribution_json(attribution) for attribution in report.attributions]
    if report.next_trials is not None:
        out["nextTrials"] = {**asdict(report.next_trials), "flops": report.next_trials.flops}
    return out


def _compared_json(entry: "Compared") -> dict[str, Any]:
    law = entry.law
    return {
        "form": entry.form,
        "refused": None if entry.refused is None else entry.refused.message,
        "coefficients": {} if law is None else {c.name: c.value for c in law.coefficients},
        "r2": None if law is None else law.goodness.get("r2"),
        **{name: entry.criteria.get(name) for name in ("aic", "aicc", "bic")},
        "crossValidatedError": entry.cross_validated_error,
        "exponents": entry.exponents,
        "backtests": [asdict(test) for test in entry.backtests],
        "leftOut": entry.left_out,
        "findings": [] if law is None else [str(finding.code) for finding in law.findings],
    }


def _attribution_json(attribution: "Attribution") -> dict[str, Any]:
    findings = [{"code": str(f.code), "message": f.message} for f in attribution.findings]
    return {**asdict(attribution), "findings": findings}
