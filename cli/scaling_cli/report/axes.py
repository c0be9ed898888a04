"""Axes that read well: few ticks at round numbers, decimal suffixes, scientific notation for FLOPs."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10
from typing import Any, Literal, TypeAlias

import altair as alt

Row: TypeAlias = dict[str, Any]
Unit: TypeAlias = Literal["count", "bytes", "flops", "nats"]
# d3 writes 1e+15 and 10Ki; readers expect 1e15 and 10k.
_FLOPS_LABEL = "replace(format(datum.value, '.3~e'), '+', '')"
_SMALLEST, _LARGEST = 1e-300, 1e300
"""Ends of an axis: beyond them a float has no room for margins and ticks."""
_NARROWEST = 1e-5
"""Width of a linear axis as a share of its values; the data of charts have seven digits."""
_BEYOND = 0.5
"""How far outside of an axis data may lie, as a share of its length."""


def extent(values: Iterable[float], *, margin: float = 0.06) -> tuple[float, float]:
    """Return the range of positive values widened by a share of its logarithm, never empty."""
    known = [v for v in values if v > 0]
    low, high = (min(known), max(known)) if known else (1.0, 10.0)
    pad = max(margin * (log10(high) - log10(low)), 0.03)
    return max(low / 10**pad, _SMALLEST), min(high * 10**pad, _LARGEST)


def linear_extent(values: Iterable[float], *, margin: float = 0.06) -> tuple[float, float]:
    """Return the range of values widened by a share of its width, never empty or too narrow for a chart's digits."""
    known = [v for v in values if isfinite(v)] or [0.0, 1.0]
    low, high = min(known), max(known)
    width, size = high - low, max(abs(low), abs(high))
    pad = margin * width if width > _NARROWEST * size else 0.02 * size
    pad = max(pad, _SMALLEST) if size else 0.5
    return low - pad, high + pad


def log_ticks(low: float, high: float) -> list[float]:
    """Return round values between the limits: 1-2-5 within two decades, then powers of ten, at most nine."""
    exponents = range(floor(log10(low)), ceil(log10(high)) + 1)
    ticks = [float(f"{step}e{k}") for k in exponents for step in _steps(log10(high / low))]
    inside = [t for t in ticks if low <= t <= high]
    if len(inside) < 2:  # less than a step: even spacing, which no longer differs from a logarithmic one
        return linear_ticks(low, high)
    return inside[:: ceil(len(inside) / 9)]


def linear_ticks(low: float, high: float) -> list[float]:
    """Return four to ten round values between the limits."""
    raw = (high - low) / 4
    power = 10.0 ** floor(log10(raw))
    step = max(m for m in (1, 2, 5) if m * power <= raw) * power
    first = ceil(low / step)
    return [float(f"{i * step:.12g}") for i in range(first, floor(high / step) + 1)]


def _steps(decades: float) -> tuple[float, ...]:
    if decades < 0.7:
        return (1, 1.5, 2, 3, 4, 5, 7)
    return (1, 2, 5) if decades < 2 else (1, 3) if decades < 3.5 else (1,)


@dataclass(frozen=True)
class Axis:
    """One axis, the same for every layer of a chart."""

    field: str
    title: str
    limits: tuple[float, float]
    unit: Unit

    def x(self) -> alt.X:
        """Return the field along x."""
        return alt.X(self.field, type="quantitative", axis=self._axis(), scale=self._scale())

    def y(self, field: str | None = None) -> alt.Y:
        """Return the field, or another one of the same meaning, along y."""
        return alt.Y(field or self.field, type="quantitative", axis=self._axis(), scale=self._scale())

    @property
    def is_logarithmic(self) -> bool:
        """Losses are on a linear axis unless they span more than a factor of three; all else is logarithmic."""
        low, high = self.limits
        return self.unit != "nats" or (low > 0 and high / low > 3)

    def reach(self) -> tuple[float, float]:
        """Return the limits widened: what is drawn up to there crosses the edge as it should and is clipped."""
        low, high = self.limits
        if self.is_logarithmic:
            room = _BEYOND * (log10(high) - log10(low))
            return max(10 ** (log10(low) - room), _SMALLEST), 10 ** min(log10(high) + room, 300.0)
        room = _BEYOND * (high - low)
        return low - room, high + room

    def holds(self, value: float) -> bool:
        """Whether a value is on the axis or near enough to be drawn and clipped."""
        low, high = self.reach()
        return low <= value <= high

    def held(self, value: float) -> float:
        """Return a value moved to where it can be drawn: rasterisers fail at pixels far outside of a picture."""
        low, high = self.reach()
        return min(max(value, low), high)

    def _axis(self) -> alt.Axis:
        if not self.is_logarithmic:
            return alt.Axis(title=self.title, tickCount=6)
        label: dict[str, Any] = {"format": "~g" if self.unit == "nats" else "~s"}
        if self.unit == "flops":
            label = {"labelExpr": _FLOPS_LABEL}
        return alt.Axis(title=self.title, values=log_ticks(*self.limits), **label)

    def _scale(self) -> alt.Scale:
        if self.is_logarithmic:
            return alt.Scale(type="log", domain=list(self.limits), nice=False)
        return alt.Scale(domain=list(self.limits), nice=False, zero=False)


@dataclass(frozen=True)
class Plane:
    """Both axes of a chart."""

    across: Axis
    up: Axis

    @property
    def xy(self) -> tuple[alt.X, alt.Y]:
        """Encodings of points and lines."""
        return self.across.x(), self.up.y()

    def between(self, low: str, high: str) -> tuple[alt.X, alt.Y, alt.Y2]:
        """Return encodings of bands and bars from one field to another."""
        return self.across.x(), self.up.y(low), alt.Y2(high)

    def held(self, rows: Iterable[Row], *, along: Collection[str] | None = None) -> list[Row]:
        """Return rows without those that lie far outside; of those kept, the fields `along` the y axis are held on it.

        Args:
            rows: with the fields of both axes.
            along: limits of bands and bars; without them the y field itself decides on a row too.
        """
        inside = [row for row in rows if self.across.holds(float(row[self.across.field]))]
        if along is None:
            return [row for row in inside if self.up.holds(float(row[self.up.field]))]
        return [row | {name: self.up.held(float(row[name])) for name in along} for row in inside]


def tooltips(*columns: tuple[str, str, str]) -> list[alt.Tooltip]:
    """Return tooltips from (field, title, d3 format); an empty format shows the text as it is."""
    return [
        alt.Tooltip(field, type="quantitative", title=title, format=form)
        if form
        else alt.Tooltip(field, type="nominal", title=title)
        for field, title, form in columns
    ]
