"""Back-tests: what a law fitted on part of the points says about the rest, beside two rules that anyone could use.

Held out are whole sizes (the largest) and the top of compute (C within a factor of 4 or 10 of the largest). Beside the
law stand a power law without a floor, L = k N^-a D^-b, and the last value: the loss of the nearest point that was kept.
A law earns an extrapolation by as much compute as a back-test has bridged, if it beat both.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from scaling_laws.answers.nearest import ROUNDING, last_value
from scaling_laws.answers.surface import has_surface, surface_draws, surface_of
from scaling_laws.answers.values import percentiles
from scaling_laws.fit.predict import predict, predict_draws
from scaling_laws.fit.quantiles import t_quantile
from scaling_laws.law import Finding, FindingCode, Law
from scaling_laws.points import FloatArray, Points, flops_column, select

COMPUTE_FACTORS = (4.0, 10.0)
SIZE_FACTOR = 2.0
"""Sizes within this factor of the largest are held out together."""
FEWEST_HELD_OUT = 2
FEWEST_COVERED = 0.5
"""A law whose prediction intervals hold fewer held-out points than this has failed, whatever its error."""
UNTESTABLE = (FindingCode.NOT_CONVERGED, FindingCode.WEAKLY_IDENTIFIED)
"""Of a fit of the kept points whose predictions of the others are an accident: neither a pass nor a failure."""
MOST_NUMBERS = 4_000_000
"""Draws times points that are held in memory at once."""


@dataclass(frozen=True)
class Backtest:
    """How well the law, fitted without some points, predicts them."""

    held_out: str
    """Such as C above 2.5e14, within x4 of the largest."""
    fitted_points: int
    held_out_points: int
    shared_trajectories: int
    """Trajectories with points on both sides; they know each other's noise, which flatters the law a little."""
    compute_factor: float
    """Largest held-out C over largest fitted C: how far the back-test reached."""
    law_error: float
    """Mean |predicted / observed - 1| of the law."""
    law_largest_error: float
    """Largest |predicted / observed - 1| of the law."""
    power_law_error: float
    """Mean relative error of k N^-a D^-b, fitted on the same points."""
    last_value_error: float
    """Mean relative error of the nearest fitted point's loss."""
    covered: float | None
    """Share of held-out points inside their prediction interval; None without bootstrap draws."""
    level: float
    """Of the prediction intervals."""

    @property
    def is_passed(self) -> bool:
        """Whether the law beat both rules, and its prediction intervals held enough of the points."""
        covers = self.covered is None or self.covered >= FEWEST_COVERED
        return covers and self.law_error <= min(self.power_law_error, self.last_value_error)

    def __str__(self) -> str:
        cover = "" if self.covered is None else f", {self.covered:.0%} inside the {self.level:.0%} interval"
        return (
            f"with {self.held_out} held out the law missed {self.held_out_points} points by {self.law_error:.2%} on "
            f"average{cover} (power law without E {self.power_law_error:.2%}, last value {self.last_value_error:.2%})"
        )


