"""Accuracy in two steps: the loss from N and D, then the accuracy from the loss."""

from dataclasses import replace

import numpy as np

from scaling_laws.fit.compound.columns import require
from scaling_laws.fit.compound.request import CompoundRequest
from scaling_laws.fit.expression.fit import fit_expression
from scaling_laws.fit.features import numeric_column
from scaling_laws.fit.log_sum_exp import fit_log_sum_exp, goodness
from scaling_laws.fit.options import Objective
from scaling_laws.forms.chinchilla import CHINCHILLA
from scaling_laws.forms.task_accuracy import ACCURACY_OF_LOSS, SIGMOID
from scaling_laws.law import Finding, FindingCode, Law
from scaling_laws.points import FloatArray, Points


def fit_task_accuracy(points: Points, request: CompoundRequest) -> Law:
    """Return the law of the accuracy over N and D; over the measured loss alone where N or D does not vary.

    Both steps draw the same bootstrap samples, so that a draw of the chain is one experiment.

    Raises:
        LawRefusedError: a step cannot be carried by the points.
        ValueError: an accuracy lies outside 0 to 1.
    """
    require(points, request.form.name, "accuracy")
    accuracy = numeric_column(points, "accuracy")
    bad = np.flatnonzero((accuracy < 0) | (accuracy > 1))
    if len(bad):
        raise ValueError(
            f"An accuracy is a share from 0 to 1; row {bad[0] + 1} has {accuracy[bad[0]]:g}. Divide percentages by 100."
        )
    own = {c.name for c in ACCURACY_OF_LOSS.declared}
    form = replace(ACCURACY_OF_LOSS, fixed={name: x for name, x in request.fixed.items() if name in own})
    second = fit_expression(points, form, objective=request.objective, intervals=request.intervals)
    if not all(np.ptp(np.log(column)) > 0.01 for column in (points.N, points.D)):
        return second
    known = tuple((name, x) for name, x in request.fixed.items() if name not in own)
    first = fit_log_sum_exp(
        points, replace(CHINCHILLA, fixed=known), objective=Objective(), intervals=request.intervals
    )
    return _chained(points, accuracy, first, second)


def _chained(points: Points, accuracy: FloatArray, first: Law, second: Law) -> Law:
    """Return both steps as one law of N and D."""
    fitted = _sigmoid(second, first.fitted)
    weights = np.ones(len(points)) if points.weights is None else np.asarray(points.weights)
    draws = None if first.draws is None or second.draws is None else np.hstack([second.draws, first.draws])
    loss_first = SIGMOID.replace("loss", f"({first.formula.split('=', 1)[1].strip()})")
    r2 = {"r2_of_loss": first.goodness["r2"], "r2_on_measured_loss": second.goodness["r2"]}
    return replace(
        second,
        formula=f"accuracy = {loss_first}",
        coefficients=(*second.coefficients, *first.coefficients),
        draws=draws,
        residuals=accuracy - fitted,
        fitted=fitted,
        goodness={**goodness(accuracy, fitted, weights), **r2},
        findings=_findings(first, second),
        has_log_residuals=False,
        details={key: {**first.details.get(key, {}), **extras} for key, extras in second.details.items()},
    )


def _sigmoid(law: Law, loss: FloatArray) -> FloatArray:
    """Return the accuracy at a loss."""
    floor, ceiling, slope, middle = (law[name] for name in ("floor", "ceiling", "slope", "middle"))
    share = 0.5 * (1 + np.tanh(0.5 * slope * (middle - loss)))
    return np.asarray(floor + (ceiling - floor) * share, dtype=np.float64)


def _findings(first: Law, second: Law) -> tuple[Finding, ...]:
    """Return the findings of both steps, named; Converged only where both have."""
    out: list[Finding] = []
    states = {FindingCode.CONVERGED, FindingCode.NOT_CONVERGED}
    for step, law in (("The accuracy's step", second), ("The loss's step", first)):
        for finding in law.findings:
            if finding.code == FindingCode.CONVERGED and not (first.has(finding.code) and second.has(finding.code)):
                continue
            repeated = finding.code in states and any(f.code == finding.code for f in out)
            if not repeated:
                out.append(
                    finding if finding.code in states else replace(finding, message=f"{step}: {finding.message}")
                )
    return tuple(out)
