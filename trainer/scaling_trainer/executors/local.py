"""Runs trials on this machine: one process a core, one thread each, kept alive from trial to trial."""

import math
import selectors
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from scaling_api.v1alpha1.trial import TrialSpec
from scaling_laws.design.cost import trial_seconds
from scaling_trainer.context import TrialContext
from scaling_trainer.errors import ConfigurationError
from scaling_trainer.executors.base import Capacity, Event, Ledger, Orders, Outcome
from scaling_trainer.executors.cores import usable_cores
from scaling_trainer.executors.failures import failure_of_exit, full_disk
from scaling_trainer.executors.lane import Lane
from scaling_trainer.executors.loop import Manner, run_loop
from scaling_trainer.executors.messages import Lost, Message, Setup, Work
from scaling_trainer.executors.slots import Queue

RUN_TRIAL = "scaling_trainer.train:run_trial"
_POOL = "local"


class LocalExecutor:
    """Runs trials on this machine's cores."""

    def __init__(
        self,
        context: TrialContext,
        *,
        lanes: int | None = None,
        run: str = RUN_TRIAL,
        estimate: Callable[[TrialSpec], float] | None = None,
        store: str | None = None,
        keep_open: Sequence[int] = (),
    ) -> None:
        """Prepare; no process is started before `run`.

        Args:
            context: what every trial shares; its folder is that of the results or, with a store, a scratch folder. Its
                report is not used. Lanes print to its `logs`.
            lanes: at most; without it, as many as there are usable cores.
            run: the function that runs a trial, as module:function, taking a TrialSpec and a TrialContext and
                returning a TrialStatus.
            estimate: seconds that a trial takes, for the order of trials.
            store: URI or path of the storage that checkpoints come from and go to, through the scratch folder.
            keep_open: descriptors that lanes' processes inherit, such as a lock's.
        """
        self._folder = context.folder
        self._size = lanes or usable_cores()
        self._setup = setup_of(context, run=run, store=store)
        self._estimate = estimate or estimate_of(context)
        self._keep_open = tuple(keep_open)
        self._lanes: LocalLanes | None = None

    def run(self, orders: Callable[[], Orders], *, ledger: Ledger, on_event: Callable[[Event], None]) -> Outcome:
        """Run every trial that has no result yet; see `base.Executor`.

        Raises:
            ConfigurationError: a trial needs several workers, which this executor cannot give.
            ValueError: a trial's parent is neither in the plan nor finished.
        """
        logs = self._folder / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        self._lanes = LocalLanes(
            self._setup, size=self._size, log=logs / f"{ledger.epoch:0>4}-lane", keep_open=self._keep_open
        )
        manner = Manner(
            estimate=self._estimate,
            pool_of=lambda trial: _POOL,
            full_disk=lambda: str(full_disk(self._folder, is_scratch=self._setup.store is not None)),
            is_eager=True,
            idle_s=math.inf,
        )
        try:
            return run_loop(_checked(orders), self._lanes, ledger=ledger, on_event=on_event, manner=manner)
        finally:
            self._lanes = None

    def capacity(self) -> Mapping[str, Capacity]:
        """Return this machine, as a pool named local."""
        return {_POOL: Capacity(nodes=1, accelerators=self._size)}

    @property
    def lanes(self) -> int:
        """Lanes' processes that live."""
        lanes = self._lanes
        return len(lanes) if lanes is not None else 0

    def close(self) -> None:
        """Do nothing: no process outlives a run."""


def setup_of(context: TrialContext, *, run: str, store: str | None) -> Setup:
    """Return what a lane on the CPU needs to know."""
    return Setup(
        run=run,
        threads=1,
        task=context.task,
        training=context.training,
        corpus_fingerprint=context.corpus_fingerprint,
        folder=context.folder,
        store=store,
        checkpoint_interval_s=context.checkpoint_interval_s,
    )


def estimate_of(context: TrialContext) -> Callable[[TrialSpec], float]:
    """Return the estimate of a trial's seconds, with the context's evaluation."""
    return partial(trial_seconds, evaluation_sequences=context.training.evaluation_sequences)


class LocalLanes:
    """Lanes that are processes of this one."""

    def __init__(self, setup: Setup, *, size: int, log: Path, keep_open: Sequence[int]) -> None:
        """Begin without lanes; each prints to `log`, its number added."""
        self._setup = setup
        self._size = size
        self._log = log
        self._keep_open = keep_open
        self._selector = selectors.DefaultSelector()
        self._lanes: dict[int, Lane] = {}

    def __len__(self) -> int:
        return len(self._lanes)

    def slots(self, pool: str) -> int:
        """Return how many lanes there may be."""
        return self._size

    def open(self, number: int, queue: Queue) -> None:
        """Start a lane's process."""
        log = self._log.with_name(f"{self._log.name}{number}.log")
        lane = Lane(number, self._setup, log=log, keep_open=self._keep_open)
        self._lanes[number] = lane
        self._selector.register(lane, selectors.EVENT_READ, data=lane)

    def start(self, number: int, work: Work) -> None:
        """Send a trial to a lane's process."""
        self._lanes[number].start(work)

    def hear(self, timeout_s: float) -> list[tuple[int, Message]]:
        """Return what lanes have said; those whose process has ended are closed, and are lost."""
        heard = [
            (key.data.number, message) for key, _ in self._selector.select(timeout_s) for message in key.data.messages()
        ]
        for lane in [lane for lane in self._lanes.values() if lane.is_lost]:
            code = lane.kill()
            last = self._forget(lane)
            heard += [(lane.number, message) for message in last]
            heard.append((lane.number, Lost(failure=failure_of_exit(code, log=lane.log))))
        return heard

    def end(self, number: int) -> list[Message]:
        """Kill a lane's process."""
        if number not in self._lanes:  # it was heard to be lost already
            return []
        lane = self._lanes[number]
        lane.kill()
        return self._forget(lane)

    def close(self) -> list[tuple[int, Message]]:
        """Kill all."""
        lanes = list(self._lanes.values())
        for lane in lanes:
            lane.kill()
        last = [(lane.number, message) for lane in lanes for message in self._forget(lane)]
        self._selector.close()
        return last

    def _forget(self, lane: Lane) -> list[Message]:
        """Return what a killed lane said at last, and close it."""
        last = lane.messages()
        self._selector.unregister(lane)
        del self._lanes[lane.number]
        lane.close()
        return last


def _checked(orders: Callable[[], Orders]) -> Callable[[], Orders]:
    """Return `orders` that refuse trials of several workers."""
    seen: int | None = None

    def ask() -> Orders:
        nonlocal seen
        found = orders()
        if found.revision != seen:
            _refuse_gangs(found.trials)
            seen = found.revision
        return found

    return ask


def _refuse_gangs(trials: Iterable[TrialSpec]) -> None:
    for trial in trials:
        if trial.compute.workers > 1:
            raise ConfigurationError(
                f"Trial {trial.id} asks for {trial.compute.workers} workers (sweep.compute); on one machine without a "
                "cluster, a trial has one worker. Set workers: 1, or run it with --executor ray."
            )
