"""Standard errors and confidence limits of a linear law."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling_laws.fit.intervals import too_few_for_bootstrap_t
from scaling_laws.fit.least_squares import LeastSquares
from scaling_laws.fit.options import FEWEST_FOR_BOOTSTRAP_T, IntervalOptions
from scaling_laws.fit.quantiles import t_quantile, t_tails
from scaling_laws.fit.resample import cluster_pairs_weights, pairs_weights, webb_factors
from scaling_laws.fit.wild import blocks_of
from scaling_laws.law import IntervalMethod
from scaling_laws.points import FloatArray, Points

RESAMPLED = {IntervalMethod.WILD_CLUSTER_T, IntervalMethod.PAIRS, IntervalMethod.CLUSTER_PAIRS}
LARGE = 20_000_000
"""Points times draws whose factors (8 bytes each) are held at a time."""
BY_CLUSTER = {IntervalMethod.WILD_CLUSTER_T, IntervalMethod.CV3, IntervalMethod.CLUSTER_PAIRS}


@dataclass(frozen=True)
class LinearIntervals:
    """Of all coefficients."""

    method: IntervalMethod
    standard_errors: FloatArray
    lower: FloatArray
    upper: FloatArray
    draws: FloatArray | None
    details: dict[str, FloatArray]


def linear_intervals(squares: LeastSquares, points: Points, options: IntervalOptions) -> LinearIntervals:
    """Return limits by the chosen method: wild-cluster-t of four trajectories or more, else least squares' own.

    Raises:
        ValueError: the method needs trajectories that the points do not name.
    """
    members = None
    if points.clusters is not None and len(np.unique(points.clusters)) >= 2:
        members = np.unique(np.asarray(points.clusters), return_inverse=True)[1].astype(np.int64)
    method = _choose(members, options, is_large=len(points) * options.draws > LARGE)
    errors = _errors(squares, members)
    basis, freedom = _basis(method, errors, squares, members)
    details = {name: error for name, error in errors.items() if name != "least_squares"}
    details |= {"least_squares": errors["least_squares"], **_tests(squares, basis, freedom)}
    lower, upper, draws = _limits(squares, members, options, method=method, basis=basis, freedom=freedom)
    return LinearIntervals(method, basis, lower, upper, draws, details)


def _choose(members: NDArray[np.int64] | None, options: IntervalOptions, *, is_large: bool) -> IntervalMethod:
    method = options.method
    if is_large and method in RESAMPLED:
        raise ValueError(
            f"{method} intervals of {options.draws:,} draws need more than {LARGE:,} points times draws; ask for fewer "
            "draws, or for CV3 or HC3 intervals, which need none."
        )
    if method in BY_CLUSTER and members is None:
        raise ValueError(f"{method} intervals need points of at least two trajectories.")
    clusters = 0 if members is None else int(members.max()) + 1
    if method == IntervalMethod.WILD_CLUSTER_T and clusters < FEWEST_FOR_BOOTSTRAP_T:
        raise ValueError(too_few_for_bootstrap_t(clusters))
    if options.draws == 0 and method not in {IntervalMethod.HC3, IntervalMethod.CV3}:
        return IntervalMethod.LEAST_SQUARES
    if method is not None and method != IntervalMethod.NONE:
        return method
    if members is None:
        return IntervalMethod.LEAST_SQUARES
    if is_large:
        return IntervalMethod.CV3
    return IntervalMethod.WILD_CLUSTER_T if clusters >= FEWEST_FOR_BOOTSTRAP_T else IntervalMethod.LEAST_SQUARES


def _errors(squares: LeastSquares, members: NDArray[np.int64] | None) -> dict[str, FloatArray]:
    out = {"least_squares": _roots(squares.covariance), "hc3": _roots(squares.hc3)}
    if members is not None:
        out["cr3"] = _roots(squares.cr3(blocks_of(members)))
    return out


def _roots(covariance: FloatArray) -> FloatArray:
    """Return standard errors; rounding may leave a variance of zero below it."""
    return np.asarray(np.sqrt(np.maximum(np.diag(covariance), 0.0)), dtype=np.float64)


def _basis(
    method: IntervalMethod, errors: dict[str, FloatArray], squares: LeastSquares, members: NDArray[np.int64] | None
) -> tuple[FloatArray, int]:
    """Return the standard errors that t and p stand on, and their degrees of freedom."""
    if method in BY_CLUSTER and members is not None:
        return errors["cr3"], int(blocks_of(members).max())
    if method == IntervalMethod.HC3:
        return errors["hc3"], squares.freedom
    return errors["least_squares"], squares.freedom


def _tests(squares: LeastSquares, basis: FloatArray, freedom: int) -> dict[str, FloatArray]:
    b = squares.coefficients
    t = b / np.maximum(basis, np.maximum(np.finfo(float).eps * np.abs(b), np.finfo(float).tiny))  # of exact fits
    return {"t": t, "p": t_tails(freedom, t)}


def _limits(
    squares: LeastSquares,
    members: NDArray[np.int64] | None,
    options: IntervalOptions,
    *,
    method: IntervalMethod,
    basis: FloatArray,
    freedom: int,
) -> tuple[FloatArray, FloatArray, FloatArray | None]:
    b = squares.coefficients
    if method == IntervalMethod.WILD_CLUSTER_T and members is not None:
        draws = _wild_draws(squares, members, basis, options)
        reach = np.quantile(np.abs(draws - b), options.level, axis=0)
        return b - reach, b + reach, draws
    if method in {IntervalMethod.PAIRS, IntervalMethod.CLUSTER_PAIRS}:
        draws = _pairs_draws(squares, members if method == IntervalMethod.CLUSTER_PAIRS else None, options)
        lower, upper = np.quantile(draws, [0.5 - options.level / 2, 0.5 + options.level / 2], axis=0)
        return lower, upper, draws
    reach = t_quantile(freedom, 0.5 + options.level / 2) * basis
    return b - reach, b + reach, None


def _wild_draws(
    squares: LeastSquares, members: NDArray[np.int64], basis: FloatArray, options: IntervalOptions
) -> FloatArray:
    """Return studentised draws (draws, k): every refit's distance over its own CR3 error, times the estimate's."""
    factors = webb_factors(members, options.draws, seed=options.seed)
    hat = squares.inverse @ squares.rooted.T
    shifts = (factors * squares.residuals * squares.root) @ hat.T
    left = factors * squares.residuals - _unweighted(squares, shifts)
    moves = []
    blocks = blocks_of(members)
    for block in range(int(blocks.max()) + 1):
        own = blocks == block
        part = squares.rooted[own]
        rest = np.linalg.pinv(squares.rooted.T @ squares.rooted - part.T @ part, hermitian=True, rcond=1e-12)
        moves.append((left[:, own] * squares.root[own]) @ part @ rest)
    stacked = np.stack(moves)
    stacked -= stacked.mean(axis=0)
    variance = (len(stacked) - 1) / len(stacked) * np.einsum("gbk,gbk->bk", stacked, stacked)
    error = np.sqrt(np.where(variance > 0, variance, np.inf))
    return squares.coefficients + shifts / error * basis


def _unweighted(squares: LeastSquares, shifts: FloatArray) -> FloatArray:
    root = np.where(squares.root > 0, squares.root, 1.0)
    return shifts @ (squares.rooted / root[:, None]).T


def _pairs_draws(squares: LeastSquares, members: NDArray[np.int64] | None, options: IntervalOptions) -> FloatArray:
    n = len(squares.residuals)
    if members is None:
        weights = pairs_weights(n, options.draws, seed=options.seed)
    else:
        weights = cluster_pairs_weights(members, options.draws, seed=options.seed)
    scale = np.linalg.norm(squares.rooted, axis=0)
    x, r = squares.rooted / scale, squares.root * squares.residuals
    gram = np.einsum("bn,ni,nj->bij", weights, x, x, optimize=True)
    right = (weights * r) @ x
    shifts: FloatArray = np.matmul(np.linalg.pinv(gram, hermitian=True), right[:, :, None])[:, :, 0] / scale
    return squares.coefficients + shifts
