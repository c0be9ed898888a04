"""The figures of the report: which charts there are, what they say, and why one is missing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaling_api.v1alpha1.status import Answer
from scaling_cli.report.evidence import evenly
from scaling_cli.report.numbers import count, flops, nats, plural, size, span
from scaling_cli.report.view import ReportView

if TYPE_CHECKING:
    from scaling_cli.report.drawing import DenseView, Drawing

MAX_POINTS = 800

NAMES = ("loss-compute", "isoloss-map", "residuals", "predicted-observed", "loss-bytes", "coefficients", "penalties")


@dataclass(frozen=True)
class Figure:
    """A chart with its words."""

    name: str
    """File name without extension."""
    title: str
    caption: str
    """How it is to be read."""
    alt: str
    """What it shows, for readers who do not see it."""
    chart: "Drawing | None"
    missing: str = ""
    """Why there is no chart."""
    is_wide: bool = False


def figures(view: ReportView) -> list[Figure]:
    """Return all figures in the order of the page."""
    makers: tuple[Callable[[ReportView], Figure], ...] = (
        _loss_compute,
        _isoloss_map,
        _residuals,
        _predicted_observed,
        _coefficients,
        _loss_bytes,
        _penalties,
    )
    return [make(view) for make in makers]


def _loss_compute(view: ReportView) -> Figure:
    from scaling_cli.report.charts_dense import loss_by_compute

    curves = " Curves are the fitted law, one a size, dotted beyond the size's own points." if view.surface else ""
    best = " The orange line is the best loss that each budget can buy, with its interval." if view.surface else ""
    asked = " Diamonds answer the budgets asked about." if view.analysis.answers and view.surface else ""
    return Figure(
        "loss-compute",
        "Loss against compute",
        f"Each dot is a dense model.{curves}{best}{asked}{_hollow(view)}",
        _alt_compute(view),
        loss_by_compute(_dense(view)) if view.points else None,
        _no_points(view),
        is_wide=True,
    )


def _isoloss_map(view: ReportView) -> Figure:
    from scaling_cli.report.chart_isoloss import isoloss_map

    lines = " Along a blue line the law expects the same loss; the deeper the shade, the lower." if view.surface else ""
    best = " The orange line is compute-optimal." if view.surface else ""
    alt = f"Map of parameters against training tokens with {plural(len(view.points), 'point')}." + lines
    return Figure(
        "isoloss-map",
        "Where the loss is equal",
        f"{lines} Along a dashed line training costs the same.{best}".strip(),
        alt,
        isoloss_map(_dense(view)) if view.points else None,
        _no_points(view),
    )


def _residuals(view: ReportView) -> Figure:
    from scaling_cli.report.charts_dense import residual_grid

    shown = [abs(p.residual) for p in view.points if p.residual is not None and p.is_fitted]
    alt = f"Residuals over the grid; the largest is {max(shown):.2%} of the loss." if shown else ""
    return Figure(
        "residuals",
        "Residuals over the grid",
        "Up: the model did worse than the law says; down: better. Signs should look shuffled: a run of one sign along "
        "an edge or a diagonal means that the form does not fit.",
        alt,
        residual_grid(_dense(view)) if shown else None,
        _no_surface(view),
    )


def _predicted_observed(view: ReportView) -> Figure:
    from scaling_cli.report import charts_dense

    chart: Drawing | None = None
    if view.surface and view.points:
        chart = charts_dense.predicted_by_observed(_dense(view))
    elif view.law is not None and len(view.law.fitted):
        chart = charts_dense.observed_by_fitted(view.law)
    return Figure(
        "predicted-observed",
        "Predicted against observed",
        "On the dashed line the law is exact" + ("; the grey band is ±1 %." if view.surface else "."),
        "Observed against predicted loss; the points should lie along the diagonal.",
        chart,
        _no_law(view),
    )


def _loss_bytes(view: ReportView) -> Figure:
    from scaling_cli.report.charts_compression import loss_by_bytes

    chart = loss_by_bytes(view.models, view.pipelines) if view.models else None
    return Figure(
        "loss-bytes",
        "Loss against stored size",
        "Each mark is a model as it would be served. The orange steps are the best loss that fits into so many bytes; "
        "thin lines join the models of one pipeline at the largest D, faint marks saw less data.",
        _alt_bytes(view),
        chart,
        "No finished trial has recorded its stored size.",
        is_wide=True,
    )


def _coefficients(view: ReportView) -> Figure:
    from scaling_cli.report.chart_coefficients import MAX_ROWS, forest

    law = view.law
    more = f" The first {MAX_ROWS} are drawn." if law and len(law.coefficients) > MAX_ROWS else ""
    level = f"{law.level:.0%} " if law else ""
    return Figure(
        "coefficients",
        "Coefficients",
        f"Estimates with their {level}intervals, each on its own scale.{more}",
        "Forest plot of the coefficients; the table below has the same numbers.",
        forest(law) if law and law.coefficients else None,
        _no_law(view),
    )


def _penalties(view: ReportView) -> Figure:
    from scaling_cli.report.charts_compression import penalty_by_tokens
    from scaling_cli.report.penalties import penalty_predictor

    points, laws = view.analysis.pipeline_points, view.pipeline_laws
    predict = penalty_predictor(points, view.surface)
    curves = " Curves are the candidate that predicted the largest D best." if laws else ""
    return Figure(
        "penalties",
        "What compression costs",
        f"Loss of the compressed model minus that of its control, one panel a pipeline on its own scale.{curves}",
        f"Penalties of {plural(len({p.pipeline for p in points}), 'pipeline')} against training tokens.",
        penalty_by_tokens(points, laws, predict, sizes=view.sizes, order=view.pipelines.domain) if points else None,
        "The sweep has no finished compressed model with a measured control.",
        is_wide=True,
    )


def _dense(view: ReportView) -> "DenseView":
    from scaling_cli.report.drawing import DenseView

    return DenseView(
        points=evenly(view.points, MAX_POINTS),
        law=view.surface,
        compute=view.compute,
        sizes=view.sizes,
        answers=_own(view),
        has_treatments=len({p.treatment for p in view.points}) > 1,
    )


def _own(view: ReportView) -> list[Answer]:
    """Return the answers of the law that the charts draw."""
    return [a for a in view.analysis.answers if view.primary and a.law == view.primary.request.name]


def _hollow(view: ReportView) -> str:
    apart = any(not p.is_fitted for p in view.points)
    thin = f" {MAX_POINTS:,} of {len(view.points):,} points are drawn." if len(view.points) > MAX_POINTS else ""
    return (" Hollow diamonds are not in the fit." if apart else "") + thin


def _alt_compute(view: ReportView) -> str:
    if not view.points:
        return ""
    worst, best = max(view.points, key=lambda p: p.loss), min(view.points, key=lambda p: p.loss)
    return (
        f"Scatter plot: the loss falls from {nats(worst.loss)} nats at {flops(worst.C)} FLOPs to {nats(best.loss)} "
        f"nats at {flops(best.C)} FLOPs, over models of {span([p.N for p in view.points])} parameters."
    )


def _alt_bytes(view: ReportView) -> str:
    front = sorted((m for m in view.models if m.is_pareto), key=lambda m: m.stored_bytes)
    if not front:
        return ""
    ends = [
        f"{m.pipeline}, N {count(m.N)}, at {size(m.stored_bytes)} with {nats(m.loss)} nats"
        for m in (front[0], front[-1])
    ]
    return f"Loss against stored bytes; the Pareto front runs from {ends[0]}, to {ends[1]}."


def _no_points(view: ReportView) -> str:
    return "" if view.points else "No dense trial has finished with a loss yet."


def _no_law(view: ReportView) -> str:
    return "" if view.law else "There is no law to draw; the verdict says why."


def _no_surface(view: ReportView) -> str:
    if view.law is None:
        return _no_law(view)
    return "The law is not one over N and D." if view.surface is None else "No point is in the fit."
