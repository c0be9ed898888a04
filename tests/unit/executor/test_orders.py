"""Orders that change while trials run: a plan that grows and shrinks, a pause, a budget."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from scripted_plan import ended, experiment, family, task, trial, trial_id
from scripted_trials import calls

from scaling_api.v1alpha1.execution import Execution, Retries
from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.training import Training
from scaling_api.v1alpha1.trial import TrialSpec
from scaling_trainer.context import TrialContext
from scaling_trainer.executors.base import Event, Orders, Outcome, TrialEnded, TrialProgress, TrialStarted
from scaling_trainer.executors.local import LocalExecutor
from scaling_trainer.journal import AttemptEnded, read_journal
from scaling_trainer.results import ResultsFolder

A, B, C = (trial_id(name) for name in "abc")


class Ordered:
    """A run whose orders a listener may replace."""

    def __init__(self, folder: Path, trials: Sequence[TrialSpec], script: str = "", *, lanes: int = 2) -> None:
        self.folder = folder
        self.orders = Orders(0, trials, Execution(retries=Retries(application=0)))
        self.events: list[Event] = []
        self.react: Callable[[Event], None] = lambda event: None
        context = TrialContext(task=task(script), training=Training(), corpus_fingerprint="0" * 64, folder=folder)
        self.executor = LocalExecutor(context, lanes=lanes, run="scripted_trials:run_trial")

    def change(self, **fields: object) -> None:
        self.orders = replace(self.orders, revision=self.orders.revision + 1, **fields)

    def __call__(self) -> Outcome:
        with ResultsFolder.open(self.folder, experiment()) as results:
            return self.executor.run(lambda: self.orders, ledger=results, on_event=self._tell)

    def _tell(self, event: Event) -> None:
        self.events.append(event)
        self.react(event)

    def on_first(self, kind: type[Event], do: Callable[[], None], *, step: int = 0) -> None:
        """Do something once, at the first event of a kind."""
        done: list[bool] = []

        def react(event: Event) -> None:
            if isinstance(event, kind) and getattr(event, "step", step) >= step and not done:
                done.append(True)
                do()

        self.react = react


def states(folder: Path) -> list[tuple[str, TrialState]]:
    rows = read_journal(folder / "journal").rows
    return [(row.record.spec.id, row.record.status.state) for row in rows if isinstance(row, AttemptEnded)]


def test_a_plan_that_grows_is_run_to_its_new_end(tmp_path: Path) -> None:
    run = Ordered(tmp_path, [trial("a")])
    run.on_first(TrialStarted, lambda: run.change(trials=[trial("a"), trial("b", "a"), trial("c")]))
    outcome = run()
    assert outcome.records.keys() == {A, B, C}
    assert sorted(calls(tmp_path, "begin")) == sorted([A, B, C])


def test_a_plan_that_shrinks_interrupts_what_is_wanted_no_more_and_keeps_the_rest(tmp_path: Path) -> None:
    run = Ordered(tmp_path, [trial("a", steps=40), trial("b", steps=5), trial("c", "a")], "pause=0.05 every=1")
    run.on_first(TrialProgress, lambda: run.change(trials=[trial("b", steps=5)]), step=2)
    outcome = run()
    assert outcome.records.keys() == {B}
    assert dict(states(tmp_path)) == {A: TrialState.INTERRUPTED, B: TrialState.SUCCEEDED}
    again = Ordered(tmp_path, [trial("a", steps=40)], "every=1")
    assert again().records.keys() == {A}
    assert [event.resumed for event in again.events if isinstance(event, TrialStarted)] == [True]


def test_what_is_finished_stays_finished_when_it_comes_back(tmp_path: Path) -> None:
    run = Ordered(tmp_path, [trial("a"), trial("b", steps=30)], "pause=0.03")
    run.on_first(TrialEnded, lambda: run.change(trials=[trial("b", steps=30)]))
    wanted = [trial("a"), trial("b", steps=30), trial("c", "a")]
    first = run.react

    def react(event: Event) -> None:
        first(event)
        if isinstance(event, TrialProgress) and event.step > 15 and run.orders.revision == 1:
            run.change(trials=wanted)

    run.react = react
    assert run().records.keys() == {A, B, C}
    assert sorted(calls(tmp_path, "begin")) == sorted([A, B, C])


def test_a_pause_interrupts_and_the_next_run_goes_on_from_checkpoints(tmp_path: Path) -> None:
    run = Ordered(tmp_path, [trial("a", steps=30), trial("b", "a")], "pause=0.05 every=1")
    run.on_first(TrialProgress, lambda: run.change(is_paused=True), step=3)
    outcome = run()
    assert outcome.records == {}
    assert (outcome.interrupted, outcome.stopped) == (False, None)
    assert states(tmp_path) == [(A, TrialState.INTERRUPTED)]
    assert run().records == {}, "it is still paused"
    run.change(is_paused=False)
    assert run().records.keys() == {A, B}
    started = [event for event in run.events if isinstance(event, TrialStarted) and event.trial.id == A]
    assert [event.resumed for event in started] == [False, True]


def test_what_the_budget_refuses_does_not_begin_and_smaller_trials_may(tmp_path: Path) -> None:
    trials = [trial("a", flops=3), trial("b", flops=9), trial("c", flops=2)]
    run = Ordered(tmp_path, trials)
    run.change(may_start=lambda trial, running: trial.flops + sum(t.flops for t in running) <= 5)
    outcome = run()
    assert outcome.records.keys() == {A, C}
    assert outcome.stopped is None
    run.change(may_start=lambda trial, running: True)
    assert run().records.keys() == {A, B, C}


def test_what_is_refused_beside_others_begins_when_they_have_ended(tmp_path: Path) -> None:
    run = Ordered(tmp_path, [trial(str(i), flops=3) for i in range(6)], "pause=0.01", lanes=3)
    run.change(may_start=lambda trial, running: not running)
    at_once: list[int] = []
    running: set[str] = set()

    def count(event: Event) -> None:
        if isinstance(event, TrialStarted):
            running.add(event.trial.id)
        if isinstance(event, TrialEnded):
            running.discard(event.record.spec.id)
        at_once.append(len(running))

    run.react = count
    assert len(run().records) == 6
    assert max(at_once) == 1


def test_never_more_than_parallel_trials(tmp_path: Path) -> None:
    run = Ordered(tmp_path, family(3), "pause=0.02", lanes=4)
    run.change(execution=Execution(parallel_trials=2))
    outcome = run()
    assert len(outcome.records) == 18
    assert outcome.busy_fraction.keys() == {0, 1}


def test_failures_of_earlier_runs_stand_where_they_are_not_to_be_tried_again(tmp_path: Path) -> None:
    with ResultsFolder.open(tmp_path, experiment()) as results:
        results.append(ended("a", TrialState.FAILED, loss=None))
    run = Ordered(tmp_path, [trial("a"), trial("b", "a"), trial("c")])
    run.change(retry_failed=False)
    outcome = run()
    assert {id_: record.status.state for id_, record in outcome.records.items()} == {
        A: TrialState.FAILED,
        B: TrialState.FAILED,
        C: TrialState.SUCCEEDED,
    }
    assert calls(tmp_path, "begin") == [C]
    run.change(execution=Execution(max_failed_trials=0))
    stopped = run().stopped
    assert stopped is not None
    assert stopped.reason == "TooManyFailedTrials"


def test_children_that_come_later_of_a_trial_that_failed_are_not_run(tmp_path: Path) -> None:
    run = Ordered(tmp_path, [trial("a"), trial("c", steps=20)], "pause=0.02")
    run.executor = LocalExecutor(
        TrialContext(
            task=task({"a": "fault=raise", "default": "pause=0.02"}),
            training=Training(),
            corpus_fingerprint="0" * 64,
            folder=tmp_path,
        ),
        lanes=2,
        run="scripted_trials:run_trial",
    )
    run.on_first(TrialEnded, lambda: run.change(trials=[trial("a"), trial("b", "a"), trial("c", steps=20)]))
    outcome = run()
    failure = outcome.records[B].status.failure
    assert failure is not None
    assert failure.reason == "ParentFailed"


def test_a_plan_without_a_parent_is_refused(tmp_path: Path) -> None:
    run = Ordered(tmp_path, [trial("b", "a")])
    with pytest.raises(ValueError, match="which is not in the plan"):
        run()
