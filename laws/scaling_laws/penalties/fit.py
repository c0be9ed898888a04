"""One candidate laid on paired penalties: least squares of nats, standard errors clustered by trajectory.

Penalties are fitted as they are, never as logarithms: noise makes some of the small ones negative.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, least_squares

from scaling_laws.answers.surface import Surface
from scaling_laws.penalties.formulas import CANDIDATES, Candidate, Centre, Sizes, centre_of
from scaling_laws.points import FloatArray
from scaling_laws.records import PipelinePoint

WORST_CONDITION = 1e7
"""Of the Jacobian with columns of length one; beyond it the coefficients have no errors worth telling."""
ON_BOUND = 1e-6
"""A coefficient that is nearer to the edge of what is allowed is on it."""
Residuals = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True)
class PenaltyFit:
    """One candidate formula for a pipeline's penalty."""

    form: str
    """Such as ConstantMultiplier, MultiplierOfDN, Additive."""
    formula: str
    coefficients: tuple[tuple[str, float, float | None], ...]
    """Name, value, standard error; the formula's centre (r0, D0, N0) stands among them, without an error."""
    backtest_error: float | None
    """Mean |predicted - observed| loss, nats, at the largest D held out; None when it could not be tested."""
    in_sample_error: float
    covariance: FloatArray | None = field(default=None, compare=False, repr=False)
    """Of the fitted coefficients, clustered by trajectory; None where one trajectory is all there is."""
    on_bound: tuple[str, ...] = ()
    """Coefficients at the edge of what is allowed."""

    def __getitem__(self, name: str) -> float:
        """The value of a coefficient."""
        return next(value for key, value, _ in self.coefficients if key == name)


@dataclass(frozen=True)
class Pairs:
    """Paired penalties of one pipeline."""

    sizes: Sizes
    penalty: FloatArray
    clusters: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.penalty)

    def select(self, rows: NDArray[np.bool_]) -> "Pairs":
        """Return the chosen pairs."""
        at = self.sizes
        return Pairs(
            Sizes(at.N[rows], at.D[rows], at.compressible[rows]), self.penalty[rows], self.clusters[rows]
        )  # fmt: skip


def pairs_of(points: tuple[PipelinePoint, ...]) -> Pairs:
    """Return the penalties of one pipeline as arrays."""
    sizes = Sizes(
        N=np.array([p.N for p in points]),
        D=np.array([p.D for p in points]),
        compressible=np.array([p.N if p.compressible is None else p.compressible for p in points]),
    )
    return Pairs(sizes, np.array([p.penalty for p in points]), np.array([p.cluster for p in points], dtype=np.int64))


def can_fit(candidate: Candidate, pairs: Pairs, dense: Surface | None) -> bool:
    """Whether there are more pairs than coefficients, two levels of each axis, and a dense law where one is needed."""
    if candidate.needs_surface and dense is None:
        return False
    at = pairs.sizes
    axes = {"N": at.N, "D": at.D, "ratio": at.D / at.N}
    spread = all(np.ptp(np.log(axes[name])) > 0.01 for name in candidate.varies_with)
    return len(pairs) > len(candidate.names) and spread


def fit_candidate(
    candidate: Candidate, pairs: Pairs, dense: Surface | None, *, backtest_error: float | None = None
) -> PenaltyFit:
    """Return the candidate's least-squares fit on the pairs, with the error of its back-test attached."""
    centre = centre_of(pairs.sizes)
    theta, jacobian = _solve(candidate, pairs, dense, centre)
    residuals = _predicted(candidate, theta, pairs.sizes, centre, dense) - pairs.penalty
    covariance = clustered_covariance(jacobian, residuals, pairs.clusters)
    errors = [None] * len(theta) if covariance is None else [float(np.sqrt(v)) for v in np.diag(covariance)]
    fitted = zip(candidate.names, map(float, theta), errors, strict=True)
    at_centre = {"N0": centre.N, "D0": centre.D, "r0": centre.ratio}
    return PenaltyFit(
        form=candidate.form,
        formula=candidate.formula,
        coefficients=(*fitted, *((name, at_centre[name], None) for name in candidate.centre_names)),
        backtest_error=backtest_error,
        in_sample_error=float(np.mean(np.abs(residuals))),
        covariance=covariance,
        on_bound=_on_bound(candidate, theta),
    )


def penalty_at(fit: PenaltyFit, sizes: Sizes, dense: Surface | None) -> FloatArray:
    """Return the penalty in nats that a fitted formula expects, shape (n,), or (draws, n) for a surface of draws."""
    theta = np.array([fit[name] for name in _candidate(fit).names])
    return _predicted(_candidate(fit), theta, sizes, _centre(fit), dense)


def penalty_draws(fit: PenaltyFit, sizes: Sizes, dense: Surface, *, normal: FloatArray) -> FloatArray:
    """Return penalties (draws, n) under the dense law's draws and normal draws of the formula's coefficients.

    Args:
        fit: without a covariance its coefficients stay as they are.
        sizes: fields of shape (n,) or (draws, n).
        dense: the dense law's draws.
        normal: standard normal numbers, shape (draws, 3 or more).
    """
    candidate = _candidate(fit)
    theta = np.broadcast_to([fit[name] for name in candidate.names], (len(normal), len(candidate.names)))
    if fit.covariance is not None and len(candidate.names):
        values, vectors = np.linalg.eigh(fit.covariance)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        theta = np.clip(theta + normal[:, : len(values)] @ root.T, candidate.lower, candidate.upper)
    return _predicted(candidate, theta, sizes, _centre(fit), dense)


