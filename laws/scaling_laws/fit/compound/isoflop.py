"""Approach 2: the minimum of a parabola in log N at each budget, and power laws through the minima."""

from collections.abc import Iterator
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
SLOPE_FROM = 0.01
"""Spread of log C within a budget from which its slope is fitted."""
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
    findings = _left_out(log_N, budgets, int(law.goodness["minima"]))
    law = replace(law, findings=(*law.findings, *findings))
    return without_intervals_finding(law, request.intervals.draws)


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
        if len(np.unique(log_N[rows].round(6))) >= FEWEST_SIZES:
            found += _minimum(log_N[rows], log_C[rows], loss[rows], weights[rows])
    C, N, least = (np.array(column) for column in zip(*found, strict=True)) if found else (np.zeros(0),) * 3
    return Minima(np.exp(C), np.exp(N), np.exp(C - N) / 6, least)


def _minimum(
    log_N: FloatArray, log_C: FloatArray, loss: FloatArray, weights: FloatArray
) -> list[tuple[float, float, float]]:
    """Return log C, log N and loss at the minimum of one budget's parabola; nothing where that lies outside.

    Where points of the budget differ in compute, the loss also has a slope in log C: more compute would else pass for
    a better size.
    """
    root, centre = np.sqrt(weights), float(log_N.mean())
    compute = float(np.average(log_C, weights=weights))
    x = log_N - centre
    columns = [np.ones(len(x)), x, x**2]
    if np.ptp(log_C) > SLOPE_FROM and len(x) > len(columns) + 1:
        columns.append(log_C - compute)
    c, b, a = np.linalg.lstsq(np.column_stack(columns) * root[:, None], loss * root)[0][:3]
    at = float(-b / (2 * a)) if a > 0 else np.inf
    is_inside = x.min() - REACH <= at <= x.max() + REACH
    return [(compute, centre + at, float(c - a * at**2))] if is_inside else []


def _left_out(log_N: FloatArray, budgets: NDArray[np.int64], used: int) -> Iterator[Finding]:
    """Yield which budgets have no minimum, and which points belong to no budget."""
    sizes = [len(np.unique(log_N[budgets == budget].round(6))) for budget in range(int(budgets.max()) + 1)]
    whole = [budget for budget, count in enumerate(sizes) if count >= FEWEST_SIZES]
    alone = int(np.sum(~np.isin(budgets, whole)))
    if len(whole) > used:
        message = (
            f"{len(whole) - used} of {len(whole)} budgets have no minimum inside their sizes and are left out; train "
            "sizes on both sides of the optimum there."
        )
        yield Finding(FindingCode.WEAKLY_IDENTIFIED, message)
    if alone:
        message = (
            f"{alone} of {len(budgets)} points are left out: fewer than {FEWEST_SIZES} sizes were trained with their "
            "amounts of compute. Train several sizes at each budget, or fit Chinchilla, which uses all points."
        )
        yield Finding(FindingCode.WEAKLY_IDENTIFIED, message)
