"""Tables of laws and answers, as text: what each cell says is decided here, how it looks is not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from scaling_api.v1alpha1.status import Answer, Interval
from scaling_cli.report.numbers import (
    MISSING,
    count,
    count_interval,
    estimate,
    flops,
    interval,
    nats,
    plural,
    significant,
    symbol,
)
from scaling_cli.report.story import asked, spread
from scaling_cli.report.view import ReportView
from scaling_laws.analysis import FittedLaw
from scaling_laws.law import Law


@dataclass(frozen=True)
class Table:
    """Cells of text; columns named in `numeric` are aligned right."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    numeric: frozenset[int] = frozenset()
    notes: tuple[str, ...] = field(default=())
    """Sentences beneath."""


def coefficient_tables(view: ReportView) -> list[Table]:
    """Return a table a fitted law; laws that share their dense stage share it."""
    groups: dict[tuple[object, ...], list[FittedLaw]] = {}
    for entry in view.analysis.laws:
        if entry.law is not None:
            groups.setdefault((entry.law.form, entry.law.coefficients, entry.request.parameters), []).append(entry)
    return [_coefficients(entries, entries[0].law) for entries in groups.values() if entries[0].law is not None]


def backtests_table(view: ReportView) -> Table | None:
    """Return how well the law that the charts draw predicts points that it was not fitted on."""
    rows = [
        (
            b.held_out.rstrip(", "),
            f"{b.fitted_points:,}",
            f"{b.held_out_points:,}",
            f"×{significant(b.compute_factor, 3)}",
            f"{b.law_error:.2%}",
            f"{b.law_largest_error:.2%}",
            f"{b.power_law_error:.2%}",
            f"{b.last_value_error:.2%}",
            MISSING if b.covered is None else f"{b.covered:.0%}",
        )
        for b in (view.primary.backtests if view.primary else ())
    ]
    columns = (
        "Held out",
        "Fitted on",
        "Predicted",
        "Compute bridged",
        "Mean error",
        "Largest error",
        "Power law without E",
        "Last value",
        "Inside the interval",
    )
    return Table("Back-tests", columns, rows, frozenset(range(1, 9))) if rows else None


def answers_table(view: ReportView) -> Table | None:
    """Return the answers to spec.ask that name a model to train, and all refused ones with the reason."""
    rows = [_answer(a) for a in view.analysis.answers if a.refused or not (a.change or a.proposals or a.width)]
    columns = (
        "Asked",
        "Law",
        "Pipeline",
        "Compute C",
        "Parameters N",
        "Tokens D",
        "D/N",
        "Expected loss (nats)",
        "Note",
    )
    return Table("Answers", columns, rows, frozenset({3, 4, 5, 6, 7})) if rows else None


def _coefficients(entries: Sequence[FittedLaw], law: Law) -> Table:
    extras = list(law.details)[:8]
    columns = ("Coefficient", "Estimate", "Standard error", f"{law.level:.0%} interval", *map(_heading, extras))
    rows = [
        (
            symbol(c.name),
            estimate(c.value, c.standard_error),
            estimate(c.standard_error, c.standard_error),
            interval(c.lower, c.upper),
            *(significant(law.details[extra].get(c.name)) for extra in extras),
        )
        for c in law.coefficients
    ]
    clusters = (
        f" in {plural(law.clusters, 'trajectory').replace('trajectorys', 'trajectories')}" if law.clusters else ""
    )
    notes = [
        f"{law.formula}. N counts {_CONVENTIONS[entries[0].request.parameters.value]}.",
        f"Fitted on {plural(law.points, 'point')}{clusters}; objective {law.objective_name} = {law.objective:.6g}; "
        f"intervals: {_words(law.interval_method.value)}.",
    ]
    notes += [_goodness(law.goodness)] if law.goodness else []
    notes += [_certificate(law)] if law.certificate else []
    return Table(_law_title(entries), columns, rows, frozenset(range(1, len(columns))), tuple(notes))


def _law_title(entries: Sequence[FittedLaw]) -> str:
    names = [f"{e.request.name} ({e.request.form})" for e in entries]
    return f"Law {names[0]}" if len(names) == 1 else f"Laws {' and '.join(names)}: the dense law"


_CONVENTIONS = {
    "Matmul": "the matrices that multiply: blocks and head",
    "Blocks": "the matrices of the blocks",
    "Total": "everything, embeddings included",
}
_HEADINGS = {"hc3": "HC3", "cr3": "CR3", "cv3": "CV3", "vif": "VIF"}
_GOODNESS = {
    "r2": "R²",
    "adjusted_r2": "adjusted R²",
    "rmse_log": "RMS residual of log loss",
    "mean_relative_error": "mean relative error",
    "f": "F",
    "condition_number": "condition number",
}


def _heading(name: str) -> str:
    first, *rest = name.split("_")
    return " ".join([_HEADINGS.get(first, first), *rest]) if rest else _HEADINGS.get(first, first)


def _words(name: str) -> str:
    return {
        "WildClusterBootstrapT": "wild-cluster bootstrap-t",
        "PairsBootstrap": "pairs bootstrap",
        "None": "none",
        "ClusterPairsBootstrap": "pairs bootstrap over trajectories",
        "LeastSquares": "least squares",
    }.get(name, name)


def _goodness(goodness: Mapping[str, float]) -> str:
    return (
        "; ".join(f"{_GOODNESS.get(name, name.replace('_', ' '))} {significant(v)}" for name, v in goodness.items())
        + "."
    )


def _certificate(law: Law) -> str:
    c = law.certificate
    assert c is not None
    return (
        f"Certificate: scaled gradient {c.gradient_norm:.1e}, smallest curvature {c.smallest_curvature:.1e}, condition "
        f"number {c.condition_number:.1e}; {c.starts_agreeing} of {plural(c.starts, 'start')} agree."
    )


def _answer(a: Answer) -> tuple[str, ...]:
    note = a.refused or "; ".join(dict.fromkeys(f.code for f in a.findings))
    return (
        asked(a),
        a.law,
        a.pipeline or MISSING,
        flops(a.training_flops),
        _count(a.parameters),
        _count(a.tokens),
        _count(a.tokens_per_parameter),
        _loss(a.loss),
        note or MISSING,
    )


def _count(i: Interval | None) -> str:
    if i is None:
        return MISSING
    if i.lower == i.upper:  # no limits, or a choice among the sweep's own models, which has none
        return count(i.value)
    return f"{count(i.value)} {count_interval(i.lower, i.upper)}"


def _loss(i: Interval | None) -> str:
    if i is None:
        return MISSING
    if i.lower == i.upper:
        return nats(i.value)
    return f"{estimate(i.value, spread(i))} {interval(i.lower, i.upper)}"
