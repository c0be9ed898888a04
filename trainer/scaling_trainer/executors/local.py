"""Runs trials on this machine: one process a core, one thread each, kept alive from trial to trial."""

import contextlib
import selectors
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import FrameType
from typing import Final

from scaling_api.v1alpha1.execution import Execution
from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import Failure, FailureClass, TrialSpec
from scaling_laws.design.cost import trial_seconds
from scaling_trainer.context import TrialContext
from scaling_trainer.errors import DISK_FULL, ConfigurationError, DiskFullError
from scaling_trainer.executors.attempts import Attempts, RunStoppedError
from scaling_trainer.executors.base import Event, LaneReplaced, Outcome, TrialProgress
from scaling_trainer.executors.busy import BusyTimes
from scaling_trainer.executors.cores import usable_cores
from scaling_trainer.executors.failures import failure, failure_of_exit
from scaling_trainer.executors.lane import Lane
from scaling_trainer.executors.messages import Message, Progress, Raised, Ready, Returned, Setup, Unusable
from scaling_trainer.executors.schedule import Schedule
from scaling_trainer.results import ResultsFolder

_LOOK_AGAIN_S: Final = 0.2  # how late a lost process or a Ctrl-C is noticed at most
_MAX_FAILED_STARTS: Final = 3  # of a lane's process in a row
_STARTS_CHILDREN: Final = frozenset({TrialState.SUCCEEDED, TrialState.CACHED})


class LocalExecutor:
    """Runs trials on this machine's cores."""

    def __init__(
        self,
        context: TrialContext,
        execution: Execution,
        *,
        lanes: int | None = None,
        run: str = "scaling_trainer.train:run_trial",
        estimate: Callable[[TrialSpec], float] | None = None,
    ) -> None:
        """Prepare; no process is started before `run`.

        Args:
            context: what every trial shares; its folder is that of the results, its report is not used.
            execution: how many trials at a time, how often they are tried again, how many may fail.
            lanes: trials at a time; without it, as many as there are usable cores and `parallelTrials` allows.
            run: the function that runs a trial, as module:function, taking a TrialSpec and a TrialContext and
                returning a TrialStatus.
            estimate: seconds that a trial takes, for the order of trials.
        """
        self._context = context
        self._execution = execution
        self._lanes = lanes or min(usable_cores(), execution.parallel_trials or usable_cores())
        self._run = run
        sequences = context.training.evaluation_sequences
        self._estimate = estimate or partial(trial_seconds, evaluation_sequences=sequences)

    def run(
        self, plan_trials: Sequence[TrialSpec], *, results: ResultsFolder, on_event: Callable[[Event], None]
    ) -> Outcome:
        """Run every trial that has no result yet; see `base.Executor`.

        Ctrl-C (or SIGTERM, SIGHUP) ends the run within a second, if called from the main thread; finished trials are
        kept, and the next run goes on from the others' checkpoints. A second Ctrl-C kills.

        Raises:
            ConfigurationError: a trial needs several workers, which this executor cannot give.
            ValueError: a trial's parent is not in the plan.
        """
        begin = time.monotonic()
        _refuse_gangs(plan_trials)
        records = results.records()
        done = {id_ for id_, record in records.items() if record.status.state in _STARTS_CHILDREN}
        schedule = Schedule(plan_trials, done=done, estimate=self._estimate)
        attempts = Attempts(schedule, results=results, execution=self._execution, on_event=on_event)
        loop = _Loop(schedule, attempts, setup=self._setup(results), results=results, on_event=on_event)
        stopped: Failure | None = None
        with _polite_signals(loop.interrupt):
            try:
                attempts.give_up_orphans(records)
                loop.run(self._lanes)
            except RunStoppedError as stop:
                stopped = stop.failure
            except OSError as error:
                if error.errno not in DISK_FULL:
                    raise
                stopped = failure(FailureClass.CONFIGURATION, "DiskFull", str(DiskFullError.at(results.path)))
            finally:
                loop.close()
        ids = {trial.id for trial in plan_trials}
        return Outcome(
            records={id_: record for id_, record in results.records().items() if id_ in ids},
            interrupted=loop.is_interrupted and not schedule.is_finished,
            stopped=stopped,
            busy_fraction=loop.busy.fractions(),
            seconds=time.monotonic() - begin,
        )

    def _setup(self, results: ResultsFolder) -> Setup:
        return Setup(
            run=self._run,
            threads=1,
            task=self._context.task,
            training=self._context.training,
            corpus_fingerprint=self._context.corpus_fingerprint,
            folder=results.path,
            checkpoint_interval_s=self._context.checkpoint_interval_s,
        )


