"""Broken power laws: as many breaks as held-out points ask for."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from scaling_laws.fit.checks import too_few_points
from scaling_laws.fit.compound.request import CompoundRequest
from scaling_laws.fit.cross_validation import Prediction, comparable, cross_validate, folds_of
from scaling_laws.fit.expression.fit import expression_law
from scaling_laws.fit.expression.optimum import ExpressionOptimum, find_expression_optimum
from scaling_laws.fit.features import numeric_column
from scaling_laws.forms.broken import with_breaks
from scaling_laws.law import Finding, FindingCode, Law, LawRefusedError
from scaling_laws.points import FloatArray, Points

MOST_BREAKS = 3
PLACES = (0.1, 0.25, 0.4, 0.6, 0.75, 0.9)
"""Quantiles of the variable at which a further break is tried."""
TURNS = (-0.1, 0.1)
WIDTH = 0.2
MARGIN = 0.3
"""Share by which a further break, with three coefficients, must lower the cost of held-out points."""
COEFFICIENTS = (3, 3)
"""Without breaks, and of each break."""


def fit_breaks(points: Points, request: CompoundRequest) -> Law:
    """Return the broken power law whose number of breaks predicts held-out points best.

    Of several that do so within a standard error, the one with the fewest breaks; at least one.

    Raises:
        LawRefusedError: there are too few points for one break.
        ValueError: more than one variable is named.
    """
    if len(request.features) > 1:
        raise ValueError(f"BNSL is a law of one variable, and {len(request.features)} are named.")
    variable = request.features[0] if request.features else "C"
    places = len(np.unique(numeric_column(points, variable)))
    most = min(MOST_BREAKS, (min(places, len(points)) - 3 - COEFFICIENTS[0]) // COEFFICIENTS[1])
    if most < 1:
        raise LawRefusedError(too_few_points("BNSL", min(places, len(points)), sum(COEFFICIENTS)))
    optimum, tests = _grown(points, request, variable, most)
    if request.objective.is_density:
        form = replace(with_breaks(_breaks(optimum), variable), fixed=request.fixed)
        optimum = find_expression_optimum(form, points, objective=request.objective)
    law = expression_law(optimum, points, intervals=request.intervals)
    finding = Finding(FindingCode.CHOSEN, _sentence(_breaks(optimum), tests))
    return replace(law, form="BNSL", findings=(*law.findings, finding))


def _grown(
    points: Points, request: CompoundRequest, variable: str, most: int
) -> tuple[ExpressionOptimum, list[Prediction]]:
    """Return the fit to which a further break adds nothing, and how each number of breaks predicts."""
    folds = folds_of(points, numeric_column(points, variable))
    best: ExpressionOptimum | None = None
    tests: list[Prediction] = []
    for count in range(1, most + 1):
        starts = () if best is None else _further(best, numeric_column(points, variable), count)
        form = replace(with_breaks(count, variable), fixed=request.fixed, starts=starts)
        optimum = find_expression_optimum(form, points, objective=comparable(request.objective))
        tests.append(cross_validate(optimum, folds))
        if best is not None and not tests[-2].is_worse_than(tests[-1], margin=MARGIN):
            return best, tests
        best = optimum
    assert best is not None
    return best, tests


def _further(before: ExpressionOptimum, x: FloatArray, count: int) -> tuple[dict[str, float], ...]:
    """Return starts that add a break to a fit, at several places, up and down."""
    model = before.model
    known = dict(zip(model.names, model.problem.coefficients(before.p).tolist(), strict=True))
    places = np.exp(np.quantile(np.log(x), PLACES)).tolist()
    return tuple(
        {**known, f"d{count}": place, f"f{count}": WIDTH, f"c{count}": turn} for place in places for turn in TURNS
    )


def _breaks(optimum: ExpressionOptimum) -> int:
    return sum(name.startswith("d") for name in optimum.model.form.coefficients)


def _sentence(count: int, tests: Sequence[Prediction]) -> str:
    errors = ", ".join(f"{test.mean:.3g} with {number}" for number, test in enumerate(tests, start=1))
    breaks = "one break" if count == 1 else f"{count} breaks"
    return (
        f"The law has {breaks}: the mean cost of a held-out point is {errors}, and a further one must "
        "lower it by three tenths and by its standard error. Points further out may show breaks that these do not."
    )
