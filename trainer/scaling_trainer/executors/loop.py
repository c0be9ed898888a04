"""The loop of every executor: follows the orders, waits for the lanes, and keeps them in work."""

import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from scaling_api.v1alpha1.trial import Failure, FailureClass, TrialSpec
from scaling_trainer.errors import DISK_FULL
from scaling_trainer.executors.attempts import Attempts, RunStoppedError
from scaling_trainer.executors.base import Event, LaneReplaced, Ledger, Orders, Outcome, TrialProgress
from scaling_trainer.executors.busy import BusyTimes
from scaling_trainer.executors.dispatch import Action, Dispatch, Open, Retire, Start
from scaling_trainer.executors.failures import failure
from scaling_trainer.executors.lanes import Lanes
from scaling_trainer.executors.messages import Lost, Message, Placed, Progress, Raised, Ready, Returned, Unusable, Work
from scaling_trainer.executors.schedule import Schedule
from scaling_trainer.executors.signals import polite_signals
from scaling_trainer.executors.slots import LaneState, Queue, Slots
from scaling_trainer.executors.starts import Starts

_LOOK_AGAIN_S: Final = 0.2  # how late new orders, a lost process or a Ctrl-C are noticed at most


@dataclass(frozen=True)
class Manner:
    """How an executor goes about its lanes."""

    estimate: Callable[[TrialSpec], float]
    """Seconds that a trial takes, for the order of trials."""
    pool_of: Callable[[TrialSpec], str]
    """The pool whose slots a trial takes."""
    full_disk: Callable[[], str]
    """A sentence on the disk of the journal, which is full."""
    is_eager: bool
    """Open lanes for trials that still wait for others."""
    idle_s: float
    """Seconds after which a lane without work is let go."""


def run_loop(
    orders: Callable[[], Orders],
    lanes: Lanes,
    *,
    ledger: Ledger,
    on_event: Callable[[Event], None],
    manner: Manner,
) -> Outcome:
    """Run what is ordered on lanes; see `base.Executor.run`.

    Ctrl-C (or SIGTERM, SIGHUP) ends the run within a second, if called from the main thread; finished trials are
    kept, and the next run goes on from the others' checkpoints. A second Ctrl-C kills.
    """
    begin = time.monotonic()
    loop = _Loop(orders, lanes, ledger=ledger, on_event=on_event, manner=manner)
    stopped: Failure | None = None
    with polite_signals(loop.interrupt):
        try:
            loop.run()
        except RunStoppedError as stop:
            stopped = stop.failure
        except OSError as error:
            if error.errno not in DISK_FULL:
                raise
            stopped = failure(FailureClass.CONFIGURATION, "DiskFull", manner.full_disk())
        finally:
            loop.close()
    records = ledger.records()
    return Outcome(
        records={trial.id: records[trial.id] for trial in loop.orders.trials if trial.id in records},
        interrupted=loop.is_interrupted and not loop.schedule.is_finished,
        stopped=stopped,
        busy_fraction=loop.busy.fractions(),
        seconds=time.monotonic() - begin,
    )


