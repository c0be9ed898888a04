"""Runs the plan in force, as it changes, within its budget."""

import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from scaling_api.driver_protocol import Intent
from scaling_api.v1alpha1.trial import Failure, FailureClass, TrialRecord, TrialSpec
from scaling_trainer.driver.cached import found_results
from scaling_trainer.driver.desk import Accepted, Desk
from scaling_trainer.driver.executors import Bench, MakeExecutor
from scaling_trainer.driver.journal import ExperimentJournal
from scaling_trainer.executors.base import (
    AttemptFailed,
    Capacity,
    Event,
    Executor,
    LaneReplaced,
    Notice,
    Orders,
    Outcome,
    TrialProgress,
)
from scaling_trainer.executors.failures import failure
from scaling_trainer.spending.amounts import Spending
from scaling_trainer.spending.guard import BudgetGuard
from scaling_trainer.spending.limits import Used
from scaling_trainer.storage.errors import StorageError
from scaling_trainer.storage.store import Store

_LOOK_AGAIN_S: Final = 1.0
_log = logging.getLogger("scaling.driver")


class Work:
    """The trials of the plan in force. Used from one thread, but for what it tells."""

    def __init__(
        self,
        desk: Desk,
        journal: ExperimentJournal,
        store: Store,
        *,
        make_executor: MakeExecutor,
        spent: Callable[[], Spending],
        is_ending: Callable[[], bool],
    ) -> None:
        """Begin without an executor.

        Args:
            desk: has the plan.
            journal: takes what is done.
            store: of the trials' files.
            make_executor: makes executors.
            spent: what has been spent, until now.
            is_ending: whether everything is to end; asked often.
        """
        self.budget_exhausted: str | None = None
        """Which limit was reached, where one was."""
        self.stopped: Failure | None = None
        """Why trials have stopped early, where they have."""
        self.trouble: str | None = None
        """Why nothing can be begun for now."""
        self._desk = desk
        self._journal = journal
        self._store = store
        self._make_executor = make_executor
        self._spent = spent
        self._is_ending = is_ending
        self._executor: Executor | None = None
        self._bench: Bench | None = None
        self._followed: Accepted | None = None
        self._looked_for: set[str] = set()
        self._guard = self._new_guard()

    @property
    def lanes(self) -> int:
        """Lanes that are ready or at work."""
        executor = self._executor
        return executor.lanes if executor is not None else 0

    def capacity(self) -> dict[str, Capacity]:
        """Return what is up, by pool's name."""
        executor = self._executor
        return dict(executor.capacity()) if executor is not None else {}

    def run(self, accepted: Accepted) -> None:
        """Run trials until nothing runs and nothing more may begin, or another executor is needed."""
        self.stopped, self.budget_exhausted, self._guard, self._followed = None, None, self._new_guard(), None
        bench = Bench.of(accepted.plan)
        try:
            executor = self._executor_for(bench)
            outcome = executor.run(lambda: self._orders(bench), ledger=self._journal, on_event=self._on_event)
        except ValueError as error:  # a plan that this executor cannot run
            self.stopped = failure(FailureClass.CONFIGURATION, type(error).__name__.removesuffix("Error"), str(error))
            return
        self._conclude(outcome)

    def close(self) -> None:
        """Let go of the executor."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.close()

    def _executor_for(self, bench: Bench) -> Executor:
        if self._executor is None or bench != self._bench:
            self.close()
            self._executor, self._bench = self._make_executor(bench), bench
        return self._executor

    def _orders(self, bench: Bench) -> Orders:
        accepted = self._desk.accepted
        assert accepted is not None
        plan = accepted.plan
        if accepted is not self._followed:
            self._follow(accepted)
        is_used_up = self._guard.look(plan.budget)
        self.budget_exhausted = self._guard.used_up
        is_other = plan.intent is not Intent.RUN or Bench.of(plan) != bench
        return Orders(
            revision=accepted.number,
            trials=plan.trials,
            execution=plan.execution,
            is_paused=is_other or is_used_up or self._is_ending(),
            may_start=self._guard.admits,
            retry_failed=False,
            cpu_fallback=plan.cpu_fallback,
        )

    def _follow(self, accepted: Accepted) -> None:
        """Make the plan the journal's, with the results of its trials that storage has already."""
        trials = accepted.plan.trials
        self._journal.follow(trials)
        unknown = [t for t in trials if t.id not in self._looked_for and not self._journal.is_settled(t.id)]
        for record in self._found_results(unknown):
            self._journal.found(record)
        self._journal.sync()
        self._looked_for.update(trial.id for trial in unknown)
        self._guard.follow(trials, accepted.plan.budget, needed_flops=self._journal.needed_flops)
        self._followed = accepted

    def _found_results(self, trials: Sequence[TrialSpec]) -> list[TrialRecord]:
        """Return results of trials that storage has already, however long it takes; none where everything ends."""
        while trials and not self._is_ending():
            try:
                found = list(found_results(trials, self._store, attempts=self._journal.attempts))
            except StorageError as error:
                self.trouble = str(error)
                _log.warning("%s", error)
                time.sleep(_LOOK_AGAIN_S)
            else:
                self.trouble = None
                return found
        return []

    def _new_guard(self) -> BudgetGuard:
        return BudgetGuard(used=self._used, flops_with=self._journal.flops_with)

    def _used(self) -> Used:
        return Used(self._spent(), self._journal.first_start, datetime.now(UTC))

    def _conclude(self, outcome: Outcome) -> None:
        accepted = self._followed
        assert accepted is not None
        self.stopped = outcome.stopped
        is_complete = all(trial.id in outcome.records for trial in accepted.plan.trials)
        self.budget_exhausted = self._guard.reached(is_complete=is_complete)
        for why in filter(None, (self.budget_exhausted, outcome.stopped and outcome.stopped.message)):
            _log.warning("%s", why)

    def _on_event(self, event: Event) -> None:
        match event:
            case TrialProgress():
                self._journal.progressed(event.trial.id, event.step)
            case AttemptFailed():
                _log.warning("trial %s, attempt %d: %s", event.trial.id, event.attempt, event.failure.message)
            case LaneReplaced():
                _log.warning("lane %d was lost: %s", event.lane, event.reason)
            case Notice():
                _log.warning("%s", event.message)
