"""Approach 2: the minimum of a parabola in log N at each budget, and power laws through the minima."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from scaling_laws.fit.compound.frontier import Minima, fit_frontier, without_intervals_finding
from scaling_laws.fit.compound.request import CompoundRequest
from scaling_laws.fit.features import refuse_wrapped
from scaling_laws.law import Finding, FindingCode, Law, LawRefusedError
from scaling_laws.points import FloatArray, Points, flops_column

SAME_BUDGET = 0.1
"""Logs of C within which neighbours belong to one budget; budgets lie further apart."""
FEWEST_SIZES = 3
FEWEST_PER_BUDGET = 4
"""Mean points a budget below which the table is no set of budgets."""
REACH = 0.25
"""Logs of N by which a minimum may lie beyond the sizes of its budget."""


def fit_isoflop(points: Points, request: CompoundRequest) -> Law:
    """Return the power laws of N* and D* through the minima of the budgets' parabolas.

    Raises:
        LawRefusedError: too few budgets have a minimum inside their sizes.
    """
    C = flops_column(points)
    refuse_wrapped(C, points)
    budgets = budgets_of(C)
    count = int(budgets.max()) + 1
    if len(points) < FEWEST_SIZES * count and len(points) / count < FEWEST_PER_BUDGET:
        message = (
            f"ChinchillaIsoFLOP needs several sizes at each of several budgets, and the {len(points)} points have "
            f"{count} amounts of compute, {len(points) / count:.2g} points each; fit Chinchilla instead, or name the "
            "column of the budget: --columns C=..."
        )
        raise LawRefusedError(Finding(FindingCode.TOO_FEW_LEVELS, message))
    log_N, log_C = np.log(points.N), np.log(C)
    law = fit_frontier(
        points,
        request,
        lambda weights: _minima(log_N, log_C, points.loss, budgets, weights),
        units=None if points.clusters is None else np.unique(points.clusters, return_inverse=True)[1].ravel(),
        unit="budgets",
    )
    outside = count - int(law.goodness["minima"])
    return without_intervals_finding(_with_left_out(law, outside, count), request.intervals.draws)


def budgets_of(C: FloatArray) -> NDArray[np.int64]:
    """Return the budget of each point, 0 upwards: neighbours in log C with no gap between them are one."""
    order = np.argsort(C, kind="stable")
    gaps = np.diff(np.log(C[order])) > SAME_BUDGET
    out = np.empty(len(C), dtype=np.int64)
    out[order] = np.concatenate([[0], np.cumsum(gaps)])
    return out


def _minima(
    log_N: FloatArray, log_C: FloatArray, loss: FloatArray, budgets: NDArray[np.int64], weights: FloatArray
) -> Minima:
    """Return the minima of the parabolas; budgets without one inside their sizes are left out."""
    found = []
    for budget in range(int(budgets.max()) + 1):
        rows = (budgets == budget) & (weights > 0)
        if len(np.unique(log_N[rows].round(6))) < FEWEST_SIZES:
            continue
        x, root = log_N[rows], np.sqrt(weights[rows])
        centre = x.mean()
        design = np.column_stack([np.ones(len(x)), x - centre, (x - centre) ** 2])
        c, b, a = np.linalg.lstsq(design * root[:, None], loss[rows] * root)[0]
        at = -b / (2 * a) if a > 0 else np.inf
        if x.min() - REACH <= centre + at <= x.max() + REACH:
            compute = float(np.average(log_C[rows], weights=weights[rows]))
            found.append((compute, centre + at, c - a * at**2))
    C, N, least = (np.array(column) for column in zip(*found, strict=True)) if found else (np.zeros(0),) * 3
    return Minima(np.exp(C), np.exp(N), np.exp(C - N) / 6, least)


def _with_left_out(law: Law, outside: int, count: int) -> Law:
    if not outside:
        return law
    message = (
        f"{outside} of {count} budgets have no minimum inside their sizes and are left out; train sizes on both sides "
        "of the optimum there."
    )
    return replace(law, findings=(*law.findings, Finding(FindingCode.WEAKLY_IDENTIFIED, message)))
