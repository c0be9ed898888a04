"""What happened in a results folder, attempt by attempt, by its journal."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scaling_cli.results import open_results
from scaling_trainer.journal import AttemptEnded, AttemptStarted, JournalRow, read_journal

_LOOK_AGAIN_S: Final = 1.0


@dataclass(frozen=True)
class Told:
    """A line about an attempt."""

    trial: str
    text: str


def told_of(folder: Path, *, follow: bool) -> Iterator[Told]:
    """Yield a line for the beginning and the end of each attempt over all runs; followed, as they come, for ever.

    Raises:
        CommandError: it is no results folder.
    """
    path = open_results(folder).path
    seen = 0
    while True:
        lines = list(_lines(read_journal(path / "journal").rows))
        yield from lines[seen:]
        seen = len(lines)
        if not follow:
            return
        time.sleep(_LOOK_AGAIN_S)


def printed_by(folder: Path, trial: str) -> Sequence[Path]:
    """Return the files that hold what lanes printed; with a trial's id, of those that it ran on."""
    rows = read_journal(folder / "journal").rows
    lanes = {row.lane for row in rows if isinstance(row, AttemptStarted) and row.trial.startswith(trial)}
    found = (path for lane in sorted(lanes) for path in sorted((folder / "logs").glob(f"*-lane{lane}.log")))
    return [path for path in found if path.stat().st_size]


def _lines(rows: Sequence[JournalRow]) -> Iterator[Told]:
    for row in rows:
        match row:
            case AttemptStarted():
                yield _told(row, row.trial, f"attempt {row.attempt} begins, on core {row.lane}")
            case AttemptEnded():
                yield _told(row, row.record.spec.id, _end(row))


def _told(row: AttemptStarted | AttemptEnded, trial: str, text: str) -> Told:
    return Told(trial, f"{row.at:%Y-%m-%dT%H:%M:%SZ} trial {trial}: {text}")


def _end(row: AttemptEnded) -> str:
    status = row.record.status
    loss = f", loss {status.metrics.loss:.6g}" if status.metrics.loss is not None else ""
    why = status.failure
    return f"{status.state}{loss}{f', {why.failure_class}, {why.reason}: {why.message}' if why else ''}"
