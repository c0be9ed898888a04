"""The journal of one experiment in storage, as executors write to it and readers are served from it."""

import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import FailedAttempts, TrialRecord, TrialSpec, TrialStatus
from scaling_trainer.driver.feed import Feed
from scaling_trainer.driver.rows import (
    Changed,
    Merged,
    changed_line,
    line_of,
    record_json,
)
from scaling_trainer.driver.segments import next_epoch, read_journal, segment_name
from scaling_trainer.driver.writer import Batch, Writer
from scaling_trainer.executors.base import Remains
from scaling_trainer.journal import AttemptStarted, Metered, Row
from scaling_trainer.spending.amounts import NOTHING, Spending
from scaling_trainer.spending.tally import Tally
from scaling_trainer.storage.errors import StorageError
from scaling_trainer.storage.files import Files
from scaling_trainer.storage.store import Store

_MERGED_EVERY: Final = 256  # segments


class ExperimentJournal:
    """One epoch: what all epochs have left, and what this one adds. The ledger of the driver's executors.

    `sync` does not wait for storage: a row is served once it is there, and an executor goes on meanwhile, for what a
    lost row says is in the trial's own files too. Trials' rows come from one thread; all else from any.
    """

    def __init__(self, files: Files, folder: str, *, store: Store) -> None:
        """Read what is in storage and begin an epoch.

        Args:
            files: whose calls fail at once where storage cannot be used.
            folder: of the experiment, relative to the storage.
            store: of the trials' files.

        Raises:
            StorageError: storage cannot be used.
        """
        found = read_journal(store.files, folder)
        self.warnings = found.warnings
        self.epoch: str = next_epoch(list(found.last))
        self.feed = Feed(self.epoch)
        self._standing = found.standing
        self._standing.close_attempts(at=_now())
        self._tally = Tally(self._standing.account)
        self._files = files
        self._folder = folder
        self._store = store
        self._lock = threading.RLock()
        self._through = dict(found.last)
        self._specs: Mapping[str, TrialSpec] = {}
        self._pending: list[bytes] = []
        self._sequence = 0
        self._has_begun = False
        self._other_files: list[Batch] = []
        for entry in self._standing.in_order():
            self.feed.add(entry.at, record_json(entry.record))
        self.feed.show(self.feed.length)  # these are in storage
        self._writer = Writer(files, self._next_batch)
        self._writer.wake()

    def records(self) -> Mapping[str, TrialRecord]:
        """See `Ledger`."""
        with self._lock:
            entries = self._standing.entries.items()
            return {id_: entry.record for id_, entry in entries if entry.record.status.state.is_finished}

    def attempts(self, trial_id: str) -> int:
        """See `Ledger`."""
        return self._standing.attempts[trial_id]

    def failed_attempts(self, trial_id: str) -> FailedAttempts:
        """See `Ledger`."""
        entry = self._standing.entries.get(trial_id)
        return (entry.record.status.failed_attempts if entry else None) or FailedAttempts()

    def append(self, row: Row) -> None:
        """See `Ledger`."""
        if isinstance(row, AttemptStarted):
            self._started(row)
        else:
            self._ended(row.record, row.at)

    def sync(self) -> None:
        """Have the rows written soon; see the class."""
        if self._pending:
            self._writer.wake()

    def remains(self, trial_id: str) -> Remains:
        """Return whether an earlier attempt may have left something: the lane looks for it in storage."""
        return Remains(is_there=self.attempts(trial_id) > 0)

    def discard(self, trial_id: str, checkpoint: Path) -> bool:
        """Return whether storage has no result of the trial: the lane that found it damaged has removed it."""
        del checkpoint  # its content was checked where it was fetched
        try:
            return not self._store.find(trial_id).committed
        except StorageError:  # the next attempt will see
            return False

    def located(self, status: TrialStatus) -> TrialStatus:
        """Return `status` as it is: lanes name checkpoints as storage has them."""
        return status

    def follow(self, trials: Iterable[TrialSpec]) -> None:
        """Make `trials` those that attempts are begun at."""
        specs = {trial.id: trial for trial in trials}
        with self._lock:
            self._specs = specs
            self._standing.share_specs(specs.values())

    def found(self, record: TrialRecord) -> None:
        """Write down a result that was found in storage."""
        self._change(record, _now(), flops=0.0)

    def progressed(self, trial_id: str, step: int) -> None:
        """An attempt has come to a step."""
        with self._lock:
            self._tally.progress(trial_id, step)

    def spend(self, spent: Spending) -> None:
        """Write down what was spent beside attempts, and how far those that run are."""
        with self._lock:
            row = Metered(at=_now(), spent=spent, running=self._tally.so_far())
            self._standing.apply(row, epoch=self.epoch)
            self._pending.append(line_of(row))
        self._writer.wake()

    def keep_file(self, name: str, content: bytes) -> None:
        """Write a file beside the journal, in time."""
        name = f"{self._folder}/{name}"
        with self._lock:
            self._other_files.append(Batch(name, content, lambda: None))
        self._writer.wake()

    def spent(self) -> Spending:
        """Return what was spent over all epochs, by attempts that run too, as far as they have told."""
        with self._lock:
            return self._tally.spent()

    def needed_flops(self, trial: TrialSpec) -> float:
        """Return the FLOPs that are still to be spent on a trial: none where its result stands."""
        with self._lock:
            return 0.0 if self.is_settled(trial.id) else self._tally.needed_flops(trial)

    def flops_with(self, trial: TrialSpec, running: Iterable[TrialSpec]) -> float:
        """Return the FLOPs that will have been spent when `trial` and all that run have ended, if nothing fails."""
        with self._lock:
            return self._tally.flops_with(trial, running)

    def is_settled(self, trial_id: str) -> bool:
        """Whether a trial has the result that stands."""
        entry = self._standing.entries.get(trial_id)
        return entry is not None and entry.is_settled

    @property
    def first_start(self) -> datetime | None:
        """When the experiment's first attempt began."""
        return self._standing.account.first_start

    @property
    def trouble(self) -> str | None:
        """A sentence on why storage cannot be written, as long as that is so."""
        return self._writer.trouble

    def states(self) -> dict[TrialState, int]:
        """Return how many trials are in each state."""
        counts = dict.fromkeys(TrialState, 0)
        with self._lock:
            for entry in self._standing.entries.values():
                counts[entry.record.status.state] += 1
        return counts

    def is_superseded(self) -> bool:
        """Whether a later epoch has begun.

        Raises:
            StorageError: storage cannot be used.
        """
        return max(self._store.files.folders(f"{self._folder}/journal"), default="") > self.epoch

    def drain(self, timeout_s: float) -> bool:
        """Wait until all rows are in storage; return whether they are."""
        return self._writer.drain(timeout_s)

    def close(self, timeout_s: float) -> bool:
        """Write what is left, within the time given; return whether all of it is in storage."""
        return self._writer.stop(timeout_s)

    def _started(self, row: AttemptStarted) -> None:
        spec = self._specs[row.trial]
        with self._lock:
            self._tally.begin(spec, number=row.attempt)
            entry = self._standing.entries.get(row.trial)
            failed = entry.record.status.failed_attempts if entry else None
            status = TrialStatus(state=TrialState.RUNNING, attempts=row.attempt, failed_attempts=failed)
            record = TrialRecord(spec=spec, status=status)
            self._change(record, row.at, flops=0.0)

    def _ended(self, record: TrialRecord, at: datetime) -> None:
        with self._lock:
            succeeded = record.status.state is TrialState.SUCCEEDED
            flops = self._tally.end(record.spec.id, has_succeeded=succeeded)
            self._change(record, at, flops=flops)

    def _change(self, record: TrialRecord, at: datetime, *, flops: float) -> None:
        content = record_json(record)
        with self._lock:
            self._pending.append(changed_line(at, content, flops=flops))
            if self._standing.apply(Changed(at=at, flops=flops, record=record), epoch=self.epoch):
                self.feed.add(at, content)

    def _next_batch(self) -> Batch | None:
        """Return what is to be written next; called by the writer's thread."""
        with self._lock:
            if self._other_files:
                return self._other_files.pop(0)
            if self._has_begun and not self._pending:
                return None
            self._sequence += 1
            is_merged = self._sequence % _MERGED_EVERY == 1
            lines = self._merged_lines() if is_merged else self._pending
            self._pending, self._has_begun = [], True
            last_row = self.feed.length
        name = segment_name(self._folder, self.epoch, self._sequence, is_merged=is_merged)
        return Batch(name, b"".join(lines), lambda: self.feed.show(last_row))

    def _merged_lines(self) -> list[bytes]:
        """Return the lines of a merged segment: all that is known, rows that are not written yet included."""
        entries = list(self._standing.in_order())
        header = Merged(
            through={**self._through, self.epoch: self._sequence},
            spent=self._standing.account.spent,
            first_start=self._standing.account.first_start,
            rows=len(entries) + 1,
        )
        flops = self._standing.account.counted_flops
        rows = [changed_line(e.at, record_json(e.record), flops=flops[e.record.spec.id]) for e in entries]
        running = Metered(at=_now(), spent=NOTHING, running=self._tally.so_far())
        return [line_of(header), *rows, line_of(running)]


def _now() -> datetime:
    return datetime.now(UTC)
