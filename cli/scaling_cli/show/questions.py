"""Comparisons and predictions as tables."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from scaling_cli.show.laws import finding_blocks
from scaling_cli.show.numbers import count, significant
from scaling_cli.show.tables import new_table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from scaling_cli.fitting import FitReport
    from scaling_laws.answers.attribution import Model
    from scaling_laws.answers.compare import Compared
    from scaling_laws.answers.prediction import Prediction


_CRITERIA: Final = ("aic", "bic")


def question_blocks(report: "FitReport") -> "Iterator[RenderableType]":
    """Yield what was asked beyond the law."""
    if report.predictions:
        yield from _predictions(report.predictions)
    if report.compared:
        yield from _comparison(report.compared)


def _title(text: str) -> "RenderableType":
    from rich.text import Text

    return Text(f"\n{text}", style="bold")


def _predictions(predictions: "tuple[Prediction, ...]") -> "Iterator[RenderableType]":
    yield _title("Expected")
    table = new_table("model", "value", "interval of the mean", "one run", left=("model",))
    for found in predictions:
        shown = count if found.quantity in {"N", "D"} else None
        number = significant(found.value, 5) if shown is None else shown(found.value)
        value = number if found.quantity == "loss" else f"{found.quantity} {number}"
        mean, run = _pair(found.lower, found.upper, shown), _pair(found.run_lower, found.run_upper)
        table.add_row(_model(found.model), value, mean, run)
    yield table
    notes = {(str(f.code), f"{_model(found.model)}: {f.message}") for found in predictions for f in found.findings}
    yield from finding_blocks(sorted(notes))


def _comparison(entries: "tuple[Compared, ...]") -> "Iterator[RenderableType]":
    yield _title("Forms side by side")
    labels = list(dict.fromkeys(test.held_out for entry in entries for test in entry.backtests))
    columns = ["k", "R²", "ΔAIC", "ΔBIC", "CV", *(str(i) for i in range(1, len(labels) + 1)), "a"]
    table = new_table("form", *columns, left=("form",))
    table.collapse_padding = True
    for column in table.columns[1:]:
        column.no_wrap = True
    least = {name: min((e.criteria[name] for e in entries if name in e.criteria), default=0.0) for name in _CRITERIA}
    for entry in entries:
        table.add_row(*_cells(entry, labels, least))
    for row in _rules(entries, labels):
        table.add_row(*row, style="dim")
    table.caption, table.caption_justify, table.caption_style = _legend(labels), "left", "dim"
    yield table
    refused = [(entry.form, entry.refused.message) for entry in entries if entry.refused is not None]
    left_out = [(entry.form, entry.left_out) for entry in entries if entry.left_out is not None]
    yield from finding_blocks([*refused, *left_out])


def _cells(entry: "Compared", labels: list[str], least: "Mapping[str, float]") -> list[str]:
    law = entry.law
    if law is None:
        return [entry.form, "–", *["–"] * (5 + len(labels))]
    tests = {test.held_out: _percent(test.law_error) for test in entry.backtests}
    return [
        entry.form,
        str(len(law.coefficients)),
        "–" if "r2" not in law.goodness else f"{law.goodness['r2']:.4f}",
        *("–" if name not in entry.criteria else f"{entry.criteria[name] - least[name]:.1f}" for name in _CRITERIA),
        "–" if entry.cross_validated_error is None else _percent(entry.cross_validated_error),
        *(tests.get(label, "–") for label in labels),
        "–" if entry.exponents is None else f"{entry.exponents[0]:.3f}",
    ]


def _rules(entries: "tuple[Compared, ...]", labels: list[str]) -> "Iterator[list[str]]":
    """Yield what rules that anyone could use would have missed in the same back-tests."""
    tests = {test.held_out: test for entry in entries for test in entry.backtests}
    if not labels:
        return
    yield ["power law without E", *[""] * 5, *(_percent(tests[label].power_law_error) for label in labels), ""]
    yield ["last value", *[""] * 5, *(_percent(tests[label].last_value_error) for label in labels), ""]


def _legend(labels: list[str]) -> str:
    lines = [
        "k: coefficients; ΔAIC, ΔBIC: above the least, by Student's t; errors in %",
        "CV: mean error of points whose trajectory was left out; a: N* ~ C^a",
        *(f"{i}: mean error with {label.rstrip(',')} held out" for i, label in enumerate(labels, start=1)),
    ]
    return "\n".join(lines)


def _percent(error: float) -> str:
    return f"{100 * error:.2f}"


def _pair(lower: float | None, upper: float | None, shown: Callable[[float], str] | None = None) -> str:
    told = shown or (lambda x: significant(x, 4))
    return "–" if lower is None or upper is None else f"[{told(lower)}, {told(upper)}]"


def _model(model: "Model") -> str:
    return ", ".join(f"{name} {x if isinstance(x, str) else count(x)}" for name, x in model.items())
