"""Cross-validation of a fitted form: every point predicted by a fit without its own fold.

Folds are whole trajectories where they are known, and else whole groups of points that stand at the same place, so that
a replicate never tells a fit what the point it is judged on will be.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling_laws.fit.curve import FittedCurve
from scaling_laws.fit.optimise import minimise
from scaling_laws.fit.options import Objective
from scaling_laws.points import FloatArray, Points

FOLDS = 10
ROUNDING = 1e-24
"""Cost of points without noise."""
MARGIN = 0.1
"""Share by which a mean cost must exceed another's, beside its standard error, to count as worse."""
REFIT_STEPS = 100


@dataclass(frozen=True)
class Prediction:
    """What each point costs a fit that has not seen it."""

    cost: FloatArray
    """The objective's term of each point, without its weight, (n,)."""
    folds: NDArray[np.int64]
    """(n,)"""
    residuals: FloatArray
    """(n,)"""
    weights: FloatArray
    """How often each point counts, (n,)."""

    @property
    def mean(self) -> float:
        """Mean cost of a point."""
        return float(np.average(self.cost, weights=self.weights))

    def is_worse_than(self, other: "Prediction", *, margin: float = MARGIN) -> bool:
        """Whether the mean cost exceeds another's, on the same folds, by a share and its standard error over folds."""
        excess = self.weights * (self.cost - other.cost) / self.weights.sum()
        sums = np.bincount(self.folds, excess)
        spread = np.sqrt(len(sums) / max(len(sums) - 1, 1) * np.sum((sums - sums.mean()) ** 2))
        return bool(excess.sum() > max(spread, margin * other.mean, ROUNDING))


def comparable(objective: Objective) -> Objective:
    """Return the objective by which forms are compared on held-out points: a density of its own scale is no measure."""
    if not objective.is_density:
        return objective
    return Objective("log-huber" if objective.is_log else "huber")


def folds_of(points: Points, *columns: FloatArray) -> NDArray[np.int64]:
    """Return the fold of each point, 0 to at most 9.

    Args:
        points: with or without trajectories.
        columns: where points stand, for those without trajectories; N and D unless given.
    """
    if points.clusters is not None and len(np.unique(points.clusters)) > 1:
        groups = np.unique(points.clusters, return_inverse=True)[1].ravel()
    else:
        place = np.column_stack(columns or (points.N, points.D))
        groups = np.unique(place, axis=0, return_inverse=True)[1].ravel()
    return np.asarray(groups % FOLDS, dtype=np.int64)


def cross_validate(optimum: FittedCurve, folds: NDArray[np.int64]) -> Prediction:
    """Return how refits without each fold, begun at the optimum, predict the points of that fold."""
    folds = np.unique(folds, return_inverse=True)[1].ravel()
    keep = np.arange(int(folds.max()) + 1)[:, None] != folds
    problem = optimum.model.problem
    with np.errstate(all="ignore"):  # a fit without a fold may not be finite there, which costs it the comparison
        refits = minimise(
            problem, optimum.warm_start, weights=keep * optimum.weights, newton=True, steps=REFIT_STEPS
        ).parameters
        residuals = problem.forward(refits, optimum.weights).residuals[folds, np.arange(len(folds))]
        cost = problem.rho.cost(residuals)
    cost = np.where(np.isfinite(cost), cost, np.inf)
    return Prediction(np.where(optimum.weights > 0, cost, 0.0), folds, residuals, optimum.weights)
