"""The (N, D) plane: isoloss lines of the law, lines of equal compute, the points and the frontier."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np

from scaling_cli.report.axes import Axis, Plane, extent, tooltips
from scaling_cli.report.drawing import HALF_HEIGHT, HALF_WIDTH, DenseView, Drawing, dots, short, table, values, words
from scaling_cli.report.numbers import flops, significant
from scaling_cli.report.surface import DenseLaw, Span, frontier
from scaling_cli.report.theme import light
from scaling_laws.points import FloatArray


def isoloss_map(view: DenseView) -> Drawing:
    """Draw the plane; without a law, the points and the lines of equal compute alone."""
    N, D = extent([p.N for p in view.points], margin=0.2), extent([p.D for p in view.points], margin=0.25)
    plane = Plane(Axis("N", "Parameters N", N, "count"), Axis("D", "Training tokens D", D, "count"))
    lines, budgets = _isoflops(view, plane)
    layers = [*_terrain(view, plane), *lines, *_valley(view, plane), *budgets, *dots(view, plane)]
    return alt.layer(*layers).properties(width=HALF_WIDTH, height=HALF_HEIGHT + 40)


def _terrain(view: DenseView, plane: Plane) -> list[alt.Chart]:
    """Return isoloss lines, each with the region of lower loss shaded a little deeper."""
    if view.law is None:
        return []
    lines = [_isoloss(view.law, level, plane) for level in _levels(view.law, plane)]
    rows = [row for line in lines for row in line]
    if not rows:
        return []
    terrain, order, level = light("terrain"), alt.Order("N:Q"), alt.Detail("loss:N")
    fill = alt.Chart(values(rows)).mark_area(color=terrain, opacity=1, fillOpacity=0.085, clip=True)
    edge = alt.Chart(values([r for r in rows if r["open"]]))
    line = edge.mark_line(color=terrain, strokeWidth=1, strokeOpacity=0.8, clip=True)
    return [
        fill.encode(*plane.between("D", "top"), level),
        line.encode(*plane.xy, level, order),
        *_level_labels(lines, plane),
    ]


def _isoloss(law: DenseLaw, loss: float, plane: Plane) -> list[dict[str, object]]:
    """Return one isoloss line in closed form, held at the plane's lower edge where it passes beneath it."""
    (left, right), (low, high) = plane.across.limits, plane.up.limits
    # Evenly spaced along both axes: the line is steep at one end and flat at the other.
    N = np.append(np.geomspace(left, right, 40), law.parameters_for(loss, np.geomspace(low, high, 40)))
    N = np.unique(N[(left <= N) & (right >= N)])
    tokens = law.tokens_for(loss, N)
    kept = np.isfinite(tokens) & (tokens <= high * 1.001)
    return [
        {
            "loss": short(loss),
            "text": significant(loss),
            "N": short(n),
            "D": short(max(d, low)),
            "top": high,
            "open": bool(d >= low * 0.999),
        }
        for n, d in zip(N[kept], tokens[kept], strict=True)
    ]


def _levels(law: DenseLaw, plane: Plane) -> FloatArray:
    """Return round losses, about ten, over the losses that the plane holds."""
    N, D = plane.across.limits, plane.up.limits
    low, high = (float(law.loss(n, d)) for n, d in ((N[1], D[1]), (N[0], D[0])))
    if not (np.isfinite([low, high]).all() and high > low):
        return np.array([])
    raw = (high - low) / 11
    power = 10 ** np.floor(np.log10(raw))
    step = power * next(m for m in (1, 2, 2.5, 5, 10) if m * power >= raw)
    levels: FloatArray = np.arange(np.ceil(low / step), np.floor(high / step) + 1)[::-1] * step
    return levels


def _level_labels(lines: Sequence[Sequence[dict[str, object]]], plane: Plane) -> list[alt.Chart]:
    """Return the losses beside their lines' ends: above the lower edge, or left of the right one."""
    right, low = plane.across.limits[1], plane.up.limits[0]
    ends = [line[-1] for drawn in lines if len(line := [row for row in drawn if row["open"]]) > 3]
    below = [row for row in ends if float(str(row["D"])) < low * 1.02 and float(str(row["N"])) < right * 0.93]
    beside = [row for row in ends if float(str(row["D"])) > low * 1.15]
    style = {"color": light("muted"), "fontSize": 10.5}
    places: list[tuple[list[dict[str, object]], dict[str, Any]]] = [
        (below, style | {"align": "left", "dx": 5, "dy": -7}),
        (beside, style | {"align": "right", "dx": -6, "dy": 10}),
    ]
    return [alt.Chart(values(rows)).mark_text(**how).encode(*plane.xy, text="text:N") for rows, how in places if rows]


