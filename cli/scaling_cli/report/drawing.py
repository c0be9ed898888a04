"""What the charts share: the view of the evidence that they draw, and the marks that recur."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import altair as alt

from scaling_api.v1alpha1.status import Answer
from scaling_cli.report.axes import Plane, tooltips
from scaling_cli.report.evidence import DensePoint, evenly
from scaling_cli.report.surface import Compute, DenseLaw
from scaling_cli.report.theme import Scale, light
from scaling_laws.points import FloatArray

Drawing: TypeAlias = alt.LayerChart | alt.FacetChart
WIDTH, HEIGHT = 800, 400
HALF_WIDTH, HALF_HEIGHT = 420, 320
MAX_NAMED = 6
"""Sizes that a legend names and that have a curve: more than that no reader tells apart."""


@dataclass(frozen=True)
class DenseView:
    """What the charts of the dense law are drawn from."""

    points: Sequence[DensePoint]
    """As many as are drawn."""
    law: DenseLaw | None
    compute: Compute | None
    sizes: Scale
    answers: Sequence[Answer]
    has_treatments: bool = False
    """Whether tooltips name the treatment."""


def dots(view: DenseView, plane: Plane) -> list[alt.Chart]:
    """Return the trials as dots: filled where the law was fitted on them, hollow elsewhere."""
    tips = tooltips(
        ("size", "N", ""),
        ("D", "D", ".3~s"),
        ("C", "FLOPs", ".3~e"),
        ("loss", "Loss (nats)", ".4f"),
        ("seed", "Seed", "d"),
        ("trial", "Trial", ""),
    )
    tips += tooltips(("predicted", "Predicted", ".4f")) if view.law else []
    tips += tooltips(("treatment", "Treatment", "")) if view.has_treatments else []
    x, y = plane.xy
    colour = size_colour(view.sizes)
    base: dict[str, Any] = {"strokeWidth": 1.3, "size": 58, "clip": True}
    fitted = [_row(p) for p in view.points if p.is_fitted]
    others = [_row(p) for p in view.points if not p.is_fitted]
    solid = alt.Chart(values(fitted)).mark_point(filled=True, stroke=light("surface"), opacity=1, **base)
    hollow = alt.Chart(values(others)).mark_point(filled=False, opacity=1, shape="diamond", **base)
    return [
        chart.encode(x, y, color=colour, tooltip=tips) for chart, rows in ((solid, fitted), (hollow, others)) if rows
    ]


def words(plane: Plane, row: Mapping[str, object], text: str, *, colour: str, dx: float, dy: float) -> list[alt.Chart]:
    """Return a label beside a point, left of it for a negative dx, readable on whatever lies beneath."""
    align: Literal["left", "right"] = "left" if dx > 0 else "right"
    chart = alt.Chart(values([{**row, "text": text}]))
    style: dict[str, Any] = {"align": align, "dx": dx, "dy": dy, "fontWeight": 600, "fontSize": 12}
    halo = chart.mark_text(color=light("surface"), stroke=light("surface"), strokeWidth=4, strokeOpacity=0.8, **style)
    return [mark.encode(*plane.xy, text="text:N") for mark in (halo, chart.mark_text(color=colour, **style))]


def size_colour(sizes: Scale) -> alt.Color:
    """Return the colour of a model's size, with its legend."""
    scale = alt.Scale(domain=list(sizes.domain), range=sizes.range)
    named = evenly(sizes.domain, MAX_NAMED)
    legend = alt.Legend(title="N", symbolType="circle", values=named)
    return alt.Color("size:N", scale=scale, sort=None, legend=legend)


def table(**columns: FloatArray) -> list[dict[str, float]]:
    """Return columns of equal length as rows."""
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [dict(zip(columns, map(short, row), strict=True)) for row in rows]


def values(rows: Sequence[Mapping[str, Any]]) -> alt.InlineData:
    """Return rows as a chart's inline data."""
    return alt.InlineData(values=list(rows))


def short(value: float) -> float:
    """Return the value with seven significant digits: what a chart can show, in half the bytes."""
    return float(f"{value:.7g}")


def _row(p: DensePoint) -> dict[str, object]:
    return {
        "N": p.N,
        "D": p.D,
        "C": p.C,
        "loss": short(p.loss),
        "size": p.size,
        "seed": p.seed,
        "trial": p.trial,
        "treatment": p.treatment,
        "predicted": None if p.predicted is None else short(p.predicted),
    }
