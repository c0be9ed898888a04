"""Intervals from bootstrap draws, and from the jackknife over clusters."""

import numpy as np

from scaling_laws.fit.bca import bca_limits
from scaling_laws.fit.curve import FittedCurve
from scaling_laws.fit.documents import document_changes
from scaling_laws.fit.interval_values import Intervals, cluster_members, quantiles_of, spread_of
from scaling_laws.fit.one_step import one_step_draws, random_blocks
from scaling_laws.fit.optimise import minimise
from scaling_laws.fit.options import IntervalOptions
from scaling_laws.fit.quantiles import t_quantile
from scaling_laws.fit.resample import cluster_pairs_weights, pairs_weights
from scaling_laws.fit.wild import blocks_of, cv3_errors, draw_wild, jackknife
from scaling_laws.law import IntervalMethod
from scaling_laws.points import FloatArray, Points

REFIT_STEPS = 100
"""Of a bootstrap's refits, which take nine on average; those of a flat valley would go on for hundreds."""
LARGEST_RATIO = 10.0
"""Of the estimate's error to a draw's; refits of degenerate sweeps may pass through whole clusters exactly."""


def pairs_intervals(optimum: FittedCurve, points: Points, options: IntervalOptions) -> Intervals:
    """Return percentile limits over resamples of the points."""
    weights = pairs_weights(len(points), options.draws, seed=options.seed)
    changes = document_changes(points, options.draws, seed=options.seed)
    return percentile_intervals(optimum, weights, level=options.level, changes=changes)


def cluster_pairs_intervals(optimum: FittedCurve, points: Points, options: IntervalOptions) -> Intervals:
    """Return percentile limits over resamples of whole trajectories."""
    weights = cluster_pairs_weights(cluster_members(points), options.draws, seed=options.seed)
    changes = document_changes(points, options.draws, seed=options.seed)
    method = IntervalMethod.CLUSTER_PAIRS
    return percentile_intervals(optimum, weights, level=options.level, method=method, changes=changes)


def one_step_intervals(
    optimum: FittedCurve, points: Points, method: IntervalMethod, options: IntervalOptions
) -> Intervals:
    """Return percentile limits of draws that are one Newton step from the optimum, for large tables."""
    is_clustered = method == IntervalMethod.CLUSTER_PAIRS
    blocks = cluster_members(points) if is_clustered else random_blocks(len(points), seed=options.seed)
    draws = optimum.model.natural(one_step_draws(optimum, blocks, draws=options.draws, seed=options.seed))
    return Intervals(method, spread_of(draws), *quantiles_of(draws, options.level, method="linear"), draws)


def percentile_intervals(
    optimum: FittedCurve,
    multiplicity: FloatArray,
    *,
    level: float = 0.95,
    method: IntervalMethod = IntervalMethod.PAIRS,
    changes: FloatArray | None = None,
) -> Intervals:
    """Return percentile limits over refits with each point counted as often as it was drawn.

    Args:
        optimum: the fit on all points.
        multiplicity: how often each point was drawn, (draws, n).
        level: of the limits.
        method: the name under which the limits go.
        changes: logs (draws, n) by which other held-out documents would change the losses.
    """
    weights = multiplicity * optimum.weights
    usable = weights.any(axis=1)
    model = optimum.model
    refits = minimise(
        model.problem,
        optimum.warm_start,
        weights=weights[usable],
        observed=None if changes is None else model.moved(changes)[usable],
        newton=True,
        steps=REFIT_STEPS,
    )
    draws = model.natural(refits.parameters)
    return Intervals(method, spread_of(draws), *quantiles_of(draws, level, method="linear"), draws)


def bca_intervals(optimum: FittedCurve, points: Points, options: IntervalOptions) -> Intervals:
    """Return bias-corrected limits of a pairs bootstrap, over trajectories where they are known."""
    has_clusters = points.clusters is not None and len(np.unique(points.clusters)) > 1
    blocks = cluster_members(points) if has_clusters else np.arange(len(points))
    weights = cluster_pairs_weights(blocks, options.draws, seed=options.seed)
    changes = document_changes(points, options.draws, seed=options.seed)
    plain = percentile_intervals(optimum, weights, level=options.level, changes=changes)
    assert plain.draws is not None
    model = optimum.model
    left_out = model.natural(jackknife(optimum, blocks_of(blocks)))
    lower, upper = bca_limits(plain.draws, model.natural(optimum.p), left_out, level=options.level)
    return Intervals(IntervalMethod.BCA, plain.standard_errors, lower, upper, plain.draws)


def jackknife_intervals(optimum: FittedCurve, left_out: FloatArray, *, level: float) -> Intervals:
    """Return CV3 limits: jackknife errors over clusters and Student's t with G - 1 degrees of freedom."""
    model = optimum.model
    estimate = model.to_interval_scale(optimum.p)
    reach = t_quantile(len(left_out) - 1, 0.5 + level / 2) * cv3_errors(model.to_interval_scale(left_out))
    return Intervals(
        IntervalMethod.CV3,
        cv3_errors(model.natural(left_out)),
        model.limit_to_natural(estimate - reach),
        model.limit_to_natural(estimate + reach),
    )


def wild_intervals(optimum: FittedCurve, points: Points, options: IntervalOptions) -> Intervals:
    """Return limits from studentised wild-cluster draws, with CV3 beside them.

    Each refit's distance from the estimate is divided by the refit's own standard errors and multiplied by the
    estimate's: by the median of the coefficients' ratios, one number a draw, and by sqrt(G / (G - 1)) for G clusters. A
    ratio for each coefficient would tear apart draws in which coefficients trade against each other, and predictions
    far out would cover 85 % instead of 95. Limits are percentiles of these draws, so that coefficients and whatever is
    computed from the draws agree.
    """
    model, members = optimum.model, cluster_members(points)
    left_out = jackknife(optimum, blocks_of(members))
    changes = document_changes(points, options.draws, seed=options.seed)
    wild = draw_wild(optimum, members, left_out, options, changes=changes)
    estimate = model.to_interval_scale(optimum.p)
    ratio = np.where(wild.errors > 0, wild.own_errors / np.where(wild.errors > 0, wild.errors, 1.0), 1.0)
    clusters = int(members.max()) + 1
    factor = np.minimum(np.median(ratio, axis=1, keepdims=True), LARGEST_RATIO) * np.sqrt(clusters / (clusters - 1))
    studentised = estimate + (wild.refits - estimate) * factor
    draws = model.natural(model.from_interval_scale(studentised))
    lower, upper = quantiles_of(draws, options.level, method="weibull")
    check = jackknife_intervals(optimum, left_out, level=options.level)
    return Intervals(
        IntervalMethod.WILD_CLUSTER_T,
        spread_of(model.natural(model.from_interval_scale(wild.refits))),
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
