"""The coefficients of a law with their intervals, each on its own scale."""

import altair as alt

from scaling_cli.report.axes import tooltips
from scaling_cli.report.drawing import HALF_WIDTH, Drawing, values
from scaling_cli.report.numbers import estimate, interval, symbol
from scaling_cli.report.theme import light
from scaling_laws.law import Estimate, Law

ROW_HEIGHT = 24
MAX_ROWS = 24
_LABEL = (
    "datum.value !== 0 && (abs(datum.value) >= 1e7 || abs(datum.value) < 1e-4)"
    " ? replace(format(datum.value, '.3~e'), '+', '') : format(datum.value, ',.4~r')"
)


def forest(law: Law) -> Drawing:
    """Draw one row a coefficient: the estimate, its interval, and zero where it is near."""
    shown = law.coefficients[:MAX_ROWS]
    names = [_heading(c) for c in shown]
    chart = alt.Chart(values([_row(c) for c in shown]))
    x = alt.X(
        "value:Q", axis=alt.Axis(title=None, tickCount=4, labelExpr=_LABEL), scale=alt.Scale(zero=False, nice=True)
    )
    tips = tooltips(("name", "Coefficient", ""), ("text", "Estimate", ""))
    colour = light("terrain")
    bar = chart.mark_rule(color=colour, strokeWidth=5, strokeOpacity=0.35, strokeCap="round")
    dot = chart.mark_point(filled=True, color=colour, size=95, opacity=1, stroke=light("surface"), strokeWidth=1.5)
    zero = chart.mark_rule(color=light("frontier"), strokeDash=[3, 3])
    shows_zero = alt.condition("datum.zero === 0", alt.value(1), alt.value(0))
    row = alt.layer(
        zero.encode(x=alt.X("zero:Q"), opacity=shows_zero),
        bar.encode(x=alt.X("lower:Q"), x2="upper:Q"),
        dot.encode(x, tooltip=tips),
    )
    header = alt.Header(labelAnchor="start", labelPadding=2, labelFontSize=12.5, labelLimit=HALF_WIDTH)
    facet = alt.Facet("heading:N", title=None, sort=names, header=header)
    panel = row.properties(width=HALF_WIDTH, height=ROW_HEIGHT)
    drawn: Drawing = panel.facet(facet, columns=1, spacing=12).resolve_scale(x="independent")
    return drawn


def _row(c: Estimate) -> dict[str, object]:
    low, high = (c.value if limit is None else limit for limit in (c.lower, c.upper))
    return {
        "name": symbol(c.name),
        "heading": _heading(c),
        "value": c.value,
        "lower": low,
        "upper": high,
        "zero": 0 if low < 0 < high else c.value,
        "text": _text(c),
    }


def _text(c: Estimate) -> str:
    return f"{estimate(c.value, c.standard_error)} {interval(c.lower, c.upper)}".removesuffix(" –")


def _heading(c: Estimate) -> str:
    return f"{symbol(c.name)} = {_text(c)}"
