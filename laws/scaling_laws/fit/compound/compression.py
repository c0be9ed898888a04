"""From compressed models to what bits and sparsity cost."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scaling_laws.fit.compound.columns import with_columns
from scaling_laws.fit.compound.request import CompoundRequest
from scaling_laws.fit.cross_validation import comparable, cross_validate, folds_of
from scaling_laws.fit.expression.errors import interval_scale_errors
from scaling_laws.fit.expression.fit import expression_law
from scaling_laws.fit.expression.optimum import find_expression_optimum
from scaling_laws.fit.features import numeric_column
from scaling_laws.fit.log_sum_exp import fit_log_sum_exp
from scaling_laws.fit.options import IntervalOptions, Objective
from scaling_laws.forms.chinchilla import CHINCHILLA
from scaling_laws.forms.compression import OF_BITS, OF_HYBRIDS, OF_SIZE, OF_SPARSITY, OF_TOKENS
from scaling_laws.forms.expression import Coefficient, ExpressionForm
from scaling_laws.law import Finding, FindingCode, Law, LawRefusedError
from scaling_laws.points import FloatArray, Points, select

DENSE_BITS = 16.0
"""Weights of this many bits and more count as not quantized."""
IS_QUANTIZED = f"min(1, max(0, {DENSE_BITS:g} - P))*"
"""One for models of 15 bits and less, nothing for those of 16, which only pruning has compressed."""
LARGEST_TOKENS = float(np.sqrt(2.0))
"""Points within this factor of the largest D are held out."""
NO_COLUMN = (
    "There is no column P (bits of the weights) and no column S (share of weights that are zero): nothing tells the "
    "compressed models from the dense ones. Say which columns these are, such as --columns P=bits,S=sparsity."
)
FEWEST_LEVELS = 3
SURE = 2.5
"""Standard errors by which a hybrid must differ from its parts."""


@dataclass(frozen=True)
class _Table:
    points: Points
    """Compressed models, with their penalty and what formulas are made of."""
    has_bits: bool
    has_sparsity: bool
    dense: Law | None
    """The law of the dense models, where there are enough."""


def fit_compression(points: Points, request: CompoundRequest) -> Law:
    """Return the law of the penalty whose formula predicts larger D best.

    Raises:
        LawRefusedError: no compressed models, no dense ones to compare them with, or neither bits nor sparsity vary.
        ValueError: a sparsity or a number of bits is none.
    """
    table = _table(points)
    forms = {name: replace(form, fixed={**form.fixed, **request.fixed}) for name, form in _forms(table).items()}
    errors, how = _errors(table, forms, request)
    chosen = min(errors, key=lambda name: errors[name])
    optimum = find_expression_optimum(forms[chosen], table.points, objective=request.objective)
    law = expression_law(optimum, table.points, intervals=request.intervals)
    told = ", ".join(f"{error:.3g} of the {name} formula" for name, error in errors.items())
    choice = Finding(FindingCode.CHOSEN, f"The {chosen} formula has the smallest error on {how} ({told}).")
    return replace(
        law, form=request.form.name, findings=(*law.findings, choice, *_hybrids(table, forms[chosen], request))
    )


def _table(points: Points) -> _Table:
    if not {"P", "S"} & set(points.features):
        raise LawRefusedError(Finding(FindingCode.TOO_FEW_LEVELS, NO_COLUMN))
    bits, sparsity = _column(points, "P", DENSE_BITS), _column(points, "S", 0.0)
    if np.any((sparsity < 0) | (sparsity >= 1)):
        row = int(np.argmax((sparsity < 0) | (sparsity >= 1)))
        raise ValueError(f"S is a share from 0 to below 1; row {row + 1} has {sparsity[row]:g}.")
    if np.any(bits <= 0):
        raise ValueError(f"P is a number of bits, and row {int(np.argmax(bits <= 0)) + 1} has {bits.min():g}.")
    is_dense = (bits >= DENSE_BITS) & (sparsity == 0)
    if is_dense.all():
        text = f"All {len(points)} models are dense (P at least {DENSE_BITS:g}, S = 0): there is no penalty to fit."
        raise LawRefusedError(Finding(FindingCode.TOO_FEW_LEVELS, text))
    dense = _dense_law(select(points, is_dense))
    compressed = select(points, ~is_dense)
    penalty = compressed.loss - _controls(points, is_dense, dense)
    P, S = bits[~is_dense], sparsity[~is_dense]
    columns = {"penalty": penalty, "P": P, "S": S, "is_hybrid": ((DENSE_BITS > P) & (S > 0)).astype(np.float64)}
    has_bits, has_sparsity = len(np.unique(P[DENSE_BITS > P])) > 1, len(np.unique(S[S > 0])) > 1
    if not (has_bits or has_sparsity):
        text = "The compressed models have one number of bits and one sparsity; a law over them needs two of either."
        raise LawRefusedError(Finding(FindingCode.TOO_FEW_LEVELS, text))
    return _Table(with_columns(compressed, columns), has_bits, has_sparsity, dense)


def _column(points: Points, name: str, default: float) -> FloatArray:
    return numeric_column(points, name) if name in points.features else np.full(len(points), default)


def _dense_law(points: Points) -> Law | None:
    """Return the law of the dense models; None where they cannot carry one."""
    if not len(points):
        return None
    try:
        return fit_log_sum_exp(points, CHINCHILLA, objective=Objective(), intervals=IntervalOptions(draws=0))
    except (LawRefusedError, ValueError):
        return None


def _controls(points: Points, is_dense: NDArray[np.bool_], dense: Law | None) -> FloatArray:
    """Return what each compressed model is compared with: its control, the dense model of its N and D, or their law."""
    if "control_loss" in points.features:
        return numeric_column(points, "control_loss")[~is_dense]
    out = _mean_losses(select(points, is_dense), select(points, ~is_dense))
    missing = np.isnan(out)
    if missing.any() and dense is None:
        text = (
            f"{int(missing.sum())} of {len(out)} compressed models have no dense model of the same N and D to be "
            "compared with; add those (P of 16 or more, S = 0), or a column control_loss."
        )
        raise LawRefusedError(Finding(FindingCode.TOO_FEW_POINTS, text))
    if dense is not None:
        N, D = points.N[~is_dense], points.D[~is_dense]
        predicted = dense["E"] + dense["A"] / N ** dense["alpha"] + dense["B"] / D ** dense["beta"]
        out = np.where(missing, predicted, out)
    return out


def _mean_losses(dense: Points, compressed: Points) -> FloatArray:
    """Return the dense models' mean loss at the place of each compressed one; NaN where there is none."""
    sums: dict[tuple[float, float], FloatArray] = {}
    weights = np.ones(len(dense)) if dense.weights is None else dense.weights
    for n, d, loss, weight in zip(dense.N, dense.D, dense.loss, weights, strict=True):
        sums[(n, d)] = sums.get((n, d), np.zeros(2)) + np.array([weight * loss, weight])
    nowhere = np.full(2, np.nan)
    found = np.array([sums.get(key, nowhere) for key in zip(compressed.N, compressed.D, strict=True)])
    return np.asarray(found[:, 0] / found[:, 1], dtype=np.float64)