def _isoflops(view: DenseView, plane: Plane) -> tuple[list[alt.Chart], list[alt.Chart]]:
    """Return lines of equal training compute, a few round budgets, and their labels, which no line shall cross."""
    if view.compute is None:
        return [], []
    N, (low, high) = np.geomspace(*plane.across.limits, 40), plane.up.limits
    per_token = view.compute.rule(N)
    lines = [_isoflop(C, N, C / per_token, (low, high)) for C in _budgets(per_token[0] * low, per_token[-1] * high)]
    labels = [_budget_label(line) for line in lines if len(line) > 8]
    rows = [row for line in lines for row in line]
    if not rows:
        return [], []
    line = alt.Chart(values(rows)).mark_line(color=light("axis"), strokeDash=[2, 4], strokeWidth=1.2, clip=True)
    return [line.encode(*plane.xy, alt.Detail("C:N"))], _budget_labels(labels, plane)


def _budget_labels(labels: Sequence[dict[str, object]], plane: Plane) -> list[alt.Chart]:
    """Return the words of budgets on a halo that hides what lies beneath."""
    if not labels:
        return []
    style: dict[str, Any] = {"fontSize": 10.5, "align": "left", "dx": 6, "dy": -5}
    chart, surface = alt.Chart(values(labels)), light("surface")
    halo = chart.mark_text(color=surface, stroke=surface, strokeWidth=4, strokeOpacity=0.85, **style)
    marks = (halo, chart.mark_text(color=light("muted"), **style))
    return [mark.encode(*plane.xy, text="text:N") for mark in marks]


def _budget_label(line: Sequence[dict[str, object]]) -> dict[str, object]:
    """Return the label of a line of equal compute, a little inside its upper end."""
    return line[len(line) // 10 + 1] | {"text": f"{flops(float(str(line[0]['C'])))} FLOPs"}


def _budgets(low: float, high: float) -> list[float]:
    """Return round budgets between two: every power of ten, and 3 times it where there are few."""
    exponents = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    steps = (1, 3) if len(exponents) <= 4 else (1,)
    return [C for C in (float(f"{step}e{k}") for k in exponents for step in steps) if low < C < high]


def _isoflop(C: float, N: FloatArray, D: FloatArray, limits: tuple[float, float]) -> list[dict[str, object]]:
    kept = (limits[0] < D) & (limits[1] > D)
    return [{"C": C, "N": short(n), "D": short(d)} for n, d in zip(N[kept], D[kept], strict=True)]


def _valley(view: DenseView, plane: Plane) -> list[alt.Chart]:
    """Return the frontier over the plane."""
    if view.law is None or view.compute is None:
        return []
    N, D = plane.across.limits, plane.up.limits
    per_token = view.compute.rule(np.array(N))
    best = frontier(view.law, view.compute, (per_token[0] * D[0], per_token[1] * D[1]))
    if best is None:
        return []
    rows = [
        row
        for row in table(N=best.N, D=best.D, C=best.C, loss=best.loss)
        if N[0] <= row["N"] <= N[1] and D[0] <= row["D"] <= D[1]
    ]
    tips = tooltips(
        ("C", "FLOPs", ".3~e"), ("N", "Optimal N", ".3~s"), ("D", "Optimal D", ".3~s"), ("loss", "Optimal loss", ".4f")
    )
    if len(rows) < 2:
        return []
    colour = light("frontier")
    line = alt.Chart(values(rows)).mark_line(color=colour, strokeWidth=3, clip=True)
    dx, dy = (9, 12) if _is_left(rows, N) else (-9, -9)
    label = words(plane, rows[2 * len(rows) // 3], "compute-optimal", colour=colour, dx=dx, dy=dy)
    return [line.encode(*plane.xy, alt.Order("C:Q"), tooltip=tips), *label]


def _is_left(rows: Sequence[dict[str, float]], N: Span) -> bool:
    """Whether the middle of the line leaves room for words at its right."""
    return bool(np.log(rows[2 * len(rows) // 3]["N"] / N[0]) < 0.6 * np.log(N[1] / N[0]))
