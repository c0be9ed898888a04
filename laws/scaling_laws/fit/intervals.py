"""Standard errors and confidence limits of a fitted form: which method, and what they look like."""

from collections.abc import Callable, Mapping

import numpy as np

from scaling_laws.fit import bootstrap_intervals as bootstrap
from scaling_laws.fit.curvature_intervals import curvature_intervals
from scaling_laws.fit.curve import FittedCurve
from scaling_laws.fit.interval_values import Intervals, cluster_members
from scaling_laws.fit.options import FEWEST_FOR_BOOTSTRAP_T, IntervalOptions
from scaling_laws.fit.wild import blocks_of, jackknife
from scaling_laws.law import IntervalMethod
from scaling_laws.points import Points

LARGE = 10_000_000
"""Points times draws beyond which refits (minutes) give way to one Newton step on sums over blocks of points."""
BY_CLUSTER = {IntervalMethod.WILD_CLUSTER_T, IntervalMethod.CV3, IntervalMethod.CLUSTER_PAIRS}
OF_LIKELIHOOD = {IntervalMethod.HESSIAN, IntervalMethod.SANDWICH, IntervalMethod.PROFILE}
WITHOUT_DRAWS = {IntervalMethod.CV3, *OF_LIKELIHOOD}

Make = Callable[[FittedCurve, Points, IntervalOptions], Intervals]


def choose_method(points: Points, options: IntervalOptions) -> IntervalMethod:
    """Return the method asked for, or the one that suits the points.

    Raises:
        ValueError: the method needs trajectories that the points do not name, or suits only linear laws.
    """
    clusters = _clusters(points)
    method = options.method
    if method in {IntervalMethod.HC3, IntervalMethod.LEAST_SQUARES}:
        raise ValueError(f"{method} intervals are for Linear; choose WildClusterBootstrapT, CV3 or PairsBootstrap.")
    if method in BY_CLUSTER and clusters < 2:
        raise ValueError(f"{method} intervals need points of at least two trajectories, and there are {clusters}.")
    if method == IntervalMethod.WILD_CLUSTER_T and clusters < FEWEST_FOR_BOOTSTRAP_T:
        raise ValueError(too_few_for_bootstrap_t(clusters))
    if options.draws == 0 and method not in WITHOUT_DRAWS:
        return IntervalMethod.NONE
    if method is not None:
        return method
    return IntervalMethod.WILD_CLUSTER_T if clusters >= FEWEST_FOR_BOOTSTRAP_T else IntervalMethod.PAIRS


def too_few_for_bootstrap_t(clusters: int) -> str:
    """Return why so few trajectories get no wild-cluster bootstrap-t."""
    return (
        f"{IntervalMethod.WILD_CLUSTER_T} intervals need points of at least {FEWEST_FOR_BOOTSTRAP_T} trajectories, and "
        f"there are {clusters}; choose CV3, which needs two."
    )


def make_intervals(optimum: FittedCurve, points: Points, options: IntervalOptions) -> Intervals:
    """Return standard errors and limits by the chosen method."""
    method = choose_method(points, options)
    is_large = len(points) * options.draws > LARGE
    if is_large and method == IntervalMethod.WILD_CLUSTER_T and options.method is None:
        method = IntervalMethod.CLUSTER_PAIRS
    if method in OF_LIKELIHOOD:
        return curvature_intervals(optimum, points, method, level=options.level)
    if is_large and method in {IntervalMethod.PAIRS, IntervalMethod.CLUSTER_PAIRS}:
        return bootstrap.one_step_intervals(optimum, points, method, options)
    return _METHODS[method](optimum, points, options)


def _clusters(points: Points) -> int:
    return 0 if points.clusters is None else len(np.unique(points.clusters))


def _cv3(optimum: FittedCurve, points: Points, options: IntervalOptions) -> Intervals:
    left_out = jackknife(optimum, blocks_of(cluster_members(points)))
    return bootstrap.jackknife_intervals(optimum, left_out, level=options.level)


_METHODS: Mapping[IntervalMethod, Make] = {
    IntervalMethod.NONE: lambda optimum, points, options: Intervals(IntervalMethod.NONE),
    IntervalMethod.PAIRS: bootstrap.pairs_intervals,
    IntervalMethod.CLUSTER_PAIRS: bootstrap.cluster_pairs_intervals,
    IntervalMethod.BCA: bootstrap.bca_intervals,
    IntervalMethod.CV3: _cv3,
    IntervalMethod.WILD_CLUSTER_T: bootstrap.wild_intervals,
}
