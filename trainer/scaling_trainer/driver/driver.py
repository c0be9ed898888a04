"""The driver's life: read the journal, follow plans, serve rows until it is told to stop."""

import logging
import os
import threading
import time
from typing import Final

from scaling_api.driver_protocol import DriverPhase, DriverPlan, DriverState, Intent
from scaling_api.v1alpha1.status import Spent
from scaling_api.v1alpha1.trial import Failure
from scaling_trainer.driver.desk import Accepted, Desk
from scaling_trainer.driver.executors import MakeExecutor
from scaling_trainer.driver.feed import Feed
from scaling_trainer.driver.fingerprints import Fingerprints
from scaling_trainer.driver.journal import ExperimentJournal
from scaling_trainer.driver.metering import Metering
from scaling_trainer.driver.metrics import metrics_text
from scaling_trainer.driver.plans import plan_name
from scaling_trainer.driver.signals import EndSignals
from scaling_trainer.driver.work import Work
from scaling_trainer.spending.amounts import Spending
from scaling_trainer.spending.meter import Meter
from scaling_trainer.storage.errors import StorageError
from scaling_trainer.storage.store import Store

STOPPED: Final = 0
UNANSWERED: Final = 75
"""Nothing to do, and nobody has asked for hours. EX_TEMPFAIL of sysexits.h."""
SUPERSEDED: Final = 76
"""Another driver of the experiment has begun."""
ASKED_TO_END: Final = 143
"""As a shell reports SIGTERM."""

_LOOK_AGAIN_S: Final = 0.5
_LOOK_FOR_SUCCESSOR_S: Final = 60.0
_WAS_FROZEN_S: Final = 10.0  # without a look: this process, or its machine, stood still
_LAST_ROWS_WITHIN_S: Final = 5.0
_ENDS_WITHIN_S: Final = 8.0
_LAST_ANSWERS_S: Final = 0.5
_log = logging.getLogger("scaling.driver")


