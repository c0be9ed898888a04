"""Which formula a pipeline's penalty follows: decided by a back-test at larger D, never by the fit itself."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling_laws.answers.surface import Surface
from scaling_laws.fit.quantiles import t_quantile
from scaling_laws.law import Finding, FindingCode
from scaling_laws.penalties.fit import (
    Pairs,
    PenaltyFit,
    can_fit,
    clustered_covariance,
    fit_candidate,
    pairs_of,
    penalty_at,
)
from scaling_laws.penalties.formulas import CANDIDATES, Candidate
from scaling_laws.points import FloatArray
from scaling_laws.records import PipelinePoint

TOP_TOKENS = np.sqrt(2.0)
"""Points within this factor of the largest D are held out; further ones too while they are too few."""
FEWEST_HELD_OUT = 2
SHARE_HELD_OUT = 0.1
FEWEST_CLUSTERS = 5
"""Trajectories below which standard errors are called unreliable."""
LEVEL = 0.95


@dataclass(frozen=True)
class PipelineLaw:
    """How much a pipeline costs in loss, over N and D."""

    pipeline: str
    candidates: tuple[PenaltyFit, ...]
    chosen: PenaltyFit | None
    """The candidate with the smallest back-test error."""
    mean_penalty: float
    mean_penalty_standard_error: float | None
    findings: tuple[Finding, ...]

    @property
    def used(self) -> PenaltyFit:
        """The formula to predict with: the chosen one, else the mean penalty."""
        return self.chosen or next(fit for fit in self.candidates if fit.form == "ConstantOffset")


@dataclass(frozen=True)
class _Test:
    """A candidate's back-test."""

    error: float
    """Mean |predicted - observed|, nats."""
    misses: FloatArray
    """|predicted - observed|, one a held-out pair."""


def fit_pipelines(points: Iterable[PipelinePoint], *, dense: Surface | None) -> tuple[PipelineLaw, ...]:
    """Return the penalty law of each pipeline among the points, in the order of their names.

    Args:
        points: of one treatment.
        dense: the dense law; without it, formulas built on it are left out.
    """
    points = tuple(points)
    names = sorted({point.pipeline for point in points})
    return tuple(fit_pipeline(name, [p for p in points if p.pipeline == name], dense=dense) for name in names)


def fit_pipeline(pipeline: str, points: Sequence[PipelinePoint], *, dense: Surface | None) -> PipelineLaw:
    """Return every candidate formula fitted on the pairs of one pipeline, and the one that predicts best.

    Args:
        pipeline: its name.
        points: its pairs, at least one.
        dense: the dense law.
    """
    pairs = pairs_of(tuple(points))
    held = _largest_tokens(pairs)
    tests = {} if held is None else _backtests(pairs, held, dense)
    fits = tuple(
        fit_candidate(c, pairs, dense, backtest_error=tests[c.form].error if c.form in tests else None)
        for c in CANDIDATES
        if can_fit(c, pairs, dense) or (c.form == "ConstantOffset" and len(pairs) == 1)
    )
    tested = [fit for fit in fits if fit.backtest_error is not None]
    chosen = min(tested, key=lambda fit: fit.backtest_error or 0.0, default=None)
    return PipelineLaw(
        pipeline=pipeline,
        candidates=fits,
        chosen=chosen,
        mean_penalty=float(pairs.penalty.mean()),
        mean_penalty_standard_error=_standard_error(pairs.penalty, pairs.clusters),
        findings=tuple(_findings(pipeline, pairs, fits, chosen, tests)),
    )


def _largest_tokens(pairs: Pairs) -> NDArray[np.bool_] | None:
    """Return which pairs to hold out: those of the largest D; None unless two levels of D stay behind."""
    D = pairs.sizes.D
    cut = D.max() / TOP_TOKENS
    while (held := cut < D).sum() < max(FEWEST_HELD_OUT, SHARE_HELD_OUT * len(D)) and not held.all():
        cut /= TOP_TOKENS
    kept = D[~held]
    return held if len(kept) and kept.max() > 1.01 * kept.min() else None


def _backtests(pairs: Pairs, held: NDArray[np.bool_], dense: Surface | None) -> dict[str, _Test]:
    seen, unseen = pairs.select(~held), pairs.select(held)
    return {c.form: _backtest(c, seen, unseen, dense) for c in CANDIDATES if can_fit(c, seen, dense)}


def _backtest(candidate: Candidate, seen: Pairs, unseen: Pairs, dense: Surface | None) -> _Test:
    fit = fit_candidate(candidate, seen, dense)
    misses = np.abs(penalty_at(fit, unseen.sizes, dense) - unseen.penalty)
    return _Test(float(misses.mean()), misses)