class _Loop:
    """Waits for the lanes, and keeps them in work."""

    def __init__(
        self,
        schedule: Schedule,
        attempts: Attempts,
        *,
        setup: Setup,
        results: ResultsFolder,
        on_event: Callable[[Event], None],
    ) -> None:
        self.busy = BusyTimes()
        self.is_interrupted = False
        self._schedule = schedule
        self._attempts = attempts
        self._setup = setup
        self._results = results
        self._on_event = on_event
        self._selector = selectors.DefaultSelector()
        self._lanes: dict[int, Lane] = {}
        self._idle: set[int] = set()
        self._failed_starts = 0

    def interrupt(self) -> None:
        """Ask the loop to end; may be called from a signal handler or another thread."""
        self.is_interrupted = True

    def run(self, lanes: int) -> None:
        """Run trials until none is left, or it is asked to end."""
        for number in range(min(lanes, self._schedule.waiting)):
            self._open(number)
        while not (self._schedule.is_finished or self.is_interrupted):
            for key, _ in self._selector.select(_LOOK_AGAIN_S):
                self._hear(key.data)
            self._replace_lost()
            self._hand_out()
            self._attempts.publish()

    def close(self) -> None:
        """End all lanes; what they have finished counts, the rest is interrupted."""
        lanes = list(self._lanes.values())
        for lane in lanes:
            lane.kill()
        for lane in lanes:
            with contextlib.suppress(RunStoppedError, OSError):  # it is ending already, for the first reason
                self._hear(lane)
            self._forget(lane)
        with contextlib.suppress(OSError):
            self._attempts.interrupt_all()
            self._attempts.publish()
        self._selector.close()

    def _hear(self, lane: Lane) -> None:
        for message in lane.messages():
            self._handle(lane, message)

    def _handle(self, lane: Lane, message: Message) -> None:
        match message:
            case Ready():
                self._failed_starts = 0
                self._idle.add(lane.number)
            case Unusable():
                raise RunStoppedError(message.failure)
            case Progress():
                trial = self._attempts.running(lane.number).trial
                self._on_event(TrialProgress(trial, lane.number, message.step, message.last_step))
            case Returned():
                seconds = self._free(lane)
                self._attempts.returned(lane.number, message.status, seconds=seconds)
            case Raised():
                self._free(lane)
                self._attempts.raised(lane.number, message.failure, checkpoint=message.checkpoint)

    def _free(self, lane: Lane) -> float:
        self._idle.add(lane.number)
        return self.busy.end(lane.number)

    def _hand_out(self) -> None:
        while self._idle and (trial := self._schedule.take()) is not None:
            lane = self._lanes[min(self._idle)]
            self._attempts.start(trial, lane=lane.number)
            self._idle.remove(lane.number)
            self.busy.begin(lane.number)
            lane.start(trial)

    def _replace_lost(self) -> None:
        for lane in list(self._lanes.values()):
            if lane.is_lost:
                code = lane.kill()
                self._hear(lane)  # it may have finished its trial before it ended
                self._forget(lane)
                self._lost(lane, failure_of_exit(code, log=lane.log))
                self._open(lane.number)

    def _lost(self, lane: Lane, why: Failure) -> None:
        if self._attempts.is_running(lane.number):
            self.busy.end(lane.number)
            self._attempts.raised(lane.number, why)
        elif lane.number not in self._idle:
            self._failed_starts += 1
            if self._failed_starts >= _MAX_FAILED_STARTS:
                message = f"No process can be started to run trials: {why.message} Its output is in {lane.log}."
                raise RunStoppedError(failure(FailureClass.CONFIGURATION, "WorkersCannotStart", message))
        self._idle.discard(lane.number)
        self._on_event(LaneReplaced(lane.number, why.message))

    def _open(self, number: int) -> None:
        log = self._results.path / "logs" / f"{self._results.epoch:04}-lane{number}.log"
        lane = Lane(number, self._setup, log=log, keep_open=(self._results.lock_descriptor,))
        self._lanes[number] = lane
        self._selector.register(lane, selectors.EVENT_READ, data=lane)

    def _forget(self, lane: Lane) -> None:
        self._selector.unregister(lane)
        del self._lanes[lane.number]
        lane.close()


def _refuse_gangs(trials: Sequence[TrialSpec]) -> None:
    for trial in trials:
        if trial.compute.workers > 1:
            raise ConfigurationError(
                f"Trial {trial.id} asks for {trial.compute.workers} workers (sweep.compute); on one machine without a "
                "cluster, a trial has one worker. Set workers: 1."
            )


@contextlib.contextmanager
def _polite_signals(interrupt: Callable[[], None]) -> Iterator[None]:
    """Have Ctrl-C and its like call `interrupt`, once; the next Ctrl-C kills. What is ignored stays ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    names = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {name: signal.getsignal(name) for name in names if signal.getsignal(name) is not signal.SIG_IGN}

    def handle(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        interrupt()

    for name in before:
        signal.signal(name, handle)
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
