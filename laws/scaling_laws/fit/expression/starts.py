"""Where descents of a general form begin: low-discrepancy draws, with linear coefficients solved for.

Coefficients that do not enter linearly are drawn over decades around the size that their units suggest, or in the range
that the form declares; for each draw the others are a small least-squares problem (variable projection, Golub and
Pereyra 1973, doi:10.1137/0710036). The objective then ranks the draws. Nobody chooses starting values.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling_laws.expressions.evaluate import make_tape
from scaling_laws.fit.expression.model import ExpressionModel
from scaling_laws.fit.expression.scales import magnitude
from scaling_laws.fit.linear_algebra import solve_signed
from scaling_laws.points import FloatArray

DRAWS = 2048
DRAWS_ALONE = 256
"""For a single coefficient that is not linear."""
ROWS = 256
"""Draws that are evaluated at a time."""
POINTS = 200
"""Points that the draws are judged on; more are thinned evenly in the order of the response."""
DECADES = 3.5
"""Logs on either side of the size that units suggest."""
EXPONENTS = (0.03, 3.0)
"""Sizes of exponents that are drawn where none are declared."""
NEGATIVE = 0.25
"""Share of draws with a negative sign, of coefficients of which nothing is known."""
FAINT = 0.05
"""Share of the response that a positive term starts with when the projection would leave it out."""
RIDGE = 1e-12
MOST_SUBSETS = 6
"""Positive linear coefficients whose subsets are all tried; of more, those that come out negative are left faint."""


def starting_points(model: ExpressionModel, weights: FloatArray, count: int) -> FloatArray:
    """Return up to `count` starts (count, P): the best three quarters of the draws, the rest from the better half."""
    rows = thinned_rows(model, POINTS)
    thin, thin_weights = model.thinned(rows), weights[rows]
    projection = _Projection(thin, thin_weights)
    free = [j for j in range(thin.problem.size) if j not in thin.linear]
    if not free:
        solved = projection.solve(thin.parameters(np.exp(thin.scales))[None])
        return np.concatenate([solved, 0.5 * solved])
    drawn = _draws(thin, free)
    parts = [projection.solve(drawn[i : i + ROWS]) for i in range(0, len(drawn), ROWS)]
    p = np.concatenate(parts)
    cost = np.concatenate([thin.problem.forward(part, thin_weights).objective for part in parts])
    return p[_spread_out(cost, count)]


def projected(model: ExpressionModel, p: FloatArray, weights: FloatArray) -> FloatArray:
    """Return p (starts, P) with its linear coefficients solved for."""
    return _Projection(model, weights).solve(p)


def quasi_random(count: int, size: int) -> FloatArray:
    """Return (count, size) numbers in [0, 1) of low discrepancy: the additive recurrence of Roberts 2018.

    Its steps are the powers of the root of x^(size + 1) = x + 1, the golden ratio's generalisation.
    """
    root = 2.0
    for _ in range(60):
        root = (1 + root) ** (1 / (size + 1))
    steps = root ** -np.arange(1.0, size + 1)
    return np.asarray((0.5 + np.arange(count)[:, None] * steps) % 1.0, dtype=np.float64)


def thinned_rows(model: ExpressionModel, count: int) -> NDArray[np.int64]:
    """Return up to `count` rows, evenly in the order of the response."""
    order = np.argsort(model.response, kind="stable")
    return order if len(order) <= count else order[np.linspace(0, len(order) - 1, count).astype(np.int64)]


def _draws(model: ExpressionModel, free: list[int]) -> FloatArray:
    """Return parameters (draws, P), with the linear ones at the size that units suggest."""
    uniform = quasi_random(DRAWS if len(free) > 1 else DRAWS_ALONE, len(free))
    coefficients = np.tile(np.exp(model.scales), (len(uniform), 1))
    exponents = _exponents(model)
    for column, j in enumerate(free):
        coefficients[:, j] = _values(model, j, uniform[:, column], is_exponent=model.names[j] in exponents)
    for j in free:
        coefficients[:, j] *= _of_whole_term(model, j, coefficients)
    return model.parameters(coefficients)


def _of_whole_term(model: ExpressionModel, j: int, coefficients: FloatArray) -> FloatArray | float:
    """Return what a term's amplitude is when the term makes up the whole of a typical response; one for others."""
    own = model.declared[j]
    if own.term is None:
        return 1.0
    variable, exponent = own.term
    known = model.fixed.get(exponent)
    power = coefficients[:, model.names.index(exponent)] if known is None else known
    return np.exp(magnitude(model.response) + magnitude(model.problem.columns[variable]) * power)