def _forms(table: _Table) -> dict[str, ExpressionForm]:
    """Return the formulas that the table can carry."""
    forms = {"additive": _form(table, "additive", with_hybrids=False)}
    if table.dense is not None and table.dense["A"] > 0 and table.dense["alpha"] > 0:
        forms["multiplier"] = _form(table, "multiplier", with_hybrids=False)
    return forms


def _form(table: _Table, kind: str, *, with_hybrids: bool) -> ExpressionForm:
    is_additive = kind == "additive"
    parts: list[str] = []
    declared: list[Coefficient] = []
    if table.has_bits:
        are_all = bool((numeric_column(table.points, "P") < DENSE_BITS).all())
        parts.append(f"{'' if are_all else IS_QUANTIZED}k_q*exp(-P/gamma)")
        declared += OF_BITS
    if table.has_sparsity:
        parts.append("k_s*(1/(1 - S)^b - 1)" if is_additive else "k_s*(-log(1 - S))^b")
        declared += OF_SPARSITY
    lost = f"({' + '.join(parts)})"
    if with_hybrids:
        lost += "*(1 + interaction*is_hybrid)"
        declared.append(OF_HYBRIDS)
    has_tokens, has_sizes = (np.ptp(np.log(x)) > 0.01 for x in (table.points.D, table.points.N))
    if is_additive:
        lost += f"*(D/{_centre(table.points.D)})^g" if has_tokens else ""
        lost += f"*(N/{_centre(table.points.N)})^-h" if has_sizes else ""
        declared += [*([OF_TOKENS] if has_tokens else []), *([OF_SIZE] if has_sizes else [])]
        return ExpressionForm("Compression", f"penalty = {lost}", declared=tuple(declared))
    if np.ptp(np.log(table.points.D / table.points.N)) > 0.01:
        lost += f"*(D/N/{_centre(table.points.D / table.points.N)})^g"
        declared.append(OF_TOKENS)
    assert table.dense is not None
    fixed = {"A": table.dense["A"], "alpha": table.dense["alpha"]}
    formula = f"penalty = A/N^alpha*(exp(alpha*{lost}) - 1)"
    return ExpressionForm("Compression", formula, declared=tuple(declared), fixed=fixed)


