"""What an experiment has spent on one machine, by the journal of its results folder."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import TrialSpec
from scaling_trainer.journal import AttemptEnded, AttemptStarted, JournalRow, Metered
from scaling_trainer.spending.account import Account
from scaling_trainer.spending.amounts import Spending
from scaling_trainer.spending.tally import Tally

_ONE: Final = ""  # the runs of a folder follow each other, so that they may count as one epoch


class Expenses:
    """All runs together, the one that goes on included."""

    def __init__(self, rows: Iterable[JournalRow]) -> None:
        """Count what earlier runs have left. An attempt whose end nobody has written counts as far as it told."""
        self._account = Account()
        self._tally = Tally(self._account)
        self._trials: dict[str, TrialSpec] = {}
        for row in rows:
            self._read(row)
        for _ in self._account.close_all():
            pass

    def follow(self, trials: Iterable[TrialSpec]) -> None:
        """Count attempts at these trials by their steps; others count whole."""
        self._trials = {trial.id: trial for trial in trials}

    def begin(self, row: AttemptStarted) -> None:
        """An attempt begins."""
        if (trial := self._trials.get(row.trial)) is not None:
            self._tally.begin(trial, number=row.attempt)
        self._account.begin(_ONE, row.trial, at=row.at, whole_flops=row.flops)

    def progressed(self, trial_id: str, step: int) -> None:
        """An attempt has come to a step."""
        self._tally.progress(trial_id, step)

    def end(self, row: AttemptEnded) -> AttemptEnded:
        """Count an attempt that has ended, and return the row with its FLOPs."""
        id_ = row.record.spec.id
        lost = self._account.lost(_ONE, id_)
        flops = self._tally.end(id_, has_succeeded=row.record.status.state is TrialState.SUCCEEDED)
        flops = flops if id_ in self._trials else lost
        self._account.end(_ONE, id_, flops=flops)
        return row.model_copy(update={"flops": flops})

    def meter(self, spent: Spending, *, at: datetime) -> Metered:
        """Count what was spent beside attempts, and return its row, with how far those are that run."""
        row = Metered(at=at, spent=spent, running=self._tally.so_far())
        self._read(row)
        return row

    def spent(self) -> Spending:
        """Return what was spent over all runs, by attempts that run too, as far as they have told."""
        return self._tally.spent()

    def needed_flops(self, trial: TrialSpec) -> float:
        """Return the FLOPs that are still to be spent on a trial, if its attempts so far have left what they did."""
        return self._tally.needed_flops(trial)

    def flops_with(self, trial: TrialSpec, running: Iterable[TrialSpec]) -> float:
        """Return the FLOPs that will have been spent when `trial` and all that run have ended, if nothing fails."""
        return self._tally.flops_with(trial, running)

    @property
    def first_start(self) -> datetime | None:
        """When the first attempt of all began."""
        return self._account.first_start

    def _read(self, row: JournalRow) -> None:
        match row:
            case AttemptStarted():
                if lost := self._account.lost(_ONE, row.trial):  # a run was killed, and this is the next one's attempt
                    self._account.end(_ONE, row.trial, flops=lost)
                self._account.begin(_ONE, row.trial, at=row.at, whole_flops=row.flops)
            case AttemptEnded():
                id_ = row.record.spec.id
                self._account.end(_ONE, id_, flops=_counted(row) if row.flops is None else row.flops)
            case Metered():
                self._account.spend(_ONE, row.spent)
                self._account.come_to(_ONE, row.running)


def _counted(row: AttemptEnded) -> float:
    """Return what an attempt that nobody counted stands for: its trial, if it was one and not given up unbegun."""
    return row.record.spec.flops if row.record.status.attempts else 0.0
