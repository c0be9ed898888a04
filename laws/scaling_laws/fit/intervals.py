"""Standard errors and confidence limits of a fitted form."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from scaling_laws.fit.curve import FittedCurve
from scaling_laws.fit.one_step import one_step_draws, random_blocks
from scaling_laws.fit.optimise import minimise
from scaling_laws.fit.options import IntervalOptions
from scaling_laws.fit.resample import cluster_pairs_weights, pairs_weights
from scaling_laws.fit.wild import blocks_of, cv3_errors, draw_wild, jackknife
from scaling_laws.law import IntervalMethod
from scaling_laws.points import FloatArray, Points

REFIT_STEPS = 100
"""Of a bootstrap's refits, which take nine on average; those of a flat valley would go on for hundreds."""
LARGEST_RATIO = 10.0
"""Of the estimate's error to a draw's; refits of degenerate sweeps may pass through whole clusters exactly."""
LARGE = 10_000_000
"""Points times draws beyond which refits (minutes) give way to one Newton step on sums over blocks of points."""
BY_CLUSTER = {IntervalMethod.WILD_CLUSTER_T, IntervalMethod.CV3, IntervalMethod.CLUSTER_PAIRS}


@dataclass(frozen=True)
class Intervals:
    """Of all coefficients, in natural units and the form's order; NaN where there is none."""

    method: IntervalMethod
    standard_errors: FloatArray | None = None
    lower: FloatArray | None = None
    upper: FloatArray | None = None
    draws: FloatArray | None = None
    details: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def choose_method(points: Points, options: IntervalOptions) -> IntervalMethod:
    """Return the method asked for, or the one that suits the points.

    Raises:
        ValueError: the method needs trajectories that the points do not name, or suits only linear laws.
    """
    clusters = 0 if points.clusters is None else len(np.unique(points.clusters))
    method = options.method
    if method in {IntervalMethod.HC3, IntervalMethod.LEAST_SQUARES}:
        raise ValueError(f"{method} intervals are for Linear; choose WildClusterBootstrapT, CV3 or PairsBootstrap.")
    if method in BY_CLUSTER and clusters < 2:
        raise ValueError(f"{method} intervals need points of at least two trajectories, and there are {clusters}.")
    if options.draws == 0 and method != IntervalMethod.CV3:
        return IntervalMethod.NONE
    if method is not None:
        return method
    return IntervalMethod.WILD_CLUSTER_T if clusters >= 2 else IntervalMethod.PAIRS


def make_intervals(optimum: FittedCurve, points: Points, options: IntervalOptions) -> Intervals:
    """Return standard errors and limits by the chosen method."""
    method = choose_method(points, options)
    if method == IntervalMethod.NONE:
        return Intervals(method)
    if method == IntervalMethod.PAIRS:
        return _pairs_intervals(optimum, points, options)
    members = cluster_members(points)
    is_large = len(points) * options.draws > LARGE
    if method == IntervalMethod.CLUSTER_PAIRS or (is_large and options.method is None):
        return _cluster_pairs_intervals(optimum, members, options, is_large=is_large)
    if method == IntervalMethod.CV3:
        return jackknife_intervals(optimum, jackknife(optimum, blocks_of(members)), level=options.level)
    return wild_intervals(optimum, members, options)


def _pairs_intervals(optimum: FittedCurve, points: Points, options: IntervalOptions) -> Intervals:
    if len(points) * options.draws > LARGE:
        blocks = random_blocks(len(points), seed=options.seed)
        draws = one_step_draws(optimum, blocks, draws=options.draws, seed=options.seed)
        return _percentiles(IntervalMethod.PAIRS, optimum.model.natural(draws), options.level)
    weights = pairs_weights(len(points), options.draws, seed=options.seed)
    return percentile_intervals(optimum, weights, level=options.level)


def _cluster_pairs_intervals(
    optimum: FittedCurve, members: NDArray[np.int64], options: IntervalOptions, *, is_large: bool
) -> Intervals:
    method = IntervalMethod.CLUSTER_PAIRS
    if is_large:
        draws = one_step_draws(optimum, members, draws=options.draws, seed=options.seed)
        return _percentiles(method, optimum.model.natural(draws), options.level)
    weights = cluster_pairs_weights(members, options.draws, seed=options.seed)
    return percentile_intervals(optimum, weights, level=options.level, method=method)


def cluster_members(points: Points) -> NDArray[np.int64]:
    """Return each point's cluster as 0 to G-1."""
    return np.unique(np.asarray(points.clusters), return_inverse=True)[1].astype(np.int64)