@dataclass(frozen=True)
class Reach:
    """How far from the points an answer may lie before it is an untested extrapolation."""

    largest_flops: float
    sizes: tuple[float, float]
    """Smallest and largest N."""
    tokens: tuple[float, float]
    """Smallest and largest D."""
    best: Backtest | None
    """The passed back-test that reached furthest."""
    worst: Backtest | None
    """The failed back-test with the largest error, where none was passed."""
    others: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Smallest and largest value of what else the points have, by name."""

    @property
    def factor(self) -> float:
        """Compute beyond the points, as a factor, that a back-test has bridged; 1 where none was passed."""
        return max(1.0, self.best.compute_factor) if self.best else 1.0

    def findings(
        self, training_flops: float | None, N: float | None, D: float | None, **others: float
    ) -> tuple[Finding, ...]:
        """Return ExtrapolationUntested where an answer lies further from the points than a back-test reached.

        What a law does not depend on is None; back-tests hold out by compute and size, so that no other quantity has a
        factor by which an answer may lie beyond the points.
        """
        beyond = [
            _beyond("C", training_flops, 0.0, self.largest_flops, self.factor),
            _beyond("N", N, *self.sizes, self.factor),
            _beyond("D", D, *self.tokens, self.factor),
            *(_beyond(name, x, *self.others[name], 1.0) for name, x in others.items() if name in self.others),
        ]
        places = [text for text in beyond if text]
        if not places:
            return ()
        text = f"{'; '.join(places)}; {self._checked()}. Train points closer to it before relying on it."
        return (Finding(FindingCode.EXTRAPOLATION_UNTESTED, text),)

    def _checked(self) -> str:
        if self.best:
            return f"back-tests reached a factor of {self.factor:.3g} in compute: {self.best}"
        if self.worst:
            return f"the law failed its back-tests: {self.worst}"
        return "no back-test was possible with these points: too few of them stay to fit the law on, or to identify it"


def backtests(points: Points, fit: Callable[[Points], Law], *, level: float = 0.95) -> tuple[Backtest, ...]:
    """Return every back-test that the points allow: the largest size, and the top x4 and x10 of compute.

    Args:
        points: of the law.
        fit: fits the law on part of them; what it refuses, or finds that they do not identify, is no back-test.
        level: of the prediction intervals whose coverage is counted.
    """
    results = (backtest(points, held, fit, label=label, level=level) for label, held in _holdouts(points))
    return tuple(result for result in results if result is not None)


def backtest(
    points: Points, held: NDArray[np.bool_], fit: Callable[[Points], Law], *, label: str, level: float = 0.95
) -> Backtest | None:
    """Return how the law fitted on the points outside `held` predicts those inside.

    None where it cannot be fitted, or where its own points do not identify it.
    """
    seen, unseen = select(points, ~held), select(points, held)
    if not len(seen) or not len(unseen):
        return None
    try:
        law = fit(seen)
    except ValueError:  # refused, or a form of one's own that a part of the points leaves without a value
        return None
    if any(law.has(code) for code in UNTESTABLE):
        return None
    predicted = _predicted(law, unseen)
    errors = np.abs(predicted / unseen.loss - 1.0)
    return Backtest(
        held_out=label,
        fitted_points=len(seen),
        held_out_points=len(unseen),
        shared_trajectories=_shared(seen, unseen),
        compute_factor=float(flops_column(unseen).max() / flops_column(seen).max()),
        law_error=float(errors.mean()),
        law_largest_error=float(errors.max()),
        power_law_error=_mean_error(_power_law(seen, unseen), unseen.loss),
        last_value_error=_mean_error(last_value(seen, unseen), unseen.loss),
        covered=_covered(law, predicted, unseen, level),
        level=level,
    )


def failed_backtests(results: Iterable[Backtest]) -> Iterator[Finding]:
    """Yield a finding for each back-test that the law lost: what it says beyond the points is not to be trusted."""
    for result in results:
        if not result.is_passed:
            text = f"A back-test failed: {result}. Do not extrapolate this law; add sizes, token counts or seeds."
            yield Finding(FindingCode.EXTRAPOLATION_UNTESTED, text)


def reach_of(points: Points, results: Iterable[Backtest]) -> Reach:
    """Return how far answers from a law on these points may go, given its back-tests."""
    results = tuple(results)
    passed = [r for r in results if r.is_passed]
    failed = [r for r in results if not r.is_passed]
    return Reach(
        largest_flops=float(flops_column(points).max()),
        sizes=(float(points.N.min()), float(points.N.max())),
        tokens=(float(points.D.min()), float(points.D.max())),
        best=max(passed, key=lambda r: r.compute_factor, default=None),
        worst=None if passed else max(failed, key=lambda r: r.law_error, default=None),
        others={name: (float(x.min()), float(x.max())) for name, x in _numbers(points).items() if len(x)},
    )


def _holdouts(points: Points) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield what to hold out, with its name; repetitions, and what leaves too little on a side, are passed over."""
    if not len(points):
        return
    C = flops_column(points)
    size = points.N.max() / SIZE_FACTOR * ROUNDING
    cuts = [(f"N above {size:.4g}, the largest sizes,", size < points.N)]
    for factor in COMPUTE_FACTORS:
        cut = C.max() / factor * ROUNDING
        cuts.append((f"C above {cut:.4g}, the top x{factor:g} of compute,", cut < C))
    seen: list[bytes] = []
    for label, held in cuts:
        if FEWEST_HELD_OUT <= held.sum() < len(points) and held.tobytes() not in seen:
            seen.append(held.tobytes())
            yield label, held


