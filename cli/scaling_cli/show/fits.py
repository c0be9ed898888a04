"""What `scaling fit` prints."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from scaling_cli.show.answers import answer_blocks
from scaling_cli.show.laws import factor_blocks, law_blocks
from scaling_cli.show.questions import question_blocks

if TYPE_CHECKING:
    from rich.console import RenderableType

    from scaling_cli.fitting import FitReport


def report_blocks(report: "FitReport") -> "Iterator[RenderableType]":
    """Yield what was read, the law, and the answers."""
    from rich.text import Text

    table = report.table
    if table.columns:
        read = ", ".join(f"{role} from {column!r}" for role, column in table.columns.items() if role != column)
        if read:
            yield Text(f"Read {read}.", style="dim")
    for note in table.notes:
        yield Text(note, style="dim")
    yield Text()
    yield from law_blocks(report.law, title=report.law.form)
    yield from factor_blocks(report.law)
    yield from answer_blocks((*report.answers, *report.told))
    yield from question_blocks(report)
