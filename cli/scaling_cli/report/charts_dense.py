"""Charts of the dense law: loss against compute, residuals, predicted against observed."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import altair as alt
import numpy as np

from scaling_api.v1alpha1.status import Answer
from scaling_cli.report.axes import Axis, Plane, Row, extent, linear_extent, tooltips
from scaling_cli.report.drawing import (
    HALF_HEIGHT,
    HALF_WIDTH,
    HEIGHT,
    MAX_NAMED,
    WIDTH,
    DenseView,
    Drawing,
    dots,
    short,
    size_colour,
    table,
    values,
    words,
)
from scaling_cli.report.evidence import DensePoint, evenly
from scaling_cli.report.numbers import count
from scaling_cli.report.surface import Frontier, frontier
from scaling_cli.report.theme import light
from scaling_laws.law import Law

MAX_POINTS = 800
_LARGEST_RESIDUAL = 600.0
"""Of a logarithm, which is still a finite factor."""
SIGNS = ("above the law", "below the law")


def loss_by_compute(view: DenseView) -> Drawing:
    """Draw loss against compute: the points, one fitted curve a size, and the frontier with its band."""
    measured = extent([p.C for p in view.points], margin=0.07)
    answers = _answers_inside(view, measured)
    reach = 4 if view.law is not None else 1
    span = (measured[0], max([measured[1] * reach, *(a.at * 2 for a in answers)]))
    best = _frontier(view, span)
    losses = [p.loss for p in view.points]
    losses += _lowest(best, losses)
    plane = Plane(
        Axis("C", "Training compute C (FLOPs)", span, "flops"),
        Axis("loss", "Held-out loss (nats)", linear_extent(losses, margin=0.05), "nats"),
    )
    layers = [*_frontier_layers(best, plane), *_size_curves(view, plane), *dots(view, plane)]
    return alt.layer(*layers, *_answer_marks(answers, plane)).properties(width=WIDTH, height=HEIGHT)


def residual_grid(view: DenseView) -> Drawing:
    """Draw the residuals over (N, D): area is size, colour and direction are sign; seeds stand side by side."""
    shown = [p for p in view.points if p.residual is not None and p.is_fitted]
    N, D = extent([p.N for p in shown], margin=0.12), extent([p.D for p in shown], margin=0.12)
    seeds = sorted({p.seed for p in shown})
    plane = Plane(Axis("N", "Parameters N", N, "count"), Axis("D", "Training tokens D", D, "count"))
    tips = tooltips(
        ("size", "N", ""),
        ("D", "D", ".3~s"),
        ("seed", "Seed", "d"),
        ("loss", "Loss (nats)", ".4f"),
        ("percent", "Residual (%)", "+.2f"),
        ("trial", "Trial", ""),
    )
    colour = alt.Scale(domain=list(SIGNS), range=[light("above"), light("below")])
    shape = alt.Scale(domain=list(SIGNS), range=["triangle-up", "triangle-down"])
    rows = [_residual_row(p, seeds, N) for p in shown]
    area = alt.Legend(
        values=_round_steps(rows),
        orient="bottom",
        symbolType="triangle-up",
        symbolFillColor=light("axis"),
        symbolStrokeWidth=0,
    )
    chart = alt.Chart(values(rows)).mark_point(filled=True, opacity=1, fillOpacity=0.9)
    marks = chart.encode(
        *plane.xy,
        color=alt.Color("sign:N", scale=colour, title="Observed"),
        shape=alt.Shape("sign:N", scale=shape, title="Observed"),
        size=alt.Size(
            "magnitude:Q", title="Distance from the law (%)", scale=alt.Scale(range=[6, 420], zero=True), legend=area
        ),
        tooltip=tips,
    )
    return alt.layer(marks).properties(width=HALF_WIDTH, height=HALF_HEIGHT)


def predicted_by_observed(view: DenseView) -> Drawing:
    """Draw observed against predicted loss with the line on which both agree and a band of 1 %."""
    shown = [p for p in view.points if p.predicted is not None]
    limits = linear_extent([*(p.loss for p in shown), *(p.predicted or 0 for p in shown)])
    plane = Plane(
        Axis("predicted", "Predicted loss (nats)", limits, "nats"), Axis("loss", "Observed loss (nats)", limits, "nats")
    )
    diagonal = [{"predicted": v, "loss": v, "low": v * 0.99, "high": v * 1.01} for v in limits]
    ends = values(plane.held(diagonal, along=("low", "high")))
    band = alt.Chart(ends).mark_area(color=light("axis"), opacity=1, fillOpacity=0.16, clip=True)
    line = alt.Chart(ends).mark_line(color=light("axis"), strokeDash=[5, 4], strokeWidth=1.2)
    layers = [band.encode(*plane.between("low", "high")), line.encode(*plane.xy)]
    layers += dots(replace(view, points=shown), plane)
    return alt.layer(*layers).properties(width=HALF_WIDTH, height=HALF_HEIGHT)


def observed_by_fitted(law: Law) -> Drawing:
    """Draw the same of a law that is no surface over N and D, from what it says of its own points."""
    observed = law.observed
    rows = table(fitted=law.fitted, observed=observed)
    limits = linear_extent([*law.fitted.tolist(), *observed.tolist()])
    plane = Plane(Axis("fitted", "Predicted", limits, "nats"), Axis("observed", "Observed", limits, "nats"))
    ends = alt.Chart(values([{"fitted": v, "observed": v} for v in limits]))
    line = ends.mark_line(color=light("axis"), strokeDash=[5, 4], strokeWidth=1.2)
    tips = tooltips(("fitted", "Predicted", ".4f"), ("observed", "Observed", ".4f"))
    dots = alt.Chart(values(evenly(rows, MAX_POINTS))).mark_point(
        filled=True, color=light("terrain"), opacity=1, size=45
    )
    layers = [line.encode(*plane.xy), dots.encode(*plane.xy, tooltip=tips)]
    return alt.layer(*layers).properties(width=HALF_WIDTH, height=HALF_HEIGHT)


def _residual_row(p: DensePoint, seeds: Sequence[int], N: tuple[float, float]) -> dict[str, object]:
    assert p.residual is not None
    percent = 100 * float(np.expm1(min(p.residual, _LARGEST_RESIDUAL)))
    shift = (seeds.index(p.seed) - (len(seeds) - 1) / 2) * min(0.04, 0.12 / len(seeds))
    return {
        "N": p.N * (N[1] / N[0]) ** shift,
        "D": p.D,
        "size": p.size,
        "seed": p.seed,
        "loss": short(p.loss),
        "percent": short(percent),
        "magnitude": short(abs(percent)),
        "trial": p.trial,
        "sign": SIGNS[percent < 0],
    }


def _round_steps(rows: Sequence[dict[str, object]]) -> list[float]:
    """Return half and all of the largest residual, rounded to one digit."""
    largest = max(float(str(row["magnitude"])) for row in rows)
    return [float(f"{largest / 2:.1g}"), float(f"{largest:.1g}")] if largest > 0 else [0.0]


def _size_curves(view: DenseView, plane: Plane) -> list[alt.Chart]:
    """Return one fitted curve a size: solid over its own points, dotted beyond them."""
    if view.law is None or view.compute is None:
        return []
    rows = [row for i in evenly(range(len(view.compute.sizes)), MAX_NAMED) for row in _size_curve(view, plane, i)]
    common: dict[str, Any] = {"clip": True, "strokeWidth": 1.9}
    beyond = alt.Chart(values(rows)).mark_line(strokeDash=[1, 4], strokeOpacity=0.8, **common)
    inside = alt.Chart(values([r for r in rows if r["inside"]])).mark_line(**common)
    colour, order, curve = size_colour(view.sizes), alt.Order("C:Q"), alt.Detail("curve:N")
    return [chart.encode(*plane.xy, colour, order, curve) for chart in (beyond, inside)]


def _size_curve(view: DenseView, plane: Plane, curve: int) -> list[dict[str, object]]:
    assert view.law is not None
    assert view.compute is not None
    N, per_token = view.compute.sizes[curve], view.compute.measured[curve]
    own = [p.D * per_token for p in view.points if p.N == N]
    first, last = min(own), max(own)
    C = np.unique(np.concatenate([np.geomspace(*plane.across.limits, 60), [first, last]]))
    losses = view.law.loss(N, C / per_token)
    kept = (losses >= plane.up.limits[0]) & (losses <= plane.up.limits[1] * 1.05)
    return [
        {"curve": curve, "size": count(N), "C": short(c), "loss": short(loss), "inside": bool(first <= c <= last)}
        for c, loss in zip(C[kept], losses[kept], strict=True)
    ]


def _frontier(view: DenseView, span: tuple[float, float]) -> Frontier | None:
    if view.law is None or view.compute is None:
        return None
    return frontier(view.law, view.compute, span)


def _lowest(best: Frontier | None, losses: Sequence[float]) -> list[float]:
    """Return the losses that the frontier needs the axis to show; a wide band may leave the chart."""
    if best is None:
        return []
    low = float(best.loss.min())
    room = low - 0.25 * (max(losses) - low)
    return [low, *([] if best.lower is None else [max(float(best.lower.min()), room)])]


def _frontier_layers(best: Frontier | None, plane: Plane) -> list[alt.Chart]:
    if best is None:
        return []
    columns = {"C": best.C, "N": best.N, "D": best.D, "loss": best.loss, "lower": best.lower, "upper": best.upper}
    rows = table(**{name: column for name, column in columns.items() if column is not None})
    tips = tooltips(
        ("C", "FLOPs", ".3~e"), ("loss", "Optimal loss", ".4f"), ("N", "Optimal N", ".3~s"), ("D", "Optimal D", ".3~s")
    )
    drawn = plane.held(rows)
    if not drawn:
        return []
    chart, colour = alt.Chart(values(drawn)), light("frontier")
    line = chart.mark_line(color=colour, strokeWidth=3, clip=True).encode(*plane.xy, tooltip=tips)
    layers = [line, *words(plane, drawn[len(drawn) // 2], "compute-optimal", colour=colour, dx=-10, dy=16)]
    if best.lower is None:
        return layers
    wide = alt.Chart(values(plane.held(rows, along=("lower", "upper"))))
    band = wide.mark_area(color=colour, opacity=1, fillOpacity=0.16, clip=True)
    return [band.encode(*plane.between("lower", "upper")), *layers]


def _answers_inside(view: DenseView, measured: tuple[float, float]) -> list[Answer]:
    """Return the answers near enough to the sweep to be drawn without squeezing its points."""
    asked = [a for a in view.answers if a.question == "trainingFlops" and a.loss is not None]
    return [a for a in asked if measured[0] <= a.at <= measured[1] * 30]


def _answer_marks(answers: Sequence[Answer], plane: Plane) -> list[alt.Chart]:
    """Return the answers to spec.ask as diamonds with their intervals."""
    rows = plane.held(plane.held(map(_answer_row, answers)), along=("lower", "upper"))
    if not rows:
        return []
    tips = tooltips(("C", "Asked (FLOPs)", ".3~e"), ("loss", "Optimal loss", ".4f"), ("best", "Train", ""))
    chart, colour = alt.Chart(values(rows)), light("frontier")
    bars = chart.mark_rule(color=colour, strokeWidth=2, clip=True)
    diamonds = chart.mark_point(
        shape="diamond", filled=True, size=150, opacity=1, color=colour, stroke=light("surface"), strokeWidth=1.5
    )
    return [bars.encode(*plane.between("lower", "upper")), diamonds.encode(*plane.xy, tooltip=tips)]


def _answer_row(a: Answer) -> Row:
    assert a.loss is not None
    best = [f"{name} {count(i.value)}" for name, i in (("N", a.parameters), ("D", a.tokens)) if i is not None]
    low, high = (a.loss.value if limit is None else limit for limit in (a.loss.lower, a.loss.upper))
    return {"C": a.at, "loss": a.loss.value, "lower": low, "upper": high, "best": ", ".join(best)}