class Driver:
    """One epoch of an experiment's driver. `run` is for the main thread, the rest for the server's."""

    def __init__(
        self,
        desk: Desk,
        journal: ExperimentJournal,
        store: Store,
        *,
        make_executor: MakeExecutor,
        signals: EndSignals,
        unanswered_s: float,
    ) -> None:
        """Begin to count what is spent.

        Args:
            desk: takes plans in.
            journal: of the experiment, just opened.
            store: of the trials' files.
            make_executor: makes executors.
            signals: tell when to end.
            unanswered_s: with nothing to do and nobody asking for so long, `run` returns.
        """
        self._desk = desk
        self._journal = journal
        self._signals = signals
        self._unanswered_s = unanswered_s
        self._done_with: Accepted | None = None
        self._is_superseded = False
        self._last_contact = time.monotonic()
        self._fingerprints = Fingerprints()
        self._work = Work(
            desk, journal, store, make_executor=make_executor, spent=self.spent, is_ending=self._is_ending
        )
        self._meter = Meter(self._work.capacity)
        self._metering = Metering(self._meter, journal.spend)
        for watch in (self._look_for_successor, self._end_in_time):
            threading.Thread(target=watch, name=watch.__name__, daemon=True).start()

    def run(self) -> int:
        """Follow plans until there is a reason to exit, and return the exit status."""
        try:
            while (status := self._exit_status()) is None:
                accepted = self._desk.wait(self._done_with, _LOOK_AGAIN_S)
                if accepted is not None and accepted is not self._done_with:
                    self._turn(accepted)
            if status == STOPPED:
                time.sleep(_LAST_ANSWERS_S)
            return status
        finally:
            self._close()

    def take(self, plan: DriverPlan) -> None:
        """Follow a plan from now on.

        Raises:
            PlanConflictError: it is not for this driver, or not any more.
            InvalidPlanError: it contradicts itself.
        """
        is_new = self._desk.put(plan)
        self._raise_spent(plan.spent)
        accepted = self._desk.accepted
        if is_new and accepted is not None and plan.intent is not Intent.STOP:
            content = plan.model_dump_json(exclude_none=True, exclude_defaults=True).encode()
            self._journal.keep_file(plan_name(self._journal.epoch, accepted.number), content)

    def feed(self) -> Feed:
        """Return the rows."""
        return self._journal.feed

    def contacted(self) -> None:
        """Someone with the right token has asked."""
        self._last_contact = time.monotonic()

    def metrics(self) -> str:
        """Return the driver's numbers as Prometheus reads them."""
        return metrics_text(self.state(), self._journal.states(), is_storage_usable=self._journal.trouble is None)

    def state(self) -> DriverState:
        """Return where the driver stands."""
        accepted = self._desk.accepted
        return DriverState(
            epoch=self._journal.epoch,
            experiment=self._desk.experiment,
            plan_hash=accepted.hash if accepted else None,
            phase=self._phase(accepted),
            last_row=self._journal.feed.last_row,
            corpus_fingerprint=self._fingerprints.found(accepted.plan) if accepted else None,
            spent=self.spent().as_status(),
            lanes=self._work.lanes,
            budget_exhausted=self._work.budget_exhausted,
            stopped=self._stopped(accepted),
            trouble=self._journal.trouble or self._work.trouble,
        )

    def spent(self) -> Spending:
        """Return what has been spent since the experiment began, until now."""
        return self._journal.spent() + self._meter.not_kept

    def _turn(self, accepted: Accepted) -> None:
        """Do what a plan asks for, until nothing of it is left to do or another one has come."""
        plan = accepted.plan
        self._meter.pools = plan.execution.pools
        if plan.intent is Intent.RUN and self._fingerprints.is_wanted(plan):
            if not self._fingerprints.look(plan):  # still at it
                time.sleep(0.05)
                return
        elif plan.intent is Intent.RUN and plan.trials:
            self._work.run(accepted)
        while not self._journal.drain(_LOOK_AGAIN_S):  # who reads "finished" must find all rows
            if self._is_ending():
                return
        self._done_with = accepted

    def _phase(self, accepted: Accepted | None) -> DriverPhase:
        if self._is_ending() or (accepted is not None and accepted.plan.intent is Intent.STOP):
            return DriverPhase.STOPPING
        if accepted is None or self._waits_for_ids(accepted.plan):
            return DriverPhase.WAITING
        if accepted is not self._done_with:
            return DriverPhase.RUNNING
        return DriverPhase.PAUSED if accepted.plan.intent is Intent.PAUSE else DriverPhase.FINISHED

    def _waits_for_ids(self, plan: DriverPlan) -> bool:
        return plan.intent is Intent.RUN and not plan.trials and self._fingerprints.is_wanted(plan)

    def _stopped(self, accepted: Accepted | None) -> Failure | None:
        found = self._fingerprints.failure(accepted.plan) if accepted else None
        return found or self._work.stopped

    def _exit_status(self) -> int | None:
        if self._signals.has_come:
            return ASKED_TO_END
        if self._is_superseded:
            return SUPERSEDED
        done = self._done_with
        if done is not None and done is self._desk.accepted and done.plan.intent is Intent.STOP:
            return STOPPED
        is_forgotten = time.monotonic() - self._last_contact > self._unanswered_s
        return UNANSWERED if is_forgotten and done is self._desk.accepted else None

    def _is_ending(self) -> bool:
        return self._signals.has_come or self._is_superseded

    def _raise_spent(self, at_least: Spent) -> None:
        """Go on from what the operator knows, where that is more."""
        now = self.spent()
        missing = Spending(
            training_flops=max(0.0, at_least.training_flops - now.training_flops),
            accelerator_seconds=max(0.0, at_least.accelerator_seconds - now.accelerator_seconds),
            cost=None if at_least.cost is None else max(0.0, at_least.cost - (now.cost or 0.0)),
        )
        if missing.training_flops or missing.accelerator_seconds or missing.cost:
            self._journal.spend(missing)

    def _look_for_successor(self) -> None:
        last = time.monotonic()
        looked = last
        while not self._is_superseded:
            time.sleep(1.0)
            now = time.monotonic()
            if now - last > _WAS_FROZEN_S or now - looked > _LOOK_FOR_SUCCESSOR_S:
                looked = now
                try:
                    self._is_superseded = self._journal.is_superseded()
                except StorageError:
                    looked = 0.0
            last = now
        _log.warning("A later driver of this experiment has begun; this one, %s, ends.", self._journal.epoch)

    def _end_in_time(self) -> None:
        """Once this process is asked to end, let it take so long and no longer: storage or Ray may hang."""
        while not self._signals.has_come:
            time.sleep(_LOOK_AGAIN_S)
        time.sleep(_ENDS_WITHIN_S)
        os._exit(ASKED_TO_END)

    def _close(self) -> None:
        self._metering.stop()
        if not self._journal.close(_LAST_ROWS_WITHIN_S):
            _log.warning("The last rows did not reach storage; their trials are found by their files, or run again.")
        self._work.close()
