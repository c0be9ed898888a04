"""Charts of compression: loss against stored bytes, and each pipeline's penalty against data."""

from collections.abc import Sequence
from statistics import fmean

import altair as alt
import numpy as np

from scaling_cli.report.axes import Axis, Plane, extent, linear_extent, tooltips
from scaling_cli.report.drawing import HEIGHT, MAX_NAMED, WIDTH, Drawing, short, size_colour, values
from scaling_cli.report.evidence import StoredModel, evenly
from scaling_cli.report.numbers import count
from scaling_cli.report.penalties import PredictPenalty
from scaling_cli.report.theme import Scale, light
from scaling_laws.analysis import PipelineLaw, PipelinePoint

MAX_MODELS = 800
MAX_PANELS = 12
PANEL_WIDTH, PANEL_HEIGHT = 216, 190
PANEL_SPACING = 76


def loss_by_bytes(models: Sequence[StoredModel], pipelines: Scale) -> Drawing:
    """Draw loss against stored bytes: all models, those of the largest D joined a pipeline, the Pareto front."""
    shown = [m for m in models if m.is_pareto]
    shown += evenly([m for m in models if not m.is_pareto], MAX_MODELS)
    largest = {m.pipeline: m.D for m in sorted(models, key=lambda m: m.D)}
    plane = Plane(
        Axis("bytes", "Stored size (bytes)", extent([m.stored_bytes for m in models]), "bytes"),
        Axis("loss", "Held-out loss (nats)", linear_extent([m.loss for m in models]), "nats"),
    )
    tips = tooltips(
        ("pipeline", "Pipeline", ""),
        ("size", "N", ""),
        ("D", "D", ".3~s"),
        ("bytes", "Bytes", ".4~s"),
        ("loss", "Loss (nats)", ".4f"),
        ("seed", "Seed", "d"),
        ("trial", "Trial", ""),
    )
    colour = _pipeline_colour(pipelines)
    shape = alt.Shape("pipeline:N", scale=alt.Scale(domain=list(pipelines.domain), range=pipelines.shapes), sort=None)
    faint = alt.condition("datum.is_largest", alt.value(1.0), alt.value(0.38))
    dots = alt.Chart(values([_model_row(m) | {"is_largest": largest[m.pipeline] <= m.D} for m in shown])).mark_point(
        filled=True, opacity=1, size=62, clip=True
    )
    lines = alt.Chart(values(_means([m for m in models if largest[m.pipeline] <= m.D]))).mark_line(
        strokeWidth=1.3, strokeOpacity=0.55, clip=True
    )
    layers = [_front(models, plane), lines.encode(*plane.xy, colour, alt.Order("bytes:Q"))]
    return alt.layer(*layers, dots.encode(*plane.xy, colour, shape, fillOpacity=faint, tooltip=tips)).properties(
        width=WIDTH, height=HEIGHT
    )


def penalty_by_tokens(
    points: Sequence[PipelinePoint],
    laws: Sequence[PipelineLaw],
    predict: PredictPenalty,
    *,
    sizes: Scale,
    order: Sequence[str],
) -> Drawing:
    """Draw each pipeline's penalty against D, one panel a pipeline on its own scale, with the chosen candidate."""
    there = {p.pipeline for p in points}
    names = [name for name in order if name in there][:MAX_PANELS]
    shown = evenly([p for p in points if p.pipeline in names], MAX_MODELS)
    D = extent([p.D for p in shown])
    curves = [row for law in laws if law.pipeline in names for row in _curves(law, shown, D, predict)]
    zeros: list[dict[str, object]] = [{"mark": "zero", "pipeline": name, "penalty": 0} for name in names]
    chart = alt.Chart(values([*map(_penalty_row, shown), *curves, *zeros]))
    panel = _penalty_panel(chart, Axis("D", "Training tokens D", D, "count").x(), sizes)
    facet = alt.Facet("pipeline:N", title=None, sort=names, header=alt.Header(labelExpr="''", labelPadding=0))
    wide = panel.properties(width=PANEL_WIDTH, height=PANEL_HEIGHT)
    drawn: Drawing = (
        wide.facet(facet, columns=min(3, len(names)), spacing=PANEL_SPACING, bounds="flush")
        .resolve_scale(y="independent")
        .resolve_axis(x="independent")
    )
    return drawn