class _Loop:
    def __init__(
        self,
        ask: Callable[[], Orders],
        lanes: Lanes,
        *,
        ledger: Ledger,
        on_event: Callable[[Event], None],
        manner: Manner,
    ) -> None:
        self.orders = ask()
        self.busy = BusyTimes()
        self.is_interrupted = False
        self.schedule = Schedule(estimate=manner.estimate, queue_of=self._queue_of)
        self._pool_of = manner.pool_of
        self._ask = ask
        self._followed: int | None = None
        self._lanes = lanes
        self._on_event = on_event
        self._attempts = Attempts(self.schedule, ledger=ledger, on_event=on_event)
        self._slots = Slots(lanes.slots)
        self._dispatch = Dispatch(self.schedule, self._slots, is_eager=manner.is_eager, idle_s=manner.idle_s)
        self._starts = Starts()

    def interrupt(self) -> None:
        """Ask the loop to end; may be called from a signal handler or another thread."""
        self.is_interrupted = True

    def run(self) -> None:
        """Run trials until nothing runs and nothing more may begin."""
        while not self.is_interrupted:
            self._follow()
            if self.orders.is_paused:
                return
            while (action := self._next_action()) is not None:
                self._perform(action)
            self._attempts.publish()
            if not self._attempts.running and not self._dispatch.has_next(self._admits):
                return
            for number, message in self._lanes.hear(_LOOK_AGAIN_S):
                self._handle(number, message)

    def close(self) -> None:
        """End all lanes; what they have finished counts, the rest is interrupted."""
        for number, message in self._lanes.close():
            with contextlib.suppress(RunStoppedError, OSError):  # it is ending already, for the first reason
                self._handle(number, message)
        with contextlib.suppress(OSError):
            for number in list(self._attempts.running):
                self._attempts.interrupt(number)
            self._attempts.publish()

    def _follow(self) -> None:
        """Look at the orders, and do as they say where they have changed."""
        orders = self._ask()
        if orders.revision == self._followed:
            self.orders = orders
            return
        ids = {trial.id for trial in orders.trials}
        for number, attempt in list(self._attempts.running.items()):
            if attempt.trial.id not in ids:
                self._take_away(number)
        self.orders, self._followed = orders, orders.revision
        self._refuse_too_large(orders.trials)
        self._attempts.follow(orders)

    def _take_away(self, number: int) -> None:
        """Interrupt a trial that is wanted no more; its lane goes with it."""
        for message in self._lanes.end(number):
            self._handle(number, message)
        if number in self._attempts.running:
            self.busy.end(number)
            self._attempts.interrupt(number)
        self._slots.forget(number)

    def _refuse_too_large(self, trials: Iterable[TrialSpec]) -> None:
        for trial in trials:
            pool, workers = self._pool_of(trial), trial.compute.workers
            slots = self._slots.size(pool)
            if workers > slots:
                has = (
                    f"has at most {slots} accelerators (or cores): raise its maxNodes, or lower"
                    if slots
                    else "is not there: see"
                )
                message = f"Trial {trial.id} has {workers} workers, and the pool {pool} {has} sweep.compute."
                raise RunStoppedError(failure(FailureClass.CONFIGURATION, "PoolTooSmall", message))

    def _queue_of(self, trial: TrialSpec) -> Queue:
        return Queue(self._pool_of(trial), trial.compute.workers > 1)

    def _admits(self, trial: TrialSpec) -> bool:
        return self.orders.may_start(trial, [attempt.trial for attempt in self._attempts.running.values()])

    def _next_action(self) -> Action | None:
        parallel = self.orders.execution.parallel_trials
        return self._dispatch.next_action(parallel=parallel, admits=self._admits, may_open=self._starts.may_open)

    def _perform(self, action: Action) -> None:
        match action:
            case Open():
                self._lanes.open(self._slots.open(action.queue), action.queue)
            case Retire():
                self._lanes.end(action.lane)
                self._slots.forget(action.lane)
            case Start():
                self._start(action.lane)

    def _start(self, number: int) -> None:
        trial = self.schedule.take(self._slots.queue(number))
        assert trial is not None
        attempt = self._attempts.start(trial, lane=number)
        self._slots.start(number, trial)
        self._dispatch.started(self._slots.queue(number))
        self.busy.begin(number)
        self._lanes.start(number, Work(trial=trial, attempt=attempt))

    def _handle(self, number: int, message: Message) -> None:
        if number not in self._slots:  # it was let go meanwhile
            return
        match message:
            case Ready():
                self._starts.succeeded()
                self._slots.ready(number)
            case Unusable():
                self._lanes.end(number)
                self._not_started(number, message.failure, is_unusable=True)
            case Placed():
                self._slots.placed(number)
            case Progress():
                trial = self._attempts.running[number].trial
                self._on_event(TrialProgress(trial, number, message.step, message.last_step))
            case Returned():
                seconds = self._free(number)
                self._attempts.returned(number, message.status, seconds=seconds)
            case Raised():
                self._free(number)
                self._attempts.raised(number, message.failure, checkpoint=message.checkpoint)
            case Lost():
                self._lost(number, message.failure)

    def _free(self, number: int) -> float:
        self._slots.ready(number)
        self.schedule.release()
        return self.busy.end(number)

    def _not_started(self, number: int, why: Failure, *, is_unusable: bool = False) -> None:
        self._slots.forget(number)
        is_any_left = self._slots.number(LaneState.IDLE, LaneState.BUSY) > 0
        self._starts.failed(why, is_unusable=is_unusable, is_any_left=is_any_left)
        self._on_event(LaneReplaced(number, why.message))

    def _lost(self, number: int, why: Failure) -> None:
        if self._slots.state(number) is LaneState.STARTING:
            self._not_started(number, why)
            return
        self._slots.forget(number)
        self.schedule.release()
        if number in self._attempts.running:
            self.busy.end(number)
            self._attempts.raised(number, why)
        self._on_event(LaneReplaced(number, why.message))