def _standard_error(values: FloatArray, clusters: NDArray[np.int64]) -> float | None:
    """Return the standard error of a mean, clustered by trajectory; None with one trajectory."""
    covariance = clustered_covariance(np.ones((len(values), 1)), values - values.mean(), clusters)
    return None if covariance is None else float(np.sqrt(covariance[0, 0]))


def _findings(
    pipeline: str,
    pairs: Pairs,
    fits: Sequence[PenaltyFit],
    chosen: PenaltyFit | None,
    tests: dict[str, _Test],
) -> Iterable[Finding]:
    clusters = len(np.unique(pairs.clusters))
    if chosen is None:
        yield Finding(FindingCode.TOO_FEW_LEVELS, _not_tested(pipeline, pairs))
    if clusters < FEWEST_CLUSTERS:
        text = f"The penalty of {pipeline} rests on {clusters} trajectories; standard errors need {FEWEST_CLUSTERS}"
        yield Finding(FindingCode.TOO_FEW_CLUSTERS, f"{text}. Add seeds or sizes.")
    if chosen is not None and chosen.on_bound:
        names = " and ".join(chosen.on_bound)
        text = f"{names} of the {chosen.form} penalty of {pipeline} lies on the edge of what is allowed"
        yield Finding(FindingCode.BOUND_HIT, f"{text}: do not extrapolate it. Widen the sweep in D/N.")
    equal = () if chosen is None else tuple(_equal_forms(pairs, chosen, tests))
    if chosen is not None and chosen.form == "MultiplierOfDN" and "ConstantMultiplier" not in equal:
        yield from _changing_multiplier(pipeline, fits, clusters)
    if chosen is not None and equal:
        yield Finding(FindingCode.WEAKLY_IDENTIFIED, _undecided(pipeline, chosen, equal, tests))


def _not_tested(pipeline: str, pairs: Pairs) -> str:
    levels = len(np.unique(pairs.sizes.D))
    return (
        f"How the penalty of {pipeline} changes with D cannot be tested: its {len(pairs)} pair(s) have {levels} "
        "level(s) of D, and holding out the largest must leave two. Its mean is used; sweep three token counts or more."
    )


def _changing_multiplier(pipeline: str, fits: Sequence[PenaltyFit], clusters: int) -> Iterable[Finding]:
    """Say so where e changes with D/N by more than its error, and predicts better for it."""
    by_form = {fit.form: fit for fit in fits}
    constant, varying = by_form.get("ConstantMultiplier"), by_form.get("MultiplierOfDN")
    if constant is None or varying is None or varying.covariance is None:
        return
    g, error = varying["g"], float(np.sqrt(varying.covariance[1, 1]))
    if abs(g) <= t_quantile(clusters - 1, 0.5 + LEVEL / 2) * error:
        return
    if constant.backtest_error is None or (varying.backtest_error or 0.0) >= constant.backtest_error:
        return
    text = (
        f"The effective-parameter multiplier of {pipeline} is not constant: -log e grows as (D/N)^{g:.3g} (standard "
        f"error {error:.2g}); a constant e misses the largest D by {constant.backtest_error:.3g} nats, this form by "
        f"{varying.backtest_error:.3g}. Read e together with D/N."
    )
    yield Finding(FindingCode.MULTIPLIER_NOT_CONSTANT, text)


def _equal_forms(pairs: Pairs, chosen: PenaltyFit, tests: dict[str, _Test]) -> Iterator[str]:
    """Yield the other formulas that predict the held-out penalties as well, within the errors."""
    held = _largest_tokens(pairs)
    assert held is not None
    clusters = pairs.clusters[held]
    t = t_quantile(max(len(np.unique(clusters)) - 1, 1), 0.5 + LEVEL / 2)
    for form, test in tests.items():
        worse = test.misses - tests[chosen.form].misses
        error = _standard_error(worse, clusters)
        if form != chosen.form and (error is None or worse.mean() <= t * error):
            yield form


def _undecided(pipeline: str, chosen: PenaltyFit, equal: Iterable[str], tests: dict[str, _Test]) -> str:
    rivals = ", ".join(f"{form} ({tests[form].error:.3g})" for form in equal)
    return (
        f"The back-test of {pipeline} prefers {chosen.form} (mean error {chosen.backtest_error:.3g} nats) but "
        f"cannot tell it from {rivals}: between formulas, trust the penalty inside the sweep only."
    )