def _penalty_panel(chart: alt.Chart, x: alt.X, sizes: Scale) -> Drawing:
    """Return the layers of one panel: the zero line, the candidate's curves, the models, the pipeline's name."""
    axis, scale = alt.Axis(tickCount=4), alt.Scale(zero=True, nice=False, padding=9)
    y = alt.Y("penalty:Q", title="Penalty (nats)", axis=axis, scale=scale)
    tips = tooltips(
        ("pipeline", "Pipeline", ""),
        ("size", "N", ""),
        ("D", "D", ".3~s"),
        ("penalty", "Penalty", "+.4f"),
        ("control", "Control's loss", ".4f"),
        ("seed", "Seed", "d"),
        ("trial", "Trial", ""),
    )
    dots = chart.transform_filter("datum.mark == 'dot'").mark_point(
        filled=True, opacity=1, size=40, stroke=light("surface"), strokeWidth=1
    )
    lines = chart.transform_filter("datum.mark == 'curve'").mark_line(strokeWidth=1.7)
    zero = chart.transform_filter("datum.mark == 'zero'").mark_rule(color=light("axis"), strokeDash=[4, 3])
    # Facet headers move with each panel's axis labels; words at a fixed place stay in line.
    heading = chart.transform_filter("datum.mark == 'zero'").mark_text(
        align="left", dy=-10, fontWeight=600, fontSize=12.5, color=light("ink")
    )
    panel: Drawing = alt.layer(
        zero.encode(y=y),
        lines.encode(x, y, size_colour(sizes), alt.Detail("size:N"), alt.Order("D:Q")),
        dots.encode(x, y, size_colour(sizes), tooltip=tips),
        heading.encode(text="pipeline:N", x=alt.value(0), y=alt.value(0)),
    )
    return panel


def _front(models: Sequence[StoredModel], plane: Plane) -> alt.Chart:
    """Return the Pareto front as steps: the best loss that fits into so many bytes."""
    front = sorted((m for m in models if m.is_pareto), key=lambda m: m.stored_bytes)
    rows = [{"bytes": m.stored_bytes, "loss": short(m.loss)} for m in front]
    rows.append({"bytes": plane.across.limits[1], "loss": rows[-1]["loss"]})
    line = alt.Chart(values(rows)).mark_line(
        interpolate="step-after", color=light("pareto"), strokeWidth=2.4, strokeDash=[7, 3], clip=True
    )
    steps: alt.Chart = line.encode(*plane.xy)
    return steps


def _means(models: Sequence[StoredModel]) -> list[dict[str, object]]:
    """Return the mean over seeds of each pipeline and size."""
    groups: dict[tuple[str, float], list[StoredModel]] = {}
    for m in models:
        groups.setdefault((m.pipeline, m.N), []).append(m)
    return [
        {"pipeline": name, "bytes": fmean(m.stored_bytes for m in group), "loss": fmean(m.loss for m in group)}
        for (name, _), group in groups.items()
    ]


def _model_row(m: StoredModel) -> dict[str, object]:
    return {
        "pipeline": m.pipeline,
        "size": count(m.N),
        "D": m.D,
        "bytes": m.stored_bytes,
        "loss": short(m.loss),
        "seed": m.seed,
        "trial": m.trial,
    }


def _pipeline_colour(pipelines: Scale) -> alt.Color:
    scale = alt.Scale(domain=list(pipelines.domain), range=pipelines.range)
    return alt.Color("pipeline:N", scale=scale, sort=None, legend=alt.Legend(title="Pipeline"))


def _penalty_row(p: PipelinePoint) -> dict[str, object]:
    return {
        "mark": "dot",
        "pipeline": p.pipeline,
        "size": count(p.N),
        "D": p.D,
        "penalty": short(p.penalty),
        "control": short(p.control_loss),
        "seed": p.seed,
        "trial": p.trial,
    }


def _curves(
    law: PipelineLaw, points: Sequence[PipelinePoint], D: tuple[float, float], predict: PredictPenalty
) -> list[dict[str, object]]:
    tokens = np.geomspace(*D, 30)
    measured = [0.0, *(p.penalty for p in points if p.pipeline == law.pipeline)]
    low, high = min(measured), max(measured)
    room = (high - low) or 1.0  # a curve that runs away shall not squeeze the points
    sizes = evenly(sorted({p.N for p in points if p.pipeline == law.pipeline}), MAX_NAMED)
    curves = [(N, penalties) for N in sizes if (penalties := predict(law, N, tokens)) is not None]
    return [
        {"mark": "curve", "pipeline": law.pipeline, "size": count(N), "D": short(d), "penalty": short(penalty)}
        for N, penalties in curves
        for d, penalty in zip(tokens.tolist(), penalties.tolist(), strict=True)
        if low - room <= penalty <= high + room
    ]
