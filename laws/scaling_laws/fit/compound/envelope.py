"""Approach 1: the training curve with the least loss at each amount of compute, and power laws through those."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scaling_laws.fit.compound.frontier import Minima, fit_frontier, without_intervals_finding
from scaling_laws.fit.compound.request import CompoundRequest
from scaling_laws.law import Finding, FindingCode, Law, LawRefusedError
from scaling_laws.points import FloatArray, Points, flops_column

NODES = 1500
"""Amounts of compute, spaced evenly in the logarithm, as in Hoffmann et al. 2022."""
FEWEST_CHECKPOINTS = 2
FEWEST_SIZES = 3
BIAS = (
    "Approach 1 is biased where losses have noise: the least of noisy losses is the luckiest, which moves a and b by "
    "more than their intervals say (noise of .3 % on 40 sizes: 95 % intervals covered 38 %). Prefer approach 3: fit "
    "Chinchilla to the same points."
)
ENOUGH_SIZES = 6
"""Sizes on the envelope below which its steps show in the exponents."""


@dataclass(frozen=True)
class _Curve:
    """One run: its loss as it went on, in the order of its compute."""

    compute: FloatArray
    """log C of its checkpoints."""
    tokens: FloatArray
    """log D of its checkpoints."""
    loss: FloatArray
    size: float
    """log N."""


def fit_envelope(points: Points, request: CompoundRequest) -> Law:
    """Return the power laws of N* and D* along the lower envelope of the training curves.

    Curves are the points of one trajectory, or, where trajectories are not known, of one size.

    Raises:
        LawRefusedError: there are too few curves, or the envelope has too few sizes.
    """
    runs = np.unique(points.N if points.clusters is None else points.clusters, return_inverse=True)[1].ravel()
    curves = _curves(points, runs)
    sizes = {round(curve.size, 6) for curve in curves if curve is not None}
    if len(sizes) < FEWEST_SIZES:
        message = (
            f"ChinchillaEnvelope needs training curves (several points of one run) of at least {FEWEST_SIZES} sizes, "
            f"and there are {len(sizes)}; add checkpoints on the way, or name the column of the run: --columns "
            "cluster=..."
        )
        raise LawRefusedError(Finding(FindingCode.TOO_FEW_LEVELS, message))
    nodes = _nodes(curves)
    table = _losses(curves, nodes)
    law = fit_frontier(
        points, request, lambda weights: _minima(curves, nodes, table, runs, weights), units=runs, unit="curves"
    )
    used = len(np.unique(_minima(curves, nodes, table, runs, np.ones(len(points))).N))
    law = replace(law, findings=(*law.findings, *_doubts(points, used)))
    return without_intervals_finding(law, request.intervals.draws)


def _curves(points: Points, runs: NDArray[np.int64]) -> list[_Curve | None]:
    """Return the curve of each run; None for a run of one point or of several sizes."""
    log_C = np.log(flops_column(points))
    out: list[_Curve | None] = []
    for run in range(int(runs.max()) + 1):
        rows = np.flatnonzero(runs == run)
        rows = rows[np.argsort(log_C[rows], kind="stable")]
        is_curve = len(np.unique(log_C[rows])) >= FEWEST_CHECKPOINTS and np.ptp(np.log(points.N[rows])) < 1e-6
        curve = _Curve(log_C[rows], np.log(points.D[rows]), points.loss[rows], float(np.log(points.N[rows[0]])))
        out.append(curve if is_curve else None)
    return out


def _nodes(curves: list[_Curve | None]) -> FloatArray:
    ends = [(c.compute[0], c.compute[-1]) for c in curves if c is not None]
    return np.linspace(min(low for low, _ in ends), max(high for _, high in ends), NODES)


def _losses(curves: list[_Curve | None], nodes: FloatArray) -> FloatArray:
    """Return the loss of each curve at each node, infinite outside of the curve, (curves, nodes)."""
    out = np.full((len(curves), len(nodes)), np.inf)
    for i, curve in enumerate(curves):
        if curve is not None:
            out[i] = np.interp(nodes, curve.compute, curve.loss, left=np.inf, right=np.inf)
    return out


def _minima(
    curves: list[_Curve | None], nodes: FloatArray, table: FloatArray, runs: NDArray[np.int64], weights: FloatArray
) -> Minima:
    """Return the best size at each node where several sizes compete, of the runs that were drawn.

    At an end of the sweep the smallest or the largest size is best for want of others, which would bend the line.
    """
    drawn = np.bincount(runs, weights, minlength=len(table)) > 0
    known = [i for i, curve in enumerate(curves) if curve is not None and drawn[i]]
    if not known:
        return Minima(*(np.zeros(0),) * 4)
    losses, sizes = table[known], np.array([c.size for i in known if (c := curves[i]) is not None])
    best = np.argmin(losses, axis=0)
    least, log_N = losses[best, np.arange(len(nodes))], sizes[best]
    inside = np.isfinite(least) & (log_N > sizes.min()) & (log_N < sizes.max())
    C, N = np.exp(nodes[inside]), np.exp(log_N[inside])
    tokens = np.array([_tokens(curves, known[i], node) for i, node in zip(best[inside], nodes[inside], strict=True)])
    return Minima(C, N, np.exp(tokens), least[inside])


def _tokens(curves: list[_Curve | None], run: int, node: float) -> float:
    curve = curves[run]
    assert curve is not None
    return float(np.interp(node, curve.compute, curve.tokens))


def _doubts(points: Points, used: int) -> Iterator[Finding]:
    yield Finding(FindingCode.BIASED, BIAS)
    if points.clusters is None:
        message = (
            "No trajectories are named, so that the points of one size are taken for checkpoints of one training run. "
            "If each is a run of its own, with its own learning-rate decay, nothing was trained between them: name "
            "the column of the run (--columns cluster=...), or fit Chinchilla."
        )
        yield Finding(FindingCode.TRAJECTORIES_ASSUMED, message)
    if used < ENOUGH_SIZES:
        message = (
            f"Only {used} size(s) inside the range are ever the best, and the envelope goes from one to the next in "
            "steps; train more sizes, closer to each other."
        )
        yield Finding(FindingCode.WEAKLY_IDENTIFIED, message)
