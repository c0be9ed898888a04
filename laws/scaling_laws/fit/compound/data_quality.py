"""From a table of treatments to what each costs: fewer effective tokens, a higher floor, or both."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from scaling_laws.fit.compound.columns import identifiers, levels_of, positive_column, with_columns
from scaling_laws.fit.compound.request import CompoundRequest
from scaling_laws.fit.cross_validation import Prediction, comparable, cross_validate, folds_of
from scaling_laws.fit.expression.fit import fit_expression
from scaling_laws.fit.expression.optimum import find_expression_optimum
from scaling_laws.forms.expression import Coefficient, ExpressionForm
from scaling_laws.law import Finding, FindingCode, Law, LawRefusedError
from scaling_laws.points import Points, select

EFFECTS = ("nothing", "tokens", "floor", "both")
"""What a treatment may change, the simplest first."""
REFERENCES = ("clean", "none", "untouched", "original", "baseline", "base", "raw")
"""Names of the level that others are compared with; else it is that of the first row."""
FEWEST_POINTS = 4
"""Of a treatment, for a choice among its effects."""
DENSE = (
    Coefficient("E", lower=0.0),
    Coefficient("A", is_positive=True),
    Coefficient("alpha", lower=0.0, upper=10.0, start=(0.05, 1.5)),
    Coefficient("B", is_positive=True),
    Coefficient("beta", lower=0.0, upper=10.0, start=(0.05, 1.5)),
)


@dataclass(frozen=True)
class _Treatment:
    level: str
    word: str
    effect: str
    tests: Mapping[str, Prediction]


def fit_data_quality(points: Points, request: CompoundRequest) -> Law:
    """Return the dense law with what each treatment, or a measured quality Q, changes in it.

    Raises:
        LawRefusedError: there is one level only, or a level has too few points.
        ValueError: the points have neither treatments nor Q.
    """
    if "treatment" in points.features:
        return _by_treatment(points, request)
    if "Q" in points.features:
        return _by_quality(points, request)
    known = ", ".join(("N", "D", *points.features))
    raise ValueError(f"DataQuality needs a column treatment (text) or Q (a measured quality); the points have {known}.")


def _by_quality(points: Points, request: CompoundRequest) -> Law:
    positive_column(points, "Q")
    gamma = Coefficient("gamma", lower=-20.0, upper=20.0, start=(-2.0, 4.0))
    form = ExpressionForm(
        name=request.form.name,
        formula="L = E + A/N^alpha + B/(D*Q^gamma)^beta",
        variables=("N", "D", "Q"),
        declared=(*DENSE, gamma),
        fixed=request.fixed,
    )
    return fit_expression(points, form, objective=request.objective, intervals=request.intervals)


def _by_treatment(points: Points, request: CompoundRequest) -> Law:
    levels, column = levels_of(points, "treatment", form=request.form.name)
    reference = next((level for name in REFERENCES for level in levels if level.lower() == name), levels[0])
    others = tuple(level for level in levels if level != reference)
    for level in levels:
        _refuse_few(level, int(np.sum(column == level)), is_alone=not others)
    words = identifiers(others)
    ones = {f"is_{words[level]}": (column == level).astype(np.float64) for level in others}
    table = with_columns(points, ones)
    treatments = []
    for level in others:
        pair = select(table, (column == level) | (column == reference))
        treatments.append(_treatment(pair, level, words[level], request))
    form = replace(_form(tuple((t.word, t.effect) for t in treatments)), fixed=request.fixed)
    law = fit_expression(table, form, objective=request.objective, intervals=request.intervals)
    findings = (_finding(treatment, reference) for treatment in treatments)
    return replace(law, form=request.form.name, findings=(*law.findings, *findings))


def _refuse_few(level: str, count: int, *, is_alone: bool) -> None:
    if is_alone:
        message = f"All {count} points have the treatment {level}; add points of another to see what it changes."
        raise LawRefusedError(Finding(FindingCode.TOO_FEW_LEVELS, message))
    if count < FEWEST_POINTS:
        message = (
            f"The treatment {level} has {count} point(s), and it takes {FEWEST_POINTS} to tell fewer effective tokens "
            "from a higher floor; add points of it at other N and D, or leave it out."
        )
        raise LawRefusedError(Finding(FindingCode.TOO_FEW_POINTS, message))


def _treatment(pair: Points, level: str, word: str, request: CompoundRequest) -> _Treatment:
    """Return the effect that predicts held-out points best, the simplest of equals."""
    folds = folds_of(pair)
    tests = {}
    for effect in EFFECTS:
        form = replace(_form(((word, effect),)), fixed=_known(request.fixed, word, effect))
        optimum = find_expression_optimum(form, pair, objective=comparable(request.objective))
        tests[effect] = cross_validate(optimum, folds)
    best = min(tests.values(), key=lambda test: test.mean)
    effect = next(effect for effect, test in tests.items() if test is best or not test.is_worse_than(best))
    return _Treatment(level, word, effect, tests)


def _known(fixed: Mapping[str, float], word: str, effect: str) -> dict[str, float]:
    names = {"E", "A", "alpha", "B", "beta", *(name for name, _ in _effects(word, effect))}
    return {name: value for name, value in fixed.items() if name in names}


def _effects(word: str, effect: str) -> Iterator[tuple[str, Coefficient]]:
    if effect in {"tokens", "both"}:
        name = f"q_{word}"
        yield name, Coefficient(name, is_positive=True, lower=1e-4, upper=1e4, start=(0.1, 3.0))
    if effect in {"floor", "both"}:
        yield f"dE_{word}", Coefficient(f"dE_{word}")


def _form(treatments: tuple[tuple[str, str], ...]) -> ExpressionForm:
    """Return the dense law with the effect of each treatment, given as pairs of its word and its effect."""
    coefficients = dict(pair for word, effect in treatments for pair in _effects(word, effect))
    worth = "".join(f"*q_{word}^is_{word}" for word, _ in treatments if f"q_{word}" in coefficients)
    offsets = "".join(f" + dE_{word}*is_{word}" for word, _ in treatments if f"dE_{word}" in coefficients)
    used = [f"is_{word}" for word, effect in treatments if effect != "nothing"]
    return ExpressionForm(
        name="DataQuality",
        formula=f"L = E + A/N^alpha + B/(D{worth})^beta{offsets}",
        variables=("N", "D", *used),
        declared=(*DENSE, *coefficients.values()),
    )


def _finding(treatment: _Treatment, reference: str) -> Finding:
    told = ", ".join(f"{test.mean:.3g} if {effect}" for effect, test in treatment.tests.items())
    acts = {
        "nothing": f"cannot be told from {reference}",
        "tokens": f"acts like a change of the number of tokens by a factor, against {reference}",
        "floor": f"shifts the floor against {reference}, and does not act like fewer tokens",
        "both": f"changes what a token is worth and shifts the floor, against {reference}",
    }[treatment.effect]
    return Finding(
        FindingCode.CHOSEN,
        f"The treatment {treatment.level} {acts}: the mean cost of a held-out point is {told}, and a further effect "
        "must lower it by a tenth and by its standard error.",
    )
