"""How an experiment stands, by its journal: a fold over rows, in which the order of late ones does not matter."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import FailedAttempts, FailureClass, TrialRecord, TrialSpec
from scaling_trainer.driver.rows import Changed, JournalRow, Merged
from scaling_trainer.executors.failures import failure
from scaling_trainer.journal import Metered
from scaling_trainer.spending.account import Account

SETTLED: Final = frozenset({TrialState.SUCCEEDED, TrialState.DIVERGED, TrialState.CACHED})
"""States that stand for ever: the trial is what it is."""


@dataclass(slots=True)
class Entry:
    """One trial."""

    at: datetime
    record: TrialRecord

    @property
    def is_settled(self) -> bool:
        """Whether it has the result that stands."""
        return self.record.status.state in SETTLED


class Standing:
    """Every trial, how often it was tried, and what was spent."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.entries: dict[str, Entry] = {}
        self.attempts: Counter[str] = Counter()
        self.account = Account()

    def apply(self, row: JournalRow, *, epoch: str, is_late: bool = False) -> bool:
        """Take a row of an epoch into account; return whether a trial stands otherwise than before.

        Args:
            row: in the order of its epoch.
            epoch: that wrote it.
            is_late: a later epoch has begun without knowing it. Its results count where there are none.
        """
        match row:
            case Changed():
                return self._change(row, epoch=epoch, is_late=is_late)
            case Metered():
                self.account.spend(epoch, row.spent)
                self.account.come_to(epoch, row.running)
            case Merged():
                self.account.merge(row.spent, row.first_start)
        return False

    def apply_merged(self, row: Changed, *, epoch: str, is_late: bool = False) -> None:
        """Take a row of a merged segment into account: its FLOPs are part of the header's spending."""
        self._change(row, epoch=epoch, is_late=is_late, is_counted=True)

    def close_attempts(self, *, at: datetime) -> None:
        """End every attempt whose end nobody has seen: its driver is gone."""
        for trial in self.account.close_all():
            entry = self.entries[trial]
            if entry.record.status.state is TrialState.RUNNING:
                entry.at, entry.record = at, _interrupted(entry.record)

    def in_order(self) -> Iterator[Entry]:
        """Yield all trials in the order of their last changes."""
        yield from sorted(self.entries.values(), key=lambda entry: entry.at)

    def share_specs(self, trials: Iterable[TrialSpec]) -> None:
        """Let records of trials that are the same as in a plan share the plan's objects, to save memory."""
        for trial in trials:
            entry = self.entries.get(trial.id)
            if entry is not None and entry.record.spec is not trial and entry.record.spec == trial:
                entry.record = TrialRecord.model_construct(spec=trial, status=entry.record.status)

    def _change(self, row: Changed, *, epoch: str, is_late: bool, is_counted: bool = False) -> bool:
        id_, status = row.record.spec.id, row.record.status
        self.attempts[id_] = max(self.attempts[id_], status.attempts)
        self._count(row, epoch=epoch, is_counted=is_counted)
        known = self.entries.get(id_)
        if known is None:
            self.entries[id_] = Entry(row.at, row.record)
            return True
        if known.is_settled or (is_late and status.state not in SETTLED):
            return False
        known.at, known.record = row.at, row.record
        return True

    def _count(self, row: Changed, *, epoch: str, is_counted: bool) -> None:
        trial = row.record.spec
        count = self.account.known if is_counted else self.account.end
        count(epoch, trial.id, flops=row.flops)
        if row.record.status.state is TrialState.RUNNING:
            self.account.begin(epoch, trial.id, at=row.at, whole_flops=trial.flops)


def _interrupted(record: TrialRecord) -> TrialRecord:
    why = failure(
        FailureClass.INFRASTRUCTURE,
        "DriverLost",
        "The driver ended during the attempt; the trial goes on from its last checkpoint.",
    )
    failed = (record.status.failed_attempts or FailedAttempts()).and_one(FailureClass.INFRASTRUCTURE)
    update = {"state": TrialState.INTERRUPTED, "failure": why, "failed_attempts": failed}
    return record.model_copy(update={"status": record.status.model_copy(update=update)})
