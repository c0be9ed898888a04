"""How an experiment stands, by its journal: a fold over rows, in which the order of late ones does not matter."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import FailureClass, TrialRecord, TrialSpec
from scaling_trainer.driver.rows import Changed, JournalRow, Merged, Metered, Spending
from scaling_trainer.executors.failures import failure

SETTLED: Final = frozenset({TrialState.SUCCEEDED, TrialState.DIVERGED, TrialState.CACHED})
"""States that stand for ever: the trial is what it is."""
NOTHING: Final = Spending()


@dataclass(slots=True)
class Entry:
    """One trial."""

    at: datetime
    record: TrialRecord
    counted_flops: float = 0.0
    """Training FLOPs of its attempts that have ended, repeated work included."""

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
        self.spent: dict[str, Spending] = {}
        self.first_start: datetime | None = None
        self._open: dict[tuple[str, str], float | None] = {}  # attempts without an end: (epoch, trial) to FLOPs so far

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
                self._spend(epoch, row.spent)
                for (of_epoch, trial), _ in list(self._open.items()):
                    if of_epoch == epoch and trial in row.running:
                        self._open[of_epoch, trial] = row.running[trial]
            case Merged():
                self.spent |= {name: spent for name, spent in row.spent.items() if self._is_more(name, spent)}
                self._begun_at(row.first_start)
        return False

    def apply_merged(self, row: Changed, *, epoch: str, is_late: bool = False) -> None:
        """Take a row of a merged segment into account: its FLOPs are part of the header's spending."""
        self._change(row, epoch=epoch, is_late=is_late, is_counted=True)

    def close_attempts(self, *, at: datetime) -> None:
        """End every attempt whose end nobody has seen: its driver is gone, and it counts as far as it is known to be.

        An attempt that has never told how far it was counts whole.
        """
        for (epoch, trial), so_far in self._open.items():
            if (entry := self.entries.get(trial)) is None:
                continue
            flops = entry.record.spec.flops if so_far is None else so_far
            self._spend(epoch, Spending(training_flops=flops))
            entry.counted_flops += flops
            if entry.record.status.state is TrialState.RUNNING:
                entry.at, entry.record = at, _interrupted(entry.record)
        self._open.clear()

    def total(self) -> Spending:
        """Return what all epochs have spent."""
        return sum(self.spent.values(), NOTHING)

    def needed_flops(self, trial: TrialSpec) -> float:
        """Return the FLOPs that are still to be spent on a trial, if its attempts so far have left what they did."""
        entry = self.entries.get(trial.id)
        return trial.flops if entry is None else max(0.0, trial.flops - entry.counted_flops)

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
        if not is_counted:
            self._spend(epoch, Spending(training_flops=row.flops))
        if status.state is TrialState.RUNNING:
            self._open[epoch, id_] = None
            self._begun_at(row.at)
        else:
            self._open.pop((epoch, id_), None)
        known = self.entries.get(id_)
        if known is None:
            self.entries[id_] = Entry(row.at, row.record, row.flops)
            return True
        known.counted_flops = max(known.counted_flops, row.flops) if is_counted else known.counted_flops + row.flops
        if known.is_settled or (is_late and status.state not in SETTLED):
            return False
        known.at, known.record = row.at, row.record
        return True

    def _spend(self, epoch: str, spent: Spending) -> None:
        self.spent[epoch] = self.spent.get(epoch, NOTHING) + spent

    def _is_more(self, epoch: str, spent: Spending) -> bool:
        """Whether a merged segment knows more of an epoch's spending than is known: two may have read the same rows."""
        known = self.spent.get(epoch, NOTHING)
        return (spent.training_flops, spent.accelerator_seconds) >= (known.training_flops, known.accelerator_seconds)

    def _begun_at(self, at: datetime | None) -> None:
        starts = [start for start in (at, self.first_start) if start is not None]
        self.first_start = min(starts, default=None)


def _interrupted(record: TrialRecord) -> TrialRecord:
    why = failure(
        FailureClass.INFRASTRUCTURE,
        "DriverLost",
        "The driver ended during the attempt; the trial goes on from its last checkpoint.",
    )
    update = {"state": TrialState.INTERRUPTED, "failure": why}
    return record.model_copy(update={"status": record.status.model_copy(update=update)})
