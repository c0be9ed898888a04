"""How much of the difference between two models is due to size, tokens, treatment and pipeline.

Players are what differs between the two; a corner takes some of them from the end and the others from the start. Each
player's part is its effect averaged over all orders in which the players may change (Shapley 1953), exact over the at
most 16 corners; the parts add up to the whole difference. Beside them stands the interaction: what the players do
together beyond what each does alone from the start.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import factorial
from typing import TypeAlias

import numpy as np

from scaling_laws.answers.values import percentiles
from scaling_laws.law import Finding, FindingCode
from scaling_laws.points import FloatArray, Points

Model: TypeAlias = Mapping[str, float | str]
"""N, D, treatment, pipeline, and whatever else the law depends on, by name."""
Value: TypeAlias = Callable[[Model], tuple[float, FloatArray | None]]
"""What a law expects of a model: its estimate and its draws, (draws,)."""
MOST_PLAYERS = 8
ROUNDING = 64 * float(np.finfo(np.float64).eps)
"""Share of the corners below which their sum is zero."""
EDGE = 1e-6
"""Logs of N and D up to which a corner still counts as on the hull."""


@dataclass(frozen=True)
class Part:
    """What one player contributes, in units of the response; of a loss negative is better."""

    name: str
    start: float | str
    end: float | str
    value: float
    lower: float | None
    upper: float | None


@dataclass(frozen=True)
class Attribution:
    """The difference between two models, taken apart."""

    start: float
    """What the law expects at the start."""
    end: float
    difference: float
    lower: float | None
    """Confidence limits of the difference."""
    upper: float | None
    parts: tuple[Part, ...]
    """They add up to the difference."""
    interaction: float
    """The difference minus what each player does alone from the start."""
    interaction_lower: float | None
    interaction_upper: float | None
    findings: tuple[Finding, ...]
    """Corners outside of what the sweep has seen."""


def attribute(
    value: Value, start: Model, end: Model, *, points: Points | None = None, level: float = 0.95
) -> Attribution:
    """Return what each of the quantities that differ between two models contributes to the difference.

    Args:
        value: what the law expects; see `scaling_laws.answers.corners.expected`.
        start: a model, complete.
        end: another, complete.
        points: of the law, to flag corners that they do not surround.
        level: of the limits over the law's draws.

    Raises:
        ValueError: the models do not differ, differ in too much, or do not name the same quantities.
    """
    players = _players(start, end)
    corners = {some: _corner(start, end, some) for some in _subsets(players)}
    worth = {some: value(model) for some, model in corners.items()}
    parts = tuple(_part(name, players, worth, start, end, level) for name in players)
    nothing, everything = frozenset[str](), frozenset(players)
    together = _combined(worth, {everything: 1.0, nothing: -1.0})
    alone = {everything: 1.0, nothing: float(len(players)) - 1.0} | {frozenset((name,)): -1.0 for name in players}
    mixed = _combined(worth, alone) if len(players) > 1 else (0.0, None)
    return Attribution(
        start=worth[nothing][0],
        end=worth[everything][0],
        difference=together[0],
        lower=_limits(together[1], level)[0],
        upper=_limits(together[1], level)[1],
        parts=parts,
        interaction=mixed[0],
        interaction_lower=_limits(mixed[1], level)[0],
        interaction_upper=_limits(mixed[1], level)[1],
        findings=tuple(_outside(corners.values(), points)) if points is not None else (),
    )


def _players(start: Model, end: Model) -> tuple[str, ...]:
    if set(start) != set(end):
        missing = ", ".join(sorted(set(start) ^ set(end)))
        raise ValueError(f"Both models must name the same quantities; {missing} is named for one of them alone.")
    players = tuple(name for name in start if start[name] != end[name])
    if not 0 < len(players) <= MOST_PLAYERS:
        found = f"in {len(players)} quantities" if players else "in nothing"
        raise ValueError(f"The two models differ {found}; name from one to {MOST_PLAYERS} that do.")
    return players


def _subsets(players: Sequence[str]) -> Iterator[frozenset[str]]:
    return (frozenset(some) for size in range(len(players) + 1) for some in combinations(players, size))


def _corner(start: Model, end: Model, changed: frozenset[str]) -> Model:
    return {name: end[name] if name in changed else start[name] for name in start}


def _part(
    name: str,
    players: tuple[str, ...],
    worth: Mapping[frozenset[str], tuple[float, FloatArray | None]],
    start: Model,
    end: Model,
    level: float,
) -> Part:
    count = len(players)
    weights: dict[frozenset[str], float] = {}
    for before in _subsets([other for other in players if other != name]):
        weight = factorial(len(before)) * factorial(count - len(before) - 1) / factorial(count)
        weights[before | {name}] = weights.get(before | {name}, 0.0) + weight
        weights[before] = weights.get(before, 0.0) - weight
    value, draws = _combined(worth, weights)
    return Part(name, start[name], end[name], value, *_limits(draws, level))


def _combined(
    worth: Mapping[frozenset[str], tuple[float, FloatArray | None]], weights: Mapping[frozenset[str], float]
) -> tuple[float, FloatArray | None]:
    """Return a weighted sum of corners, of the estimate and of each draw."""
    value = _sum([weight * worth[some][0] for some, weight in weights.items()])
    columns = [(weight, worth[some][1]) for some, weight in weights.items()]
    if any(draws is None for _, draws in columns):
        return float(value), None
    return float(value), _sum([weight * draws for weight, draws in columns if draws is not None])


def _sum(terms: Sequence[float] | Sequence[FloatArray]) -> FloatArray:
    """Return a sum of corners; what is left by rounding alone is zero."""
    table = np.asarray(terms, dtype=np.float64)
    total = table.sum(axis=0)
    rounding = ROUNDING * np.abs(table).max(axis=0)
    return np.where(np.abs(total) <= rounding, 0.0, total)


def _limits(draws: FloatArray | None, level: float) -> tuple[float | None, float | None]:
    if draws is None:
        return None, None
    low, high = percentiles(np.asarray(draws), level=level)
    return low, high


def _outside(corners: Iterable[Model], points: Points) -> Iterator[Finding]:
    """Yield a finding that names the corners which the sweep does not surround, or whose levels it never combined."""
    beyond = [told for corner in corners if (told := _where(corner, points))]
    if beyond:
        shown = "; ".join(dict.fromkeys(beyond))
        text = (
            f"The parts rest on models that the sweep does not surround: {shown}. What is due to what is an "
            "extrapolation there."
        )
        yield Finding(FindingCode.EXTRAPOLATION_UNTESTED, text[:1000])


def _where(corner: Model, points: Points) -> str | None:
    """Return how a corner is called, if it lies outside."""
    levels = {name: corner[name] for name in ("treatment", "pipeline") if name in corner and name in points.features}
    rows = np.ones(len(points), dtype=bool)
    for name, level in levels.items():
        rows &= np.asarray(points.features[name]).astype(str) == str(level)
    told = ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in corner.items()
    )
    if not rows.any():
        return told
    here = np.log([float(corner.get("N", 1.0)), float(corner.get("D", 1.0))])
    cloud = np.log(np.column_stack([points.N[rows], points.D[rows]]))
    axes = [i for i, name in enumerate(("N", "D")) if name in corner]
    return None if _is_inside(here[axes], cloud[:, axes]) else told


def _is_inside(here: FloatArray, cloud: FloatArray) -> bool:
    """Whether a place lies in the convex hull of points in one or two dimensions."""
    if not cloud.shape[1]:
        return True
    if cloud.shape[1] == 1:
        return bool(cloud.min() - EDGE <= here[0] <= cloud.max() + EDGE)
    hull = _hull(cloud)
    if len(hull) < 3:
        low, high = cloud.min(axis=0) - EDGE, cloud.max(axis=0) + EDGE
        return bool(np.all((low <= here) & (here <= high)))
    ahead = np.roll(hull, -1, axis=0) - hull
    away = here - hull
    sides = ahead[:, 0] * away[:, 1] - ahead[:, 1] * away[:, 0]
    return bool(np.all(sides >= -EDGE * np.linalg.norm(ahead, axis=1)))


def _hull(cloud: FloatArray) -> FloatArray:
    """Return the corners of the convex hull, anticlockwise (Andrew 1979, doi:10.1016/0020-0190(79)90072-3)."""
    ordered = sorted({(float(x), float(y)) for x, y in cloud})
    lower, upper = _chain(ordered), _chain(ordered[::-1])
    return np.array([*lower[:-1], *upper[:-1]])


def _chain(ordered: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    chain: list[tuple[float, float]] = []
    for x, y in ordered:
        while len(chain) > 1 and _turn(chain[-2], chain[-1], (x, y)) <= 0:
            chain.pop()
        chain.append((x, y))
    return chain


def _turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