def _centre(x: FloatArray) -> str:
    """Return the geometric mean as a formula writes it, so that the amplitude is the penalty amid the points."""
    return f"{np.exp(np.log(x).mean()):.4g}".replace("e+0", "e").replace("e+", "e")


def _errors(
    table: _Table, forms: Mapping[str, ExpressionForm], request: CompoundRequest
) -> tuple[dict[str, float], str]:
    """Return each formula's mean error at the largest D, fitted without it; in cross-validation where D is too few."""
    points, by = table.points, comparable(request.objective)
    D = points.D
    held = D.max() / LARGEST_TOKENS < D
    if len(np.unique(D[~held])) >= FEWEST_LEVELS - 1 and (~held).sum() > len(held) / 3:
        weights = np.ones(len(points)) if points.weights is None else np.asarray(points.weights, dtype=np.float64)
        seen = replace(points, weights=np.where(held, 0.0, weights))
        errors = {}
        for name, form in forms.items():
            optimum = find_expression_optimum(form, seen, objective=by)
            residuals = optimum.model.problem.forward(optimum.p[None], optimum.weights).residuals[0]
            missed = np.average(np.abs(residuals[held]), weights=weights[held])
            errors[name] = float(missed) * optimum.model.problem.scale
        return errors, "the largest D, fitted without it"
    folds = folds_of(points, points.N, points.D, np.asarray(points.features["P"]), np.asarray(points.features["S"]))
    found = {name: find_expression_optimum(form, points, objective=by) for name, form in forms.items()}
    return {name: cross_validate(optimum, folds).mean for name, optimum in found.items()}, "held-out points"


def _hybrids(table: _Table, form: ExpressionForm, request: CompoundRequest) -> Iterator[Finding]:
    """Say whether hybrids lose what their parts lose together."""
    is_hybrid = np.asarray(table.points.features["is_hybrid"], dtype=np.float64)
    if not (table.has_bits and table.has_sparsity) or not 0 < is_hybrid.sum() < len(is_hybrid):
        return
    kind = "multiplier" if form.fixed and "alpha" in form.fixed else "additive"
    wider = replace(_form(table, kind, with_hybrids=True), fixed=form.fixed)
    optimum = find_expression_optimum(wider, table.points, objective=comparable(request.objective))
    row = optimum.model.names.index("interaction")
    value = float(optimum.model.to_interval_scale(optimum.p)[row])
    error = float(interval_scale_errors(optimum.model, optimum.p, optimum.weights)[row])
    what = "multiply" if kind == "multiplier" else "add"
    numbers = f"interaction {value:+.2g}, standard error {error:.2g}"
    if abs(value) > SURE * error:
        more = "more" if value > 0 else "less"
        text = (
            f"What pruning and quantization cost does not {what}: hybrids lose {more} than their parts together "
            f"({numbers}). Do not predict a hybrid from its parts; fit it as a pipeline of its own."
        )
        yield Finding(FindingCode.MULTIPLIER_NOT_CONSTANT, text)
    else:
        noun = "multipliers multiply" if kind == "multiplier" else "penalties add"
        yield Finding(FindingCode.CHOSEN, f"The {noun} in hybrids, within the errors ({numbers}).")
