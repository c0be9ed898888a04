"""From measured throughput to a law of parallel efficiency, one set of coefficients a strategy."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from scaling_laws.fit.compound.columns import identifiers, levels_of, positive_column, require, with_columns
from scaling_laws.fit.compound.request import CompoundRequest
from scaling_laws.fit.cross_validation import Prediction, comparable, cross_validate, folds_of
from scaling_laws.fit.expression.fit import expression_law
from scaling_laws.fit.expression.optimum import find_expression_optimum
from scaling_laws.forms.expression import Coefficient, ExpressionForm
from scaling_laws.law import Finding, FindingCode, Law, LawRefusedError
from scaling_laws.points import FloatArray, Points

KINDS: Mapping[str, tuple[str, ...]] = {
    "Amdahl": ("sigma",),
    "Gustafson": ("g",),
    "UniversalScalability": ("sigma", "kappa"),
}
"""Coefficients of each formula, the simplest first."""
STARTS = {"sigma": (0.0, 0.3), "kappa": (0.0, 0.02), "g": (0.0, 0.6)}


@dataclass(frozen=True)
class _Table:
    points: Points
    """With a column of zeros and ones for each group, where there are several."""
    groups: Mapping[str, str]
    """Word in formulas of each strategy; one empty word where there is a single one."""
    has_sizes: bool


def fit_parallel(points: Points, request: CompoundRequest) -> Law:
    """Return the law of throughput over workers; ParallelEfficiency takes the formula that predicts best.

    Raises:
        LawRefusedError: the workers do not vary.
        ValueError: the columns workers and throughput are not there, or not positive.
    """
    require(points, request.form.name, "workers", "throughput")
    table = _table(points)
    kinds = [request.form.name] if request.form.name in KINDS else list(KINDS)
    optima = {}
    for kind in kinds:
        form = replace(_form(kind, table), fixed=request.fixed)
        by = request.objective if len(kinds) == 1 else comparable(request.objective)
        optima[kind] = find_expression_optimum(form, table.points, objective=by)
    tests = {}
    if len(kinds) > 1:
        folds = folds_of(replace(table.points, clusters=None), *_places(table))
        tests = {kind: cross_validate(optimum, folds) for kind, optimum in optima.items()}
    chosen = _best(tests) if tests else kinds[0]
    optimum = optima[chosen]
    if optimum.fitted_by.loss != request.objective.loss:
        form = replace(_form(chosen, table), fixed=request.fixed)
        optimum = find_expression_optimum(form, table.points, objective=request.objective)
    law = expression_law(optimum, table.points, intervals=request.intervals)
    findings = [*law.findings, *_peaks(law, table)]
    if tests:
        findings.append(_choice(chosen, {kind: test.mean for kind, test in tests.items()}))
    return replace(law, form=request.form.name, findings=tuple(findings))


def _best(tests: Mapping[str, Prediction]) -> str:
    """Return the formula of one coefficient that predicts best, or that of two where it is better still."""
    simple = min((kind for kind in tests if len(KINDS[kind]) == 1), key=lambda kind: tests[kind].mean)
    return next((kind for kind in tests if len(KINDS[kind]) > 1 and tests[simple].is_worse_than(tests[kind])), simple)


def _table(points: Points) -> _Table:
    workers = positive_column(points, "workers")
    positive_column(points, "throughput")
    if np.any(workers < 1):
        raise ValueError(f"workers must be 1 or more; row {int(np.argmax(workers < 1)) + 1} has {workers.min():g}.")
    has_sizes = bool(np.ptp(np.log(points.N)) > 0.01)
    if "strategy" not in points.features:
        return _Table(points, {"": ""}, has_sizes)
    levels, column = levels_of(points, "strategy", form="ParallelEfficiency")
    for level in levels:
        _refuse_one_count(level, workers[column == level])
    if len(levels) == 1:
        return _Table(points, {levels[0]: ""}, has_sizes)
    words = identifiers(levels)
    ones = {f"is_{words[level]}": (column == level).astype(np.float64) for level in levels}
    return _Table(with_columns(points, ones), words, has_sizes)


def _refuse_one_count(level: str, workers: FloatArray) -> None:
    if np.ptp(workers) == 0:
        message = (
            f"All {len(workers)} points of strategy {level} have {workers[0]:g} workers, so that nothing tells how its "
            "throughput changes with them; measure it with other numbers, or leave the strategy out."
        )
        raise LawRefusedError(Finding(FindingCode.TOO_FEW_LEVELS, message))


def _form(kind: str, table: _Table) -> ExpressionForm:
    scale = "lambda*N^eta" if table.has_sizes else "lambda"
    term = {name: _term(name, table.groups) for name in KINDS[kind]}
    if kind == "Gustafson":
        right = f"{scale}*(workers - {term['g']}*(workers - 1))"
    else:
        pairs = f" + {term['kappa']}*workers*(workers - 1)" if "kappa" in term else ""
        right = f"{scale}*workers/(1 + {term['sigma']}*(workers - 1){pairs})"
    declared = [Coefficient("lambda", is_positive=True)]
    declared += [Coefficient("eta", lower=-5.0, upper=5.0, start=(-1.5, 0.5))] if table.has_sizes else []
    declared += [
        Coefficient(_name(name, word), lower=0.0, upper=1.0, start=STARTS[name])
        for name in KINDS[kind]
        for word in table.groups.values()
    ]
    variables = ("workers", *(("N",) if table.has_sizes else ()), *_indicators(table))
    return ExpressionForm(kind, f"throughput = {right}", variables=variables, declared=tuple(declared))


def _term(name: str, groups: Mapping[str, str]) -> str:
    if len(groups) == 1:
        return name
    return f"({' + '.join(f'{_name(name, word)}*is_{word}' for word in groups.values())})"


def _name(name: str, word: str) -> str:
    return f"{name}_{word}" if word else name


def _indicators(table: _Table) -> tuple[str, ...]:
    return tuple(f"is_{word}" for word in table.groups.values() if word)


def _places(table: _Table) -> Sequence[FloatArray]:
    columns = [np.asarray(table.points.features[name], dtype=np.float64) for name in ("workers", *_indicators(table))]
    return [*columns, table.points.N]


def _peaks(law: Law, table: _Table) -> Iterator[Finding]:
    """Say where throughput peaks, for strategies with communication that grows."""
    names = {coefficient.name for coefficient in law.coefficients}
    for level, word in table.groups.items():
        if _name("kappa", word) not in names or law[_name("kappa", word)] <= 0:
            continue
        sigma, kappa = law[_name("sigma", word)], law[_name("kappa", word)]
        peak, whose = np.sqrt(max(1 - sigma, 0.0) / kappa), f" of {level}" if level else ""
        measured = float(np.max(table.points.features["workers"]))
        beyond = "" if peak <= measured else f", beyond the {measured:g} that were measured"
        yield Finding(FindingCode.CHOSEN, f"The throughput{whose} peaks at {peak:.3g} workers{beyond}.")


def _choice(chosen: str, errors: Mapping[str, float]) -> Finding:
    told = ", ".join(f"{error:.3g} of {kind}" for kind, error in errors.items())
    message = (
        f"{chosen} predicts held-out points best (their mean cost is {told}); a formula with more coefficients must do "
        "so by a tenth and by its standard error."
    )
    return Finding(FindingCode.CHOSEN, message)
