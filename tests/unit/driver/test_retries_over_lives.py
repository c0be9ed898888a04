"""Retries are counted by whose fault a failure was, over all lives of a driver: none begins afresh."""

import itertools

from memory_files import MemoryFiles
from scripted_plan import trial

from scaling_api.v1alpha1.execution import Execution, Retries
from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import FailedAttempts, FailureClass, TrialMetrics, TrialStatus
from scaling_trainer.driver.journal import ExperimentJournal
from scaling_trainer.executors.attempts import Attempts
from scaling_trainer.executors.base import Orders
from scaling_trainer.executors.failures import failure
from scaling_trainer.executors.schedule import Schedule
from scaling_trainer.storage.store import Store

PARENT, OTHER = trial("parent"), trial("other")
CHILD = trial("child", "parent")
PLAN = [PARENT, CHILD, OTHER]
OWN_FAULT = failure(FailureClass.APPLICATION, "Raised", "It raised an error.")
LOST = failure(FailureClass.INFRASTRUCTURE, "WorkerLost", "Its worker was lost.")


class Life:
    """One life of a driver on storage that outlives it."""

    def __init__(self, files: MemoryFiles | None = None, *, application: int = 1, infrastructure: int = 2) -> None:
        self.files = files or MemoryFiles()
        self.journal = ExperimentJournal(self.files, "experiments/e", store=Store(self.files))
        self.journal.follow(PLAN)
        retries = Retries(application=application, infrastructure=infrastructure)
        self.orders = Orders(
            revision=1, trials=PLAN, execution=Execution(retries=retries, max_failed_trials=9), retry_failed=False
        )
        self.schedule = Schedule(PLAN, estimate=lambda _: 1.0)
        self.attempts = Attempts(self.schedule, ledger=self.journal, on_event=lambda _: None)
        self.attempts.follow(self.orders)
        self.lanes = itertools.count()

    def start(self) -> int:
        """Begin the next trial, which is the parent as long as it is not given up."""
        chosen = self.schedule.take()
        assert chosen is not None
        self.attempts.start(chosen, lane=(lane := next(self.lanes)))
        return lane

    def lost(self) -> "Life":
        """Return the life after this one, which was killed."""
        assert self.journal.drain(10)
        retries = self.orders.execution.retries
        files = MemoryFiles(self.files.contents)
        return Life(files, application=retries.application, infrastructure=retries.infrastructure)

    def state(self, id_: str) -> tuple[TrialState, FailedAttempts | None]:
        status = self.journal._standing.entries[id_].record.status
        return status.state, status.failed_attempts


def test_a_trial_that_fails_by_itself_is_not_tried_afresh_by_the_next_driver() -> None:
    first = Life(application=1)
    first.attempts.raised(first.start(), OWN_FAULT)
    assert first.state(PARENT.id) == (TrialState.PENDING, FailedAttempts(application=1))
    second = first.lost()
    second.attempts.raised(second.start(), OWN_FAULT)
    assert second.state(PARENT.id) == (TrialState.FAILED, FailedAttempts(application=2))
    assert second.state(CHILD.id)[0] is TrialState.FAILED


def test_a_trial_that_takes_its_driver_with_it_ends_at_a_bound_and_others_run() -> None:
    life = Life(infrastructure=2)
    for lives in range(1, 4):
        life.start()
        life = life.lost()
        assert life.state(PARENT.id)[1] == FailedAttempts(infrastructure=lives)
    state, _ = life.state(PARENT.id)
    assert state is TrialState.FAILED
    record = life.journal.records()[PARENT.id]
    assert record.status.attempts == 3
    assert record.status.failure is not None
    assert "3 attempts were lost" in record.status.failure.message
    assert life.state(CHILD.id)[0] is TrialState.FAILED
    life.attempts.returned(life.start(), done(), seconds=1.0)
    assert life.state(OTHER.id) == (TrialState.SUCCEEDED, None)
    assert life.schedule.is_finished
    assert life.lost().state(PARENT.id)[0] is TrialState.FAILED


def test_classes_are_counted_apart_and_pauses_are_no_failures() -> None:
    life = Life(application=1, infrastructure=1)
    for why in (LOST, OWN_FAULT):
        life.attempts.raised(life.start(), why)
        life = life.lost()
    for _ in range(5):
        life.attempts.interrupt(life.start())
        life = life.lost()
    assert life.state(PARENT.id)[1] == FailedAttempts(application=1, infrastructure=1)
    life.attempts.returned(life.start(), done(), seconds=1.0)
    assert life.state(PARENT.id) == (TrialState.SUCCEEDED, FailedAttempts(application=1, infrastructure=1))


def test_another_plan_does_not_forget_failures_either() -> None:
    life = Life(application=1)
    life.attempts.raised(life.start(), OWN_FAULT)
    again = Attempts(Schedule(PLAN, estimate=lambda _: 1.0), ledger=life.journal, on_event=lambda _: None)
    again.follow(life.orders)
    again.start(PARENT, lane=0)
    again.raised(0, OWN_FAULT)
    assert life.state(PARENT.id)[0] is TrialState.FAILED


def done() -> TrialStatus:
    return TrialStatus(state=TrialState.SUCCEEDED, metrics=TrialMetrics(loss=1.0))
