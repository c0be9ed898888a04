"""The journal: what was begun and what came of it, one JSON object a line.

Each run of an experiment is an epoch with a file of its own, which only that run writes, and only at its end. A row is
a whole line or none: a write that fails is undone. What power failures and full disks leave behind all the same, a
torn last line, and whatever else is not a row, is left out with a warning: a trial whose result is lost that way is
run again, to the same numbers.
"""

import errno
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field, TypeAdapter

from scaling_api.v1alpha1.base import TrialId
from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import TrialRecord
from scaling_trainer.durable import sync_folder, write_all
from scaling_trainer.lines import Line
from scaling_trainer.spending.amounts import Amount, Spending


class AttemptStarted(Line):
    """A lane has begun an attempt."""

    event: Literal["started"] = "started"
    trial: TrialId
    attempt: Annotated[int, Field(ge=1)]
    lane: int
    at: datetime
    flops: Amount = 0.0
    """Training FLOPs of the whole trial."""


class AttemptEnded(Line):
    """An attempt has ended. It is the trial's result where its state is a finished one."""

    event: Literal["ended"] = "ended"
    record: TrialRecord
    at: datetime
    flops: Amount | None = None
    """Training FLOPs that the attempt is counted with; not known of attempts that nobody counted."""


class Metered(Line):
    """What was spent since the row of this kind before it in the same epoch, attempts that ended aside."""

    event: Literal["metered"] = "metered"
    at: datetime
    spent: Spending
    running: dict[TrialId, Amount] = Field(default_factory=dict)
    """Training FLOPs so far of attempts that run, as far as they have told."""


Row: TypeAlias = AttemptStarted | AttemptEnded
JournalRow: TypeAlias = Row | Metered
_ROW: Final[TypeAdapter[JournalRow]] = TypeAdapter(Annotated[JournalRow, Field(discriminator="event")])


@dataclass(frozen=True)
class Journal:
    """All epochs' rows, in order."""

    rows: tuple[JournalRow, ...]
    warnings: tuple[str, ...]
    """One sentence for each file with something that is not a row."""


class JournalWriter:
    """Appends rows to the file of one epoch. Not for use from several threads."""

    def __init__(self, path: Path) -> None:
        """Begin the file.

        Raises:
            FileExistsError: the epoch has been begun before.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        self._descriptor = os.open(path, flags, 0o644)
        self._path = path
        self._size = 0
        self._is_synced = True
        sync_folder(path.parent)

    def append(self, row: JournalRow) -> None:
        """Write `row`, whole or not at all. It survives this process at once, and the machine after `sync`.

        Raises:
            OSError: it could not be written; the file is as it was.
        """
        line = row.model_dump_json().encode() + b"\n"
        try:
            write_all(self._descriptor, line)
        except OSError:
            os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(line)
        self._is_synced = False

    def sync(self) -> None:
        """Bring all rows to disk.

        Raises:
            FileNotFoundError: the file was removed: what is written to it now would be lost.
        """
        if self._is_synced:
            return
        os.fsync(self._descriptor)
        if os.fstat(self._descriptor).st_nlink == 0:
            raise FileNotFoundError(errno.ENOENT, "The journal was removed during the run", str(self._path))
        self._is_synced = True

    def close(self) -> None:
        """Bring all rows to disk and close the file; closing again does nothing."""
        if self._descriptor >= 0:
            try:
                self.sync()
            finally:
                os.close(self._descriptor)
                self._descriptor = -1


def read_journal(folder: Path) -> Journal:
    """Return the rows of all epochs in `folder`, and a warning for each file with lines that are no rows."""
    rows: list[JournalRow] = []
    warnings: list[str] = []
    for path in epoch_files(folder):
        good, bad = _read_file(path)
        rows += good
        warnings += _warnings(path, bad)
    return Journal(tuple(rows), tuple(warnings))


def epoch_files(folder: Path) -> list[Path]:
    """Return the epochs' files, in order."""
    return sorted((path for path in folder.glob("*.jsonl") if path.stem.isdecimal()), key=lambda path: int(path.stem))


def epoch_file(folder: Path, epoch: int) -> Path:
    """Where an epoch's rows are."""
    return folder / f"{epoch:04}.jsonl"


def results_of(rows: Iterable[JournalRow]) -> dict[str, TrialRecord]:
    """Return each trial's result by its id: the first success or divergence, else the last failure."""
    results: dict[str, TrialRecord] = {}
    for row in rows:
        if isinstance(row, AttemptEnded):
            add_result(results, row.record)
    return results


def add_result(results: dict[str, TrialRecord], record: TrialRecord) -> None:
    """Put `record` into `results` if it is its trial's result, so far as is known with it."""
    known = results.get(record.spec.id)
    is_open = known is None or known.status.state is TrialState.FAILED
    if is_open and record.status.state.is_finished:
        results[record.spec.id] = record


def attempts_of(rows: Iterable[JournalRow]) -> Counter[str]:
    """Return the number of attempts begun at each trial, by its id."""
    return Counter(row.trial for row in rows if isinstance(row, AttemptStarted))


@dataclass(frozen=True)
class _BadLine:
    number: int
    is_torn: bool


def _read_file(path: Path) -> tuple[list[JournalRow], list[_BadLine]]:
    rows: list[JournalRow] = []
    bad: list[_BadLine] = []
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            rows.append(_ROW.validate_json(line))
        except ValueError:
            bad.append(_BadLine(number, is_torn=number == len(lines)))
    return rows, bad


def _warnings(path: Path, bad: Iterable[_BadLine]) -> Iterator[str]:
    broken = [line.number for line in bad if not line.is_torn]
    if broken:
        which = f"line {broken[0]} of {path} is" if len(broken) == 1 else f"{_numbered(broken)} of {path} are"
        yield (
            f"{which[0].upper()}{which[1:]} damaged and left out; if a trial's result was there, the trial is run "
            "again, to the same numbers, by the next run of the experiment."
        )
    if any(line.is_torn for line in bad):
        yield (
            f"The last line of {path} was cut off, as a power failure or a full disk does, and is left out; if a "
            "trial's result was there, the trial is run again, to the same numbers, by the next run of the experiment."
        )


def _numbered(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:5]))
    return f"lines {shown}" + (f" and {len(numbers) - 5} more" if len(numbers) > 5 else "")
