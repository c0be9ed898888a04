"""What is due to what between two models, and the trials to add, as tables."""

from scaling_api.v1alpha1.status import Answer, Interval
from scaling_cli.report.numbers import MISSING, count, flops, nats, significant
from scaling_cli.report.tables import Table
from scaling_cli.report.view import ReportView


def change_tables(view: ReportView) -> list[Table]:
    """Return a table for each difference between two models, and for each set of trials to add."""
    answers = [answer for answer in view.analysis.answers if answer.refused is None]
    attributed = [_attribution(answer) for answer in answers if answer.question == "attribute"]
    return attributed + [_proposals(answer) for answer in answers if answer.question == "nextTrials"]


def _attribution(answer: Answer) -> Table:
    rows = [(part.name, *_change(part)) for part in answer.parts]
    rows.append(("together", *_change(answer.change)))
    rows.append(("of which interaction", *_change(answer.interaction)))
    title = f"What is due to what, by {answer.law}: pair {answer.at:.0f}"
    return Table(title, ("", "Change (nats)", "Interval"), rows, frozenset({1, 2}), (f"From {answer.models}.",))


def _change(interval: Interval | None) -> tuple[str, str]:
    if interval is None:
        return MISSING, MISSING
    if interval.lower is None or interval.upper is None:
        return nats(interval.value, signed=True), MISSING
    return nats(
        interval.value, signed=True
    ), f"{nats(interval.lower, signed=True)} to {nats(interval.upper, signed=True)}"


def _proposals(answer: Answer) -> Table:
    target = flops(answer.training_flops)
    rows = [
        (
            f"{row.trials} × {row.kind.lower()}",
            count(row.parameters),
            count(row.tokens),
            flops(row.training_flops),
            f"± {significant(row.width / 2, 2)}",
        )
        for row in answer.proposals
    ]
    now = MISSING if answer.width is None or answer.loss is None else f"± {significant(answer.width / 2, 2)}"
    loss = MISSING if answer.loss is None else nats(answer.loss.value)
    notes = (
        f"The least loss at {target} FLOPs is expected to be {loss} nats, known to {now} as it is; each row counts "
        "those above it. A trunk is a new model, a branch the decay from a trunk at D, an extension a trunk that goes "
        "on first.",
    )
    columns = ("Add", "Parameters N", "Tokens D", "FLOPs", f"Loss at {target} is then known to")
    title = f"Trials to add for {flops(answer.at)} FLOPs, by {answer.law}"
    return Table(title, columns, rows, frozenset({1, 2, 3, 4}), notes)
