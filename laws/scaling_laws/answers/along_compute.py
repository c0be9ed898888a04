"""The best model of one amount of compute, by any law of the loss over N and D.

Where there is no closed form, the loss along D = C/(6N) is looked at on a grid of log N from one parameter to one
token; the least of it is refined for the estimate, and by a parabola through three nodes for each draw.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import log

import numpy as np

from scaling_api.v1alpha1.status import Interval
from scaling_laws.answers.corners import INDICATOR, TEXTS, dependencies, predicts_loss
from scaling_laws.answers.flops import SIX_ND, FlopsPerToken
from scaling_laws.answers.surface import NoSurfaceError
from scaling_laws.answers.values import interval
from scaling_laws.expressions import parse_equation
from scaling_laws.fit.compound.frontier import is_frontier
from scaling_laws.fit.predict import predict, predict_draws
from scaling_laws.forms import FORMS, LinearForm
from scaling_laws.law import Finding, FindingCode, Law
from scaling_laws.points import FloatArray, Points

NODES = 2001
"""Of the grid: some 40 a decade of N, so that a parabola between them is exact to a thousandth of its size."""
NARROWER = 41
ROUNDS = 2
"""Grids of the estimate, each between the neighbours of the last one's best node; finer ones would see rounding."""
_ASSUMED: Mapping[str, tuple[float, str]] = {
    "S": (0.0, "S = 0 (dense models)"),
    "P": (16.0, "P = 16 (weights that are not quantized)"),
    "Q": (1.0, "Q = 1"),
}
"""What compute does not settle, at its plainest value."""
_UNIQUE = "U = D (tokens that are not repeated)"
_REFERENCE = "the reference treatment"


