"""What an experiment's journal is made of: one JSON object a line."""

from datetime import datetime
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field, TypeAdapter

from scaling_api.driver_protocol import Epoch
from scaling_api.v1alpha1.trial import TrialRecord
from scaling_trainer.journal import Metered
from scaling_trainer.lines import Line
from scaling_trainer.spending.amounts import Amount, Spending


class Changed(Line):
    """A trial has changed: an attempt began or ended, a result was found."""

    event: Literal["changed"] = "changed"
    at: datetime
    flops: Amount = 0.0
    """Training FLOPs that the attempt which ended here is counted with. In a merged segment, all attempts of the trial
    together, which are part of the header's spending."""
    record: TrialRecord


class Merged(Line):
    """The first line of a segment that stands for all before it: its other lines are one row a trial."""

    event: Literal["merged"] = "merged"
    through: dict[Epoch, Annotated[int, Field(ge=0)]]
    """Number of the last segment of each epoch that it stands for."""
    spent: dict[Epoch, Spending]
    """By each epoch until then."""
    first_start: datetime | None = None
    """Of the experiment's first attempt."""
    rows: Annotated[int, Field(ge=0)]
    """Lines that follow. With fewer, the segment is damaged, and those that it stands for are read in its place."""


JournalRow: TypeAlias = Changed | Metered | Merged
_ROW: Final[TypeAdapter[JournalRow]] = TypeAdapter(Annotated[JournalRow, Field(discriminator="event")])


def parse_row(line: bytes) -> JournalRow:
    """Return the row on a line.

    Raises:
        ValueError: it is none.
    """
    return _ROW.validate_json(line)


def record_json(record: TrialRecord) -> bytes:
    """Return a record as the journal has it and as it is served."""
    return record.model_dump_json(exclude_none=True).encode()


def changed_line(at: datetime, record: bytes, *, flops: float) -> bytes:
    """Return the line of a `Changed` row, of a record that is JSON already."""
    return b'{"event":"changed","at":"%b","flops":%b,"record":%b}\n' % (_iso(at), repr(flops).encode(), record)


def line_of(row: Metered | Merged) -> bytes:
    """Return a row's line."""
    return row.model_dump_json(exclude_none=True).encode() + b"\n"


def served_row(number: int, at: datetime, record: bytes) -> bytes:
    """Return a row as `GET /v1/rows` has it."""
    return b'{"number":%d,"at":"%b","record":%b}' % (number, _iso(at), record)


def _iso(at: datetime) -> bytes:
    return at.isoformat().encode()
