"""Wild-cluster bootstrap-t, and the jackknife over clusters (CV3) that checks it.

MacKinnon, Nielsen and Webb 2023 (doi:10.1002/jae.2969) for the jackknife and for studentised wild draws with few
clusters. The design is kept: every draw has the same N and D, only the residuals of whole trajectories change sign and
size by Webb's weights.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling_laws.fit.curve import FittedCurve
from scaling_laws.fit.linear_algebra import solve_positive
from scaling_laws.fit.optimise import minimise
from scaling_laws.fit.options import IntervalOptions
from scaling_laws.fit.resample import webb_factors
from scaling_laws.points import FloatArray

CHUNK_ELEMENTS = 200_000
"""Points times draws whose scores are held at a time."""
MOST_BLOCKS = 200
"""More clusters than these are left out several at a time by the jackknife."""


@dataclass(frozen=True)
class WildDraws:
    """Refits to wild losses, on the interval scale."""

    refits: FloatArray
    """(draws, P)"""
    errors: FloatArray
    """(draws, P): each refit's own standard errors, up to a common factor."""
    own_errors: FloatArray
    """(P,): the estimate's standard errors, up to the same factor."""


def blocks_of(members: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return each point's block, 0 to G-1: its cluster, or every 200th cluster together where there are more."""
    return members % MOST_BLOCKS


def jackknife(optimum: FittedCurve, blocks: NDArray[np.int64]) -> FloatArray:
    """Return the parameters (G, P) of the fits that leave out one block each."""
    keep = np.arange(blocks.max() + 1)[:, None] != blocks
    weights = keep * optimum.weights
    return minimise(optimum.model.problem, optimum.warm_start, weights=weights, newton=True).parameters


def cv3_errors(values: FloatArray) -> FloatArray:
    """Return jackknife standard errors of values (G, any), one row for each block left out."""
    clusters = len(values)
    spread = values - values.mean(axis=0)
    variance: FloatArray = (clusters - 1) / clusters * np.einsum("gp,gp->p", spread, spread)
    return np.sqrt(variance)


def draw_wild(
    optimum: FittedCurve,
    members: NDArray[np.int64],
    left_out: FloatArray,
    options: IntervalOptions,
    *,
    changes: FloatArray | None = None,
) -> WildDraws:
    """Refit to losses whose residuals have been turned over, whole clusters at a time.

    The residuals are those of each point from the fit without its own block. A fit with Huber's small delta runs
    exactly through as many points as it has coefficients; their own residuals are zero in every draw and would pin the
    refits down (covering 75-82 % instead of 95 % with 8 clusters of 4 points).

    Args:
        optimum: the fit on all points.
        members: each point's cluster.
        left_out: parameters (G, P) of the jackknife's fits.
        options: number of draws and seed.
        changes: logs (draws, n) by which other held-out documents would change the losses.
    """
    model, problem, blocks = optimum.model, optimum.model.problem, blocks_of(members)
    fitted = problem.forward(optimum.p[None], optimum.weights).predicted[0]
    outside = problem.forward(left_out, optimum.weights).predicted[blocks, np.arange(len(blocks))]
    factors = webb_factors(members, options.draws, seed=options.seed)
    losses = fitted + factors * (problem.observed - outside)
    if changes is not None:
        losses = losses + (model.moved(changes) - problem.observed)
    refits = minimise(problem, optimum.warm_start, weights=optimum.weights, observed=losses, newton=True).parameters
    return WildDraws(
        model.to_interval_scale(refits),
        linearised_errors(optimum, refits, blocks, losses),
        linearised_errors(optimum, optimum.p[None], blocks, problem.observed[None])[0],
    )


def linearised_errors(
    optimum: FittedCurve, p: FloatArray, blocks: NDArray[np.int64], observed: FloatArray
) -> FloatArray:
    """Return (batch, P) standard errors on the interval scale, up to a factor common to all rows.

    The jackknife with each refit replaced by one Gauss-Newton step. The curvature of rho enters as a constant: at
    Huber's delta few points lie on the parabola, and their number would be noise in the denominator of every t. A
    constant cancels between the estimate's error and the draws'.
    """
    size = max(1, CHUNK_ELEMENTS // (len(blocks) + 25 * int(blocks.max() + 1)))
    starts = range(0, len(p), size)
    return np.concatenate([_linearised(optimum, p[i : i + size], blocks, observed[i : i + size]) for i in starts])


def _linearised(optimum: FittedCurve, p: FloatArray, blocks: NDArray[np.int64], observed: FloatArray) -> FloatArray:
    model, problem = optimum.model, optimum.model.problem
    at = problem.forward(p, optimum.weights, observed)
    jacobian = model.interval_jacobian(at)
    order = np.argsort(blocks, kind="stable")
    first = np.searchsorted(blocks[order], np.arange(blocks.max() + 1))
    scored = jacobian * (optimum.weights * problem.rho.slope(at.residuals))[:, None, :]
    scores = np.add.reduceat(scored[:, :, order], first, axis=2).transpose(2, 0, 1)
    rooted = (jacobian * np.sqrt(optimum.weights))[:, :, order]
    parts = np.stack([x @ x.transpose(0, 2, 1) for x in np.split(rooted, first[1:], axis=2)])
    shifts = model.interval_shifts(_left_out_shifts(parts, scores))
    spread = shifts - shifts.mean(axis=0)
    variance: FloatArray = (len(parts) - 1) / len(parts) * np.einsum("gbp,gbp->bp", spread, spread)
    return np.sqrt(variance)


def _left_out_shifts(parts: FloatArray, scores: FloatArray) -> FloatArray:
    """Return (G, batch, P): how far the parameters move when a block leaves, by one Gauss-Newton step.

    Where the rest alone does not determine the parameters, the step is taken on all the points' curvature.
    """
    total = parts.sum(axis=0)
    clusters, batch, size = scores.shape
    flat = scores.reshape(-1, size)
    shifts, good = solve_positive((total - parts).reshape(-1, size, size), flat)
    whole, _ = solve_positive(np.broadcast_to(total, parts.shape).reshape(-1, size, size), flat)
    return np.where(good[:, None], shifts, whole).reshape(clusters, batch, size)