def _values(model: ExpressionModel, j: int, u: FloatArray, *, is_exponent: bool) -> FloatArray:
    """Return coefficients (draws,) for numbers u in [0, 1)."""
    declared = model.declared[j]
    if declared.start is not None:
        low, high = declared.start
        between = low * (high / low) ** u if declared.is_positive else low + (high - low) * u
        return np.asarray(between, dtype=np.float64)
    low, high = np.log(EXPONENTS) if is_exponent else model.scales[j] + DECADES * np.array([-1.0, 1.0])
    may_be_negative = not declared.is_positive and declared.lower < 0
    share = NEGATIVE if may_be_negative else 0.0
    size = np.where(u < share, u / max(share, 1e-9), (u - share) / (1 - share))
    return np.asarray(np.where(u < share, -1.0, 1.0) * np.exp(low + (high - low) * size), dtype=np.float64)


def _exponents(model: ExpressionModel) -> frozenset[str]:
    """Return the names that occur in exponents of powers."""
    graph = model.problem.derivatives_of.graph
    nodes = (graph.nodes[i] for i in graph.below(model.problem.derivatives_of.root))
    return frozenset().union(*(graph.names_in[node.arguments[1]] for node in nodes if node.operation == "power"))


def _spread_out(cost: FloatArray, count: int) -> NDArray[np.int64]:
    order = np.argsort(cost, kind="stable")
    order = order[np.isfinite(cost[order])]
    best, others = np.split(order, [min(3 * count // 4, len(order))])
    others = others[: len(others) // 2]
    spread = np.linspace(0, len(others) - 1, min(count - len(best), len(others))).astype(np.int64)
    return np.concatenate([best, others[spread]])


@dataclass(frozen=True)
class _Projection:
    """Least squares on the linear coefficients, of relative residuals where the objective is of logs."""

    model: ExpressionModel
    weights: FloatArray

    def solve(self, p: FloatArray) -> FloatArray:
        """Return p (starts, P) with its linear coefficients solved for, where that is possible."""
        linear = list(self.model.linear)
        if not linear:
            return p
        problem = self.model.problem
        root = np.sqrt(self.weights) / (self.model.response if problem.rho.is_log else problem.scale)
        offset, basis = self._evaluate(p, linear)
        with np.errstate(all="ignore"):
            scaled = basis * root
            size = np.sqrt(np.einsum("bkn,bkn->bk", scaled, scaled))[:, :, None]
            scaled /= np.where(size > 0, size, 1.0)
            target = (self.model.response - offset) * root
            gram = np.matmul(scaled, scaled.transpose(0, 2, 1)) + RIDGE * np.eye(len(linear))
            right = np.matmul(scaled, target[:, :, None])[:, :, 0]
            solution, _ = solve_signed(
                gram, right, np.einsum("bn,bn->b", target, target), is_signed=self._signs(linear)
            )
            values = solution / np.where(size > 0, size, 1.0)[:, :, 0]
        return self._filled(p, linear, values, basis)

    def _signs(self, linear: list[int]) -> NDArray[np.bool_]:
        lower = np.array([self.model.declared[j].lower for j in linear])
        signed = ~self.model.problem.is_log[linear] & (lower < 0)
        return signed if np.count_nonzero(~signed) <= MOST_SUBSETS else np.ones(len(linear), dtype=bool)

    def _evaluate(self, p: FloatArray, linear: list[int]) -> tuple[FloatArray, FloatArray]:
        """Return the expression without its linear terms (starts, n), and what multiplies each (starts, linear, n)."""
        problem = self.model.problem
        own = problem.derivatives_of
        tape = make_tape(own.graph, [own.root, *(own.first[j] for j in linear)], problem.columns)
        coefficients = problem.coefficients(p)
        coefficients[:, linear] = 0.0
        outputs = tape.run({name: coefficients[:, j, None] for j, name in enumerate(problem.names)})
        shape = (len(p), len(problem.observed))
        offset, *basis = (np.broadcast_to(x, shape) for x in outputs)
        return offset, np.stack(basis, axis=1)

    def _filled(self, p: FloatArray, linear: list[int], values: FloatArray, basis: FloatArray) -> FloatArray:
        problem = self.model.problem
        with np.errstate(all="ignore"):
            faint = FAINT * np.abs(self.model.response).mean() / np.abs(basis).mean(axis=2)
        usable = np.isfinite(values) & np.isfinite(faint)
        values = np.where(problem.is_log[linear] & (values <= 0), faint, values)
        coefficients = problem.coefficients(p)
        coefficients[:, linear] = np.where(usable, values, coefficients[:, linear])
        out: FloatArray = self.model.parameters(coefficients)
        return out
