"""Trials as a table for people."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import TrialRecord
from scaling_cli.show.numbers import count, duration, significant
from scaling_cli.show.tables import new_table

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

_WIDE = 100
_LONGEST_CELL = 16
"""That is never folded."""
_SHORT_ID = 8
"""Characters that `scaling logs --trial` takes as well."""
STATE_STYLES = {
    TrialState.RUNNING: "cyan", TrialState.FAILED: "red", TrialState.DIVERGED: "red",
    TrialState.INTERRUPTED: "yellow", TrialState.PENDING: "dim",
}  # fmt: skip


def trial_rows(records: Sequence[TrialRecord], *, width: int = _WIDE) -> "Table":
    """Return a row for each trial: what it is, where it stands, what came of it.

    Args:
        records: of the trials.
        width: of the terminal; in a narrow one, what is the same for all is left out, and ids are cut.
    """
    columns = [column for column in _COLUMNS if column.is_shown(records, is_narrow=width < _WIDE)]
    table = new_table(*(column.name for column in columns), left=[column.name for column in columns if column.is_left])
    table.collapse_padding = width < _WIDE
    rows = [[column.cell(record, width) for column in columns] for record in records]
    for column, shown, cells in zip(columns, table.columns, zip(*rows, strict=True), strict=True):
        shown.no_wrap = column.name != "why" and max(map(len, cells)) <= _LONGEST_CELL
    for row in rows:
        table.add_row(*row)
    return table


@dataclass(frozen=True)
class _Column:
    name: str
    cell: "Callable[[TrialRecord, int], str | Text]"
    is_left: bool = False
    may_go: bool = False
    """In a narrow terminal, where all trials have the same."""
    is_used: Callable[[TrialRecord], object] = lambda record: True
    """The column is shown where this is true of any trial."""

    def is_shown(self, records: Sequence[TrialRecord], *, is_narrow: bool) -> bool:
        if not any(self.is_used(record) for record in records):
            return False
        is_same = len({str(self.cell(record, _WIDE)) for record in records}) == 1
        return not (is_same and (self.name == "treatment" or (is_narrow and self.may_go)))


def _state(record: TrialRecord, _width: int) -> "Text":
    from rich.text import Text

    return Text(record.status.state.value, style=STATE_STYLES.get(record.status.state, ""))


def _time(record: TrialRecord, _width: int) -> str:
    return duration(record.status.timings.seconds) if record.status.timings else "–"


def _why(record: TrialRecord) -> str:
    failure = record.status.failure
    return "" if failure is None else f"{failure.reason}: {failure.message}"


_COLUMNS = (
    _Column("trial", lambda r, width: r.spec.id if width >= _WIDE else r.spec.id[:_SHORT_ID], is_left=True),
    _Column("kind", lambda r, _: r.spec.kind.value, is_left=True),
    _Column("N", lambda r, _: count(r.spec.parameters.matmul)),
    _Column("D", lambda r, _: count(r.spec.tokens)),
    _Column("seed", lambda r, _: str(r.spec.seed), may_go=True),
    _Column("pipeline", lambda r, _: r.spec.pipeline.name, is_left=True, may_go=True),
    _Column("treatment", lambda r, _: r.spec.treatment.name, is_left=True),
    _Column("state", _state, is_left=True),
    _Column("attempts", lambda r, _: str(r.status.attempts), may_go=True),
    _Column("loss", lambda r, _: significant(r.status.metrics.loss, 5),
            is_used=lambda r: r.status.metrics.loss is not None),
    _Column("time", _time, is_used=lambda r: r.status.timings, may_go=True),
    _Column("why", lambda r, _: _why(r), is_left=True, is_used=lambda r: r.status.failure),
)  # fmt: skip