@dataclass(frozen=True)
class Line:
    """What a law expects of every model of one amount of compute."""

    law: Law
    training_flops: float
    flops: FlopsPerToken
    names: frozenset[str]
    """What the law depends on."""

    def loss(self, log_N: FloatArray) -> FloatArray:
        """Return the loss at each log N, (n,); infinite where there is none."""
        N, D = self.models(log_N)
        with np.errstate(all="ignore"):
            return _known(predict(self.law, N, D, features=self._features(D)))

    def loss_draws(self, log_N: FloatArray) -> FloatArray | None:
        """Return the same for each draw, (draws, n); None without draws."""
        if self.law.draws is None or not len(self.law.draws):
            return None
        N, D = self.models(log_N)
        with np.errstate(all="ignore"):
            return _known(predict_draws(self.law, N, D, features=self._features(D)))

    def models(self, log_N: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return N and D at each log N."""
        N = np.exp(log_N)
        return N, self.training_flops / np.asarray(self.flops(N), dtype=np.float64)

    def expected(self, log_N: float, *, level: float) -> Interval:
        """Return the loss of one of the models with the limits of the law's mean."""
        at = np.array([log_N])
        draws = self.loss_draws(at)
        return interval(float(self.loss(at)[0]), None if draws is None else draws[:, 0], level=level)

    def findings(self) -> tuple[Finding, ...]:
        """Say what was assumed of quantities that compute does not settle."""
        assumed = [text for name, (_, text) in _ASSUMED.items() if name in self.names]
        assumed += [_UNIQUE] if "U" in self.names else []
        assumed += [_REFERENCE] if any(name.startswith(INDICATOR) for name in self.names) else []
        if not assumed:
            return ()
        return (Finding(FindingCode.CHOSEN, f"The best N and D are those for {' and '.join(assumed)}."),)

    def _features(self, D: FloatArray) -> dict[str, FloatArray | float]:
        known = {name: value for name, (value, _) in _ASSUMED.items() if name in self.names}
        levels = {name: 0.0 for name in self.names if name.startswith(INDICATOR)}
        unique = {"U": D} if "U" in self.names else {}
        return {"C": self.training_flops, **known, **levels, **unique}


def line_of(law: Law, training_flops: float, flops: FlopsPerToken = SIX_ND) -> Line:
    """Return the models of one amount of compute, as a law sees them.

    Raises:
        NoSurfaceError: the law predicts no loss, or what it depends on is not settled by N and D.
    """
    if reason := why_no_line(law):
        raise NoSurfaceError(reason)
    return Line(law, training_flops, flops, dependencies(law))


def why_no_line(law: Law) -> str | None:
    """Return the sentence that says why a law does not tell models of one compute apart; None where it does."""
    if is_frontier(law):
        return f"A {law.form} law gives the best N and D for an amount of compute, not what another model reaches."
    if isinstance(FORMS.get(law.form), LinearForm):
        return (
            f"A {law.form} law has no best N and D: as one gives way to the other its loss goes in one direction. Ask "
            "a law of form Chinchilla or Joint for compute-optimal sizes."
        )
    if not predicts_loss(law):
        return (
            f"A {law.form} law ({law.formula}) does not predict the loss: ask a law of the loss for the best N and D."
        )
    names = dependencies(law)
    settled = {"N", "D", "C", "U", *_ASSUMED, *TEXTS}
    if others := sorted(name for name in names - settled if not name.startswith(INDICATOR)):
        return f"The loss of a {law.form} law also depends on {', '.join(others)}, which compute does not settle."
    axes = sorted({"N", "D", "C", "U"} & set(parse_equation(law.formula).names) - {c.name for c in law.coefficients})
    if len(axes) < 2:
        alone = f"depends on {' '.join(axes)} alone" if axes else "depends on neither N nor D"
        return f"A {law.form} law {alone}: it does not tell how to divide compute between parameters and tokens."
    return None


def is_testable(law: Law, points: Points) -> bool:
    """Whether a law predicts the loss of points that it has not seen from their numbers alone."""
    if is_frontier(law) or not predicts_loss(law):
        return False
    numbers = {name for name, column in points.features.items() if np.asarray(column).dtype.kind in "fiub"}
    return dependencies(law) <= {"N", "D", "C", *numbers}


def optimum_along(line: Line) -> tuple[float, FloatArray | None]:
    """Return log N of the least loss, and that of each draw; -inf or inf where the loss falls to an end."""
    low, high = _ends(line)
    if not low < high:
        return np.nan, None
    grid = np.linspace(low, high, NODES)
    draws = line.loss_draws(grid)
    return _least(line.loss, grid), None if draws is None else _vertices(grid, draws)


def _ends(line: Line) -> tuple[float, float]:
    """Return log N of a model of one parameter, and of one that the compute trains on one token."""
    low, high = 0.0, log(line.training_flops)
    for _ in range(80):
        middle = 0.5 * (low + high)
        tokens = line.models(np.asarray([middle]))[1][0]
        low, high = (middle, high) if tokens > 1 else (low, middle)
    return 0.0, low


def _least(loss: Callable[[FloatArray], FloatArray], grid: FloatArray) -> float:
    """Return log N of the least loss by grids that narrow around it."""
    values = loss(grid)
    for _ in range(ROUNDS):
        best = int(np.argmin(values))
        if best in {0, len(grid) - 1}:
            return -np.inf if best == 0 else np.inf
        grid = np.linspace(grid[best - 1], grid[best + 1], NARROWER)
        values = loss(grid)
    return float(_vertices(grid, values[None])[0])


def _vertices(grid: FloatArray, losses: FloatArray) -> FloatArray:
    """Return the vertex of the parabola through the least node of each row and its neighbours; ends are infinite."""
    best = np.argmin(losses, axis=1)
    inside = np.clip(best, 1, len(grid) - 2)
    before, here, after = (losses[np.arange(len(losses)), inside + step] for step in (-1, 0, 1))
    with np.errstate(all="ignore"):
        shift = 0.5 * (before - after) / (before - 2.0 * here + after)
    shift = np.where(np.isfinite(shift), np.clip(shift, -1.0, 1.0), 0.0)
    vertex = grid[inside] + shift * (grid[1] - grid[0])
    return np.where(best == 0, -np.inf, np.where(best == len(grid) - 1, np.inf, vertex))


def _known(losses: FloatArray) -> FloatArray:
    return np.where(np.isnan(losses), np.inf, losses)
