"""Comparisons, predictions, attributions and trials to add, as tables."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from scaling_cli.show.laws import finding_blocks
from scaling_cli.show.numbers import count, power, significant
from scaling_cli.show.tables import new_table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from scaling_cli.fitting import FitReport
    from scaling_laws.answers.attribution import Attribution, Model
    from scaling_laws.answers.compare import Compared
    from scaling_laws.answers.next_trials import NextTrials
    from scaling_laws.answers.prediction import Prediction


def question_blocks(report: "FitReport") -> "Iterator[RenderableType]":
    """Yield what was asked beyond the law."""
    if report.predictions:
        yield from _predictions(report.predictions)
    for attribution in report.attributions:
        yield from _attribution(attribution)
    if report.next_trials is not None:
        yield from _next(report.next_trials)
    if report.compared:
        yield from _comparison(report.compared)


def _title(text: str) -> "RenderableType":
    from rich.text import Text

    return Text(f"\n{text}", style="bold")


def _predictions(predictions: "tuple[Prediction, ...]") -> "Iterator[RenderableType]":
    yield _title("Expected")
    table = new_table("model", "value", "interval of the mean", "one run", left=("model",))
    for found in predictions:
        mean, run = _pair(found.lower, found.upper), _pair(found.run_lower, found.run_upper)
        table.add_row(_model(found.model), significant(found.value, 5), mean, run)
    yield table


def _attribution(found: "Attribution") -> "Iterator[RenderableType]":
    yield _title(f"From {significant(found.start, 5)} to {significant(found.end, 5)}: what is due to what")
    table = new_table("", "from", "to", "change", "interval", left=("",))
    for part in found.parts:
        start, end = (x if isinstance(x, str) else count(x) for x in (part.start, part.end))
        table.add_row(part.name, start, end, f"{part.value:+.4f}", _pair(part.lower, part.upper))
    table.add_row("together", "", "", f"{found.difference:+.4f}", _pair(found.lower, found.upper))
    mixed = _pair(found.interaction_lower, found.interaction_upper)
    table.add_row("of which interaction", "", "", f"{found.interaction:+.4f}", mixed)
    yield table
    yield from finding_blocks((str(f.code), f.message) for f in found.findings)


def _next(found: "NextTrials") -> "Iterator[RenderableType]":
    yield _title(f"Trials that shrink the interval of L({power(found.target_flops)} FLOPs) most for their cost")
    if not found.proposals:
        from rich.text import Text

        yield Text("None: the FLOPs pay for no trial that would help.")
        return
    table = new_table("add", "N", "D", "FLOPs", "width, nats", left=("add",))
    table.add_row("as it is", "", "", "", significant(found.width, 3))
    for proposal in found.proposals:
        cells = (proposal.kind.lower(), count(proposal.N), count(proposal.D), power(proposal.flops))
        table.add_row(*cells, significant(proposal.width, 3))
    yield table


def _comparison(entries: "tuple[Compared, ...]") -> "Iterator[RenderableType]":
    yield _title("Forms side by side")
    labels = list(dict.fromkeys(test.held_out for entry in entries for test in entry.backtests))
    columns = ["form", "coefficients", "R²", "AIC", "BIC", "cross-validated"]
    columns += [f"back-test {i}" for i in range(1, len(labels) + 1)]
    table = new_table(*columns, "N* ~ C^", left=("form",))
    for entry in entries:
        table.add_row(*_cells(entry, labels))
    notes = "; ".join(f"{i}: {label.rstrip(',')} held out" for i, label in enumerate(labels, start=1))
    table.caption = f"AIC and BIC under Student's t; errors are mean relative ones. {notes}"
    table.caption_justify, table.caption_style = "left", "dim"
    yield table
    refused = [(entry.form, entry.refused.message) for entry in entries if entry.refused is not None]
    yield from finding_blocks(refused)


def _cells(entry: "Compared", labels: list[str]) -> list[str]:
    law = entry.law
    if law is None:
        return [entry.form, "refused", *["–"] * (5 + len(labels))]
    tests = {test.held_out: f"{test.law_error:.2%}" for test in entry.backtests}
    error = entry.cross_validated_error
    return [
        entry.form,
        str(len(law.coefficients)),
        "–" if "r2" not in law.goodness else f"{law.goodness['r2']:.4f}",
        *("–" if name not in entry.criteria else f"{entry.criteria[name]:.1f}" for name in ("aic", "bic")),
        "–" if error is None else f"{error:.2%}",
        *(tests.get(label, "–") for label in labels),
        "–" if entry.exponents is None else f"{entry.exponents[0]:.3f}",
    ]


def _pair(lower: float | None, upper: float | None) -> str:
    return "–" if lower is None or upper is None else f"[{significant(lower, 4)}, {significant(upper, 4)}]"


def _model(model: "Model") -> str:
    return ", ".join(f"{name} {x if isinstance(x, str) else count(x)}" for name, x in model.items())