def _predicted(law: Law, at: Points) -> FloatArray:
    """Return what a law expects of the points, (n,)."""
    if has_surface(law):
        return surface_of(law).loss(at.N, at.D)
    return predict(law, at.N, at.D, features=_numbers(at))


def _mean_limits(law: Law, at: Points, level: float) -> FloatArray | None:
    """Return the confidence limits of what a law expects of the points, (n, 2); None without draws.

    Many points are taken in blocks: draws times points need not fit into memory.
    """
    if law.draws is None or not len(law.draws):
        return None
    step = max(1, MOST_NUMBERS // len(law.draws))
    blocks = (select(at, np.arange(start, min(start + step, len(at)))) for start in range(0, len(at), step))
    limits = [percentiles(column, level=level) for block in blocks for column in _predicted_draws(law, block).T]
    return np.array(limits).reshape(-1, 2)


def _predicted_draws(law: Law, at: Points) -> FloatArray:
    """Return what each draw expects of the points, (draws, n)."""
    surfaces = surface_draws(law) if has_surface(law) else None
    return predict_draws(law, at.N, at.D, features=_numbers(at)) if surfaces is None else surfaces.loss(at.N, at.D)


def _numbers(points: Points) -> dict[str, FloatArray]:
    """Return the features that are numbers."""
    columns = {name: np.asarray(column) for name, column in points.features.items()}
    return {name: column.astype(np.float64) for name, column in columns.items() if column.dtype.kind in "fiub"}


def _covered(law: Law, predicted: FloatArray, at: Points, level: float) -> float | None:
    """Return the share of points inside their prediction intervals.

    On each side the interval of the law's mean (percentiles of its draws) and t times the residual standard deviation
    add as squares, in logs.
    """
    spare = law.points - len(law.coefficients)
    limits = _mean_limits(law, at, level) if spare >= 1 else None
    if limits is None:
        return None
    independent = law.points if law.clusters is None else law.clusters
    scatter = float(np.sum(law.residuals**2)) / spare
    noise = t_quantile(max(independent - 1, 1), 0.5 + level / 2) * np.sqrt(scatter)
    with np.errstate(divide="ignore"):
        below, above = np.abs(np.log(limits / predicted[:, None])).T
    miss = np.log(at.loss / predicted)
    return float(np.mean((miss <= np.hypot(above, noise)) & (-miss <= np.hypot(below, noise))))


def _power_law(seen: Points, unseen: Points) -> FloatArray:
    """Return L = k N^-a D^-b for the unseen points, least squares on the logs of the seen ones."""
    log_N, log_D = np.log(seen.N), np.log(seen.D)
    columns = np.column_stack([np.ones(len(seen)), log_N - log_N.mean(), log_D - log_D.mean()])
    k, a, b = np.linalg.lstsq(columns, np.log(seen.loss), rcond=None)[0]
    return np.asarray(np.exp(k + a * (np.log(unseen.N) - log_N.mean()) + b * (np.log(unseen.D) - log_D.mean())))


def _mean_error(predicted: FloatArray, observed: FloatArray) -> float:
    return float(np.mean(np.abs(predicted / observed - 1.0)))


def _shared(seen: Points, unseen: Points) -> int:
    if seen.clusters is None or unseen.clusters is None:
        return 0
    return len(np.intersect1d(seen.clusters, unseen.clusters))


def _beyond(name: str, value: float | None, smallest: float, largest: float, factor: float) -> str | None:
    if value is None:
        return None
    if value > largest * factor * ROUNDING:
        return f"{name} = {value:.4g} lies {value / largest:.3g} times beyond the largest {name} of the points"
    if 0 < value < smallest / (factor * ROUNDING):
        return f"{name} = {value:.4g} lies {smallest / value:.3g} times below the smallest {name} of the points"
    return None