def percentile_intervals(
    optimum: FittedCurve,
    multiplicity: FloatArray,
    *,
    level: float = 0.95,
    method: IntervalMethod = IntervalMethod.PAIRS,
) -> Intervals:
    """Return percentile limits over refits with each point counted as often as it was drawn.

    Args:
        optimum: the fit on all points.
        multiplicity: how often each point was drawn, (draws, n).
        level: of the limits.
        method: the name under which the limits go.
    """
    weights = multiplicity * optimum.weights
    usable = weights.any(axis=1)
    refits = minimise(
        optimum.model.problem, optimum.warm_start, weights=weights[usable], newton=True, steps=REFIT_STEPS
    )
    draws = optimum.model.natural(refits.parameters)
    return _percentiles(method, draws, level)


def _percentiles(method: IntervalMethod, draws: FloatArray, level: float) -> Intervals:
    lower, upper = _quantiles(draws, level, method="linear")
    return Intervals(method, _spread(draws), lower, upper, draws)


def _quantiles(
    draws: FloatArray, level: float, *, method: Literal["linear", "weibull"]
) -> tuple[FloatArray, FloatArray]:
    tail = 0.5 - level / 2
    with np.errstate(invalid="ignore"):  # between two amplitudes that overflowed
        lower, upper = np.quantile(draws, [tail, 1 - tail], axis=0, method=method)
    return lower, upper


def jackknife_intervals(optimum: FittedCurve, left_out: FloatArray, *, level: float) -> Intervals:
    """Return CV3 limits: jackknife errors over clusters and Student's t with G - 1 degrees of freedom."""
    from scipy.special import stdtrit  # scipy is slow to import, and only quantiles need it

    model = optimum.model
    estimate = model.to_interval_scale(optimum.p)
    reach = float(stdtrit(len(left_out) - 1, 0.5 + level / 2)) * cv3_errors(model.to_interval_scale(left_out))
    return Intervals(
        IntervalMethod.CV3,
        cv3_errors(model.natural(left_out)),
        model.limit_to_natural(estimate - reach),
        model.limit_to_natural(estimate + reach),
    )


def wild_intervals(optimum: FittedCurve, members: NDArray[np.int64], options: IntervalOptions) -> Intervals:
    """Return limits from studentised wild-cluster draws, with CV3 beside them.

    Each refit's distance from the estimate is divided by the refit's own standard errors and multiplied by the
    estimate's: by the median of the coefficients' ratios, one number a draw, and by sqrt(G / (G - 1)) for G clusters. A
    ratio for each coefficient would tear apart draws in which coefficients trade against each other, and predictions
    far out would cover 85 % instead of 95. Limits are percentiles of these draws, so that coefficients and whatever is
    computed from the draws agree.
    """
    model = optimum.model
    left_out = jackknife(optimum, blocks_of(members))
    wild = draw_wild(optimum, members, left_out, options)
    estimate = model.to_interval_scale(optimum.p)
    ratio = np.where(wild.errors > 0, wild.own_errors / np.where(wild.errors > 0, wild.errors, 1.0), 1.0)
    clusters = int(members.max()) + 1
    factor = np.minimum(np.median(ratio, axis=1, keepdims=True), LARGEST_RATIO) * np.sqrt(clusters / (clusters - 1))
    studentised = estimate + (wild.refits - estimate) * factor
    draws = model.natural(model.from_interval_scale(studentised))
    lower, upper = _quantiles(draws, options.level, method="weibull")
    check = jackknife_intervals(optimum, left_out, level=options.level)
    return Intervals(
        IntervalMethod.WILD_CLUSTER_T,
        _spread(model.natural(model.from_interval_scale(wild.refits))),
        lower,
        upper,
        draws,
        _named(model.form.coefficients, check),
    )


def _named(names: tuple[str, ...], check: Intervals) -> dict[str, dict[str, float]]:
    columns = {"cv3": check.standard_errors, "cv3_lower": check.lower, "cv3_upper": check.upper}
    return {
        key: {name: float(x) for name, x in zip(names, column, strict=True) if np.isfinite(x)}
        for key, column in columns.items()
        if column is not None
    }


def _spread(draws: FloatArray) -> FloatArray:
    with np.errstate(over="ignore", invalid="ignore"):
        return draws.std(axis=0, ddof=1) if len(draws) > 1 else np.full(draws.shape[1], np.nan)
