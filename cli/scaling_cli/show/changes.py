"""What is due to what between two models, and which trials to add, as tables."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from scaling_cli.show.numbers import count, power, significant
from scaling_cli.show.tables import new_table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from scaling_api.v1alpha1.status import Answer, Interval, ProposalStatus

_PLURALS: Final = {"Branch": "branches", "Extension": "extensions", "Trunk": "trunks"}
_KINDS: Final = (
    "trunk: a new model with a seed of its own; branch: the decay from a trunk at D; extension: a trunk that goes on "
    "to D first, and its branch there"
)
_NO_LIMITS: Final = (
    "No limits: they come from bootstrap draws, which this law has none of. Linear makes them with --intervals pairs "
    "(clusters: cluster-pairs), other forms with --bootstrap 1000."
)


def attribution_table(laws: str, answer: "Answer") -> "Iterator[RenderableType]":
    """Yield the parts of the difference between two models; they add up to the last line but one."""
    from rich.text import Text

    assert answer.change is not None
    yield Text(f"{laws}: from {answer.models}")
    table = new_table("", "change, nats", "interval", left=("",))
    for part in answer.parts:
        table.add_row(part.name, *_change(part))
    table.add_row("together", *_change(answer.change))
    if answer.interaction is not None:
        table.add_row("of which interaction", *_change(answer.interaction))
    yield table
    if answer.change.lower is None and answer.change.upper is None:
        yield Text(_NO_LIMITS, style="dim")


def proposals_table(laws: str, answer: "Answer") -> "Iterator[RenderableType]":
    """Yield what to run, what it costs, and what the interval becomes, row by row."""
    from rich.text import Text

    assert answer.loss is not None
    target = power(answer.training_flops or 0.0)
    yield Text(f"{laws}, for at most {power(answer.at)} FLOPs: trials that shrink the interval of L({target}) most")
    if not answer.proposals:
        yield Text("None: the FLOPs pay for no trial that would help.")
        return
    table = new_table("add", "N", "D", "FLOPs", f"L({target}) is then known as", left=("add",))
    table.add_row("nothing", "", "", "", _known(answer.loss.value, answer.width))
    for row in answer.proposals:
        cells = (_trials(row), count(row.parameters), count(row.tokens), power(row.training_flops))
        table.add_row(*cells, _known(answer.loss.value, row.width))
    together = power(sum(row.training_flops for row in answer.proposals))
    table.caption = f"together {together} FLOPs; each row counts those above it\n{_KINDS}"
    table.caption_justify, table.caption_style = "left", "dim"
    yield table


def _trials(row: "ProposalStatus") -> str:
    return f"{row.trials} {_PLURALS.get(row.kind, row.kind) if row.trials > 1 else row.kind.lower()}"


def _known(loss: float, width: float | None) -> str:
    return "–" if width is None else f"{significant(loss, 4)} ± {significant(width / 2, 2)}"


def _change(interval: "Interval") -> tuple[str, str]:
    if interval.lower is None or interval.upper is None:
        return _signed(interval.value), "–"
    return _signed(interval.value), f"[{_signed(interval.lower)}, {_signed(interval.upper)}]"


def _signed(nats: float) -> str:
    return "0" if nats == 0 else f"{nats:+.4f}"
