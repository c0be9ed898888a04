"""Runs a plan that stays as it is in a results folder, within a budget."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from scaling_api.v1alpha1.execution import Budget, Execution
from scaling_api.v1alpha1.status import Spent, TrialState
from scaling_api.v1alpha1.trial import TrialSpec
from scaling_trainer.executors.base import Event, Executor, Orders, Outcome, TrialProgress
from scaling_trainer.results import ResultsFolder
from scaling_trainer.spending.guard import BudgetGuard
from scaling_trainer.spending.limits import Used
from scaling_trainer.spending.meter import Meter

_DONE: Final = frozenset({TrialState.SUCCEEDED, TrialState.DIVERGED, TrialState.CACHED})
_KEEP_EVERY_S: Final = 10.0  # what a killed run has spent is known to the next one up to so long before its end


@dataclass(frozen=True)
class Work:
    """What is to be done."""

    trials: Sequence[TrialSpec]
    """Parents before children."""
    execution: Execution
    budget: Budget


@dataclass(frozen=True)
class Done:
    """How it ended."""

    outcome: Outcome
    spent: Spent
    """Over all runs in the folder."""
    first_start: datetime | None
    """Of the first attempt, over all runs."""
    budget_exhausted: str | None
    """A sentence on the limit that kept trials from running, where one did."""


def run_within_budget(
    executor: Executor, work: Work, *, results: ResultsFolder, on_event: Callable[[Event], None]
) -> Done:
    """Run every trial that has no result yet and that the budget admits; see `base.Executor.run`.

    What is spent is written down as the run goes on, and what earlier runs in the folder have spent counts.
    """
    results.expenses.follow(work.trials)
    counted = _Counted(executor, work, results)

    def tell(event: Event) -> None:
        if isinstance(event, TrialProgress):
            results.expenses.progressed(event.trial.id, event.step)
        on_event(event)

    try:
        outcome = executor.run(counted.orders, ledger=results, on_event=tell)
    finally:
        counted.close()
    is_complete = all(trial.id in outcome.records for trial in work.trials)
    exhausted = None if is_complete else counted.guard.reached(is_complete=False)
    return Done(outcome, results.expenses.spent().as_status(), results.expenses.first_start, exhausted)


class _Counted:
    """The orders, and the meter that runs while they are followed."""

    def __init__(self, executor: Executor, work: Work, results: ResultsFolder) -> None:
        self.guard = BudgetGuard(used=self._used, flops_with=results.expenses.flops_with)
        self._work = work
        self._results = results
        self._meter = Meter(executor.capacity)
        self._meter.pools = work.execution.pools
        done = {id_ for id_, record in results.records().items() if record.status.state in _DONE}
        self.guard.follow(
            work.trials,
            work.budget,
            needed_flops=lambda trial: 0.0 if trial.id in done else results.expenses.needed_flops(trial),
        )

    def orders(self) -> Orders:
        """Return what to do now."""
        self._meter.look()
        self._meter.keep(self._results.spend, after_s=_KEEP_EVERY_S)
        is_used_up = self.guard.look(self._work.budget)
        work = self._work
        return Orders(0, work.trials, work.execution, is_paused=is_used_up, may_start=self.guard.admits)

    def close(self) -> None:
        """Write down what was spent last."""
        with contextlib.suppress(OSError):  # a full disk has ended the run, and is told already
            self._meter.keep(self._results.spend)
            self._results.sync()

    def _used(self) -> Used:
        expenses = self._results.expenses
        return Used(expenses.spent() + self._meter.not_kept, expenses.first_start, datetime.now(UTC))