def clustered_covariance(jacobian: FloatArray, residuals: FloatArray, clusters: NDArray[np.int64]) -> FloatArray | None:
    """Return the jackknife covariance (p, p) over clusters, linearised at the optimum (CV3).

    Source: MacKinnon, Nielsen and Webb 2023, Journal of Applied Econometrics 38, 671-694. None with fewer than two
    clusters, or where leaving one out makes a coefficient undetermined.
    """
    groups = np.unique(clusters)
    scale = np.linalg.norm(jacobian, axis=0)
    if len(groups) < 2 or not np.isfinite(scale).all() or (scale == 0).any():
        return None
    columns = jacobian / scale
    if scale.size and np.linalg.cond(columns) > WORST_CONDITION:
        return None
    inverse = np.linalg.inv(columns.T @ columns)
    total = np.zeros((len(scale), len(scale)))
    for group in groups:
        rows = columns[clusters == group]
        left = np.eye(len(rows)) - rows @ inverse @ rows.T
        if np.linalg.eigvalsh(left)[0] < 1e-10:
            return None
        change = inverse @ rows.T @ np.linalg.solve(left, residuals[clusters == group])
        total += np.outer(change, change)
    return (len(groups) - 1) / len(groups) * total / np.outer(scale, scale)


def _solve(candidate: Candidate, pairs: Pairs, dense: Surface | None, centre: Centre) -> tuple[FloatArray, FloatArray]:
    """Return coefficients (p,) and Jacobian (n, p) of the best of the candidate's starts."""
    if not candidate.names:
        return np.zeros(0), np.zeros((len(pairs), 0))

    def residuals(theta: FloatArray) -> FloatArray:
        return _predicted(candidate, theta, pairs.sizes, centre, dense) - pairs.penalty

    bounds = (candidate.lower, candidate.upper)
    ends = [
        least_squares(residuals, start, bounds=bounds, x_scale="jac", xtol=1e-12, ftol=1e-12, gtol=1e-12)
        for start in candidate.starts
    ]
    best = min(ends, key=lambda end: float(end.cost))
    return _at_rest(residuals, best, candidate)


def _at_rest(residuals: Residuals, found: OptimizeResult, candidate: Candidate) -> tuple[FloatArray, FloatArray]:
    """Return where Gauss-Newton steps from what was found come to rest, and the Jacobian (n, p) there.

    A search that compares sums of squares ends where these are equal to the last bit, with half of the coefficients'
    digits: the others would depend on the machine's BLAS. What is on a bound stays there.
    """
    theta = np.asarray(found.x)
    inside = np.minimum(theta - candidate.lower, candidate.upper - theta) > ON_BOUND
    jacobian, last = _jacobian(residuals, found, theta, inside), np.inf
    for _ in range(20):
        scale = np.where(inside, np.linalg.norm(jacobian, axis=0), 0.0)
        columns = np.divide(jacobian, scale, out=np.zeros_like(jacobian), where=scale > 0)
        step = np.linalg.lstsq(columns, -residuals(theta), rcond=1.0 / WORST_CONDITION)[0]
        length = float(np.linalg.norm(step))
        moved = theta + np.divide(step, scale, out=np.zeros_like(theta), where=scale > 0)
        if not length < 0.5 * last or (moved < candidate.lower).any() or (moved > candidate.upper).any():
            break
        theta, last = moved, length
        jacobian = _jacobian(residuals, found, theta, inside)
    return theta, jacobian


def _jacobian(residuals: Residuals, found: OptimizeResult, theta: FloatArray, inside: NDArray[np.bool_]) -> FloatArray:
    """Return the derivatives (n, p) by central differences; as they were found where a bound is near."""
    steps = np.cbrt(np.finfo(float).eps) * np.maximum(np.abs(theta), 1e-3)
    jacobian = np.array(found.jac)
    for index in np.flatnonzero(inside):
        step = np.where(np.arange(len(theta)) == index, steps, 0.0)
        jacobian[:, index] = (residuals(theta + step) - residuals(theta - step)) / (2 * steps[index])
    return jacobian


def _predicted(candidate: Candidate, theta: FloatArray, at: Sizes, centre: Centre, dense: Surface | None) -> FloatArray:
    with np.errstate(over="ignore", under="ignore"):
        return np.nan_to_num(candidate.penalty(theta, at, centre, dense), nan=0.0, posinf=1e6, neginf=-1e6)


def _on_bound(candidate: Candidate, theta: FloatArray) -> tuple[str, ...]:
    bounds = zip(candidate.names, theta, candidate.lower, candidate.upper, strict=True)
    return tuple(name for name, value, low, high in bounds if min(value - low, high - value) < ON_BOUND)


def _candidate(fit: PenaltyFit) -> Candidate:
    return next(candidate for candidate in CANDIDATES if candidate.form == fit.form)


def _centre(fit: PenaltyFit) -> Centre:
    known = {name: value for name, value, _ in fit.coefficients}
    return Centre(N=known.get("N0", 1.0), D=known.get("D0", known.get("r0", 1.0)))
