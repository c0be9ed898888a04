"""The journal and the budget under every order of starts, ends, crashes and drivers that come back."""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from memory_files import MemoryFiles
from scripted_plan import AT, trial

from scaling_api.v1alpha1.durations import seconds_of
from scaling_api.v1alpha1.execution import Budget, Pool
from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import TrialMetrics, TrialRecord, TrialSpec, TrialStatus
from scaling_trainer.driver import writer
from scaling_trainer.driver.journal import ExperimentJournal
from scaling_trainer.executors.base import Capacity
from scaling_trainer.journal import AttemptEnded, AttemptStarted
from scaling_trainer.spending.amounts import Spending
from scaling_trainer.spending.limits import Used, does_not_fit, used_up
from scaling_trainer.spending.meter import spending_of
from scaling_trainer.storage.store import Store

STEPS, FLOPS = 10, 8.0
TRIALS = [trial(f"t{i}", steps=STEPS, flops=FLOPS) for i in range(6)]
FOLDER = "experiments/e"


@pytest.fixture(autouse=True, scope="module")
def no_pauses() -> Iterator[None]:
    """Segments are written as fast as they come."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "_SHORTEST_INTERVAL_S", 0.0)
        patch.setattr(writer, "_LONGEST_INTERVAL_S", 0.0)
        yield


def opened(files: MemoryFiles) -> ExperimentJournal:
    journal = ExperimentJournal(files, FOLDER, store=Store(files))
    journal.follow(TRIALS)
    return journal


@dataclass
class Life:
    """A driver's life with a budget, and the FLOPs that were really spent."""

    files: MemoryFiles
    budget: Budget
    journal: ExperimentJournal = field(init=False)
    running: dict[str, tuple[TrialSpec, int, int]] = field(default_factory=dict)
    """By id: the trial, its first step, its step."""
    checkpoints: Counter[str] = field(default_factory=Counter)
    really: float = 0.0
    lost: float = 0.0
    reported: float = 0.0

    def __post_init__(self) -> None:
        self.journal = opened(self.files)

    def act(self, what: str, which: int, step: int) -> None:
        one = TRIALS[which]
        if what == "start" and one.id not in self.running and not self.journal.is_settled(one.id):
            self.start(one)
        elif what == "step" and one.id in self.running:
            _, first, now = self.running[one.id]
            self.running[one.id] = (one, first, now := min(STEPS, now + step))
            self.journal.progressed(one.id, now)
        elif what == "succeed" and one.id in self.running:
            self.end(one, TrialState.SUCCEEDED)
        elif what == "fail" and one.id in self.running:
            self.end(one, TrialState.PENDING)
        elif what == "crash":
            self.crash()
        self.watch()

    def start(self, one: TrialSpec) -> None:
        others = [trial for trial, _, _ in self.running.values()]
        if does_not_fit(self.budget, one, flops_with=self.journal.flops_with(one, others)) is None:
            number = self.journal.attempts(one.id) + 1
            self.journal.append(AttemptStarted(trial=one.id, attempt=number, lane=0, at=datetime.now(UTC)))
            first = self.checkpoints[one.id]
            self.running[one.id] = (one, first, first)

    def end(self, one: TrialSpec, state: TrialState) -> None:
        _, first, now = self.running.pop(one.id)
        now = STEPS if state is TrialState.SUCCEEDED else now
        self.spend(one, first, now, is_lost=state is not TrialState.SUCCEEDED)
        status = TrialStatus(state=state, attempts=self.journal.attempts(one.id), metrics=TrialMetrics(loss=1.0))
        self.journal.append(AttemptEnded(record=TrialRecord(spec=one, status=status), at=datetime.now(UTC)))

    def spend(self, one: TrialSpec, first: int, now: int, *, is_lost: bool) -> None:
        flops = FLOPS * (now - first) / STEPS
        self.really += flops
        if is_lost:
            self.lost += flops
            self.checkpoints[one.id] = first + (now - first) // 2

    def crash(self) -> None:
        """Nothing is written any more; what ran is lost; another driver begins."""
        assert self.journal.drain(10)
        for one, first, now in self.running.values():
            self.spend(one, first, now, is_lost=True)
        self.running.clear()
        self.journal = opened(MemoryFiles(self.files.contents))
        self.files = self.journal._files  # type: ignore[assignment]

    def watch(self) -> None:
        spent = self.journal.spent().training_flops
        assert spent >= self.reported - 1e-9, "what has been spent never shrinks"
        self.reported = spent


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["start", "start", "start", "step", "step", "succeed", "fail", "crash"]),
        st.integers(0, 2),
        st.integers(1, STEPS),
    ),
    max_size=60,
)
RETRIED = [("start", 0, 1), ("step", 0, 1), ("fail", 0, 1)]


@settings(max_examples=250, deadline=None)
@given(ACTIONS, st.floats(FLOPS / 2, FLOPS * 3))
@example([*RETRIED, ("start", 1, 1), ("succeed", 1, 1), ("start", 0, 1), ("succeed", 0, 1)], 1.2 * FLOPS)
@example([*RETRIED, ("crash", 0, 1), ("start", 0, 1), ("start", 1, 1), ("succeed", 1, 1)], 1.2 * FLOPS)
def test_no_more_is_spent_than_the_budget_and_what_failures_lost(
    actions: list[tuple[str, int, int]], limit: float
) -> None:
    life = Life(MemoryFiles(), Budget(training_flops=limit))
    for action in actions:
        life.act(*action)
    really = life.really + sum(FLOPS * (now - first) / STEPS for _, first, now in life.running.values())
    assert really <= limit + life.lost + 1e-6
    life.journal.close(10)


@settings(max_examples=100, deadline=None)
@given(ACTIONS)
def test_what_is_read_is_what_was_known(actions: list[tuple[str, int, int]]) -> None:
    life = Life(MemoryFiles(), Budget())
    for action in actions:
        life.act(*action)
    assert life.journal.drain(10)
    again = opened(MemoryFiles(life.files.contents))
    assert again.records() == life.journal.records()
    assert [again.attempts(one.id) for one in TRIALS] == [life.journal.attempts(one.id) for one in TRIALS]
    assert again.first_start == life.journal.first_start
    assert again.spent().training_flops >= life.journal.spent().training_flops - 1e-9
    life.journal.close(10)
    again.close(10)


def test_a_finished_sweep_has_spent_its_flops_exactly() -> None:
    life = Life(MemoryFiles(), Budget(training_flops=FLOPS * len(TRIALS)))
    for which in range(len(TRIALS)):
        for action in ("start", "step", "succeed"):
            life.act(action, which, 3)
    assert life.journal.spent().training_flops == pytest.approx(FLOPS * len(TRIALS))
    assert all(life.journal.is_settled(one.id) for one in TRIALS), "a budget of the plan's FLOPs admits the plan"
    life.journal.close(10)


def test_an_interrupted_trial_is_admitted_by_what_is_left_of_it() -> None:
    life = Life(MemoryFiles(), Budget(training_flops=FLOPS))
    life.act("start", 0, 0)
    life.act("step", 0, 5)
    life.act("fail", 0, 0)
    life.checkpoints[TRIALS[0].id] = 5
    life.act("start", 0, 0)
    assert TRIALS[0].id in life.running
    life.act("step", 0, 1)
    life.act("succeed", 0, 0)
    assert life.journal.spent().training_flops == pytest.approx(FLOPS)
    life.journal.close(10)


def test_an_attempt_that_never_told_how_far_it_came_counts_whole() -> None:
    life = Life(MemoryFiles(), Budget())
    life.act("start", 0, 0)
    life.act("crash", 0, 0)
    assert life.journal.spent().training_flops == FLOPS
    life.journal.close(10)


def record(number: int, state: TrialState, *, loss: float = 1.0, attempts: int = 1) -> AttemptEnded:
    status = TrialStatus(state=state, attempts=attempts, metrics=TrialMetrics(loss=loss))
    return AttemptEnded(record=TrialRecord(spec=TRIALS[number], status=status), at=AT)


def test_rows_of_a_driver_believed_dead_add_results_and_replace_none() -> None:
    files = MemoryFiles()
    old = opened(files)
    assert old.drain(10)
    new = opened(files)
    new.append(record(0, TrialState.SUCCEEDED, loss=1.0))
    new.append(record(1, TrialState.PENDING))
    assert new.close(10)
    for number in (0, 1, 2):
        old.append(record(number, TrialState.SUCCEEDED, loss=2.0))
    old.append(record(3, TrialState.PENDING))
    assert old.close(10)
    for _ in range(2):  # the second one reads merged segments alone
        again = opened(files)
        losses = {id_: found.status.metrics.loss for id_, found in again.records().items()}
        assert losses == {TRIALS[0].id: 1.0, TRIALS[1].id: 2.0, TRIALS[2].id: 2.0}
        assert again.close(10)


def test_two_drivers_of_one_number_are_kept_apart_and_counted_once() -> None:
    files = MemoryFiles()
    first = opened(files)
    first.spend(Spending(accelerator_seconds=100.0))
    assert first.close(10)
    twins = [opened(MemoryFiles(files.contents)) for _ in range(2)]
    for number, twin in enumerate(twins):
        twin.append(record(number, TrialState.SUCCEEDED))
        twin.spend(Spending(accelerator_seconds=10.0))
        assert twin.close(10)
        files.contents |= twin._files.contents  # type: ignore[attr-defined]
    assert twins[0].epoch[:6] == twins[1].epoch[:6] == "000002"
    after = opened(files)
    assert len(after.records()) == 2
    assert after.spent().accelerator_seconds == 120.0
    after.close(10)


@settings(max_examples=60, deadline=None)
@given(ACTIONS, st.data())
def test_any_segment_may_be_lost_without_a_wrong_row(actions: list[tuple[str, int, int]], data: st.DataObject) -> None:
    life = Life(MemoryFiles(), Budget())
    for action in actions:
        life.act(*action)
    assert life.journal.close(10)
    known = life.journal.records()
    names = life.files.names(f"{FOLDER}/journal")
    for name in data.draw(st.lists(st.sampled_from(names), unique=True, max_size=4)) if names else []:
        content = life.files.contents[name]
        life.files.contents[name] = content[: data.draw(st.integers(0, len(content)))]
    again = opened(life.files)
    assert set(again.records()) <= set(known)
    assert all(found.status.metrics == known[id_].status.metrics for id_, found in again.records().items())
    again.close(10)


@pytest.mark.parametrize(
    ("budget", "spent", "word"),
    [
        (Budget(), Spending(training_flops=1e30, accelerator_seconds=1e9, cost=1e9), None),
        (Budget(accelerator_hours=2), Spending(accelerator_seconds=7199.0), None),
        (Budget(accelerator_hours=2), Spending(accelerator_seconds=7200.0), "acceleratorHours"),
        (Budget(cost=5.0), Spending(cost=None), None),
        (Budget(cost=5.0), Spending(cost=5.0), "cost"),
        (Budget(wall_time="1h"), Spending(), "wallTime"),
        (Budget(wall_time="1h1m"), Spending(), None),
    ],
)
def test_time_and_money_end_everything(budget: Budget, spent: Spending, word: str | None) -> None:
    found = used_up(budget, Used(spent, AT, AT + timedelta(hours=1)))
    assert (found is None) if word is None else (found is not None and f"budget.{word}" in found)
    assert used_up(budget, Used(Spending(), None, AT)) is None, "before the first start no time has passed"


def test_durations() -> None:
    assert seconds_of("1d2h3m4s") == timedelta(days=1, hours=2, minutes=3, seconds=4).total_seconds()
    assert seconds_of("90m") == 5400


def test_accelerators_cost_by_their_pools_prices() -> None:
    pools = (Pool(name="a100", hourly_price=3.6), Pool(name="free"))
    up = {"a100": Capacity(2, 16), "free": Capacity(1, 4)}
    spent = spending_of(up, pools, seconds=10.0)
    assert (spent.accelerator_seconds, spent.cost) == (200.0, pytest.approx(0.16))
    assert spending_of(up, (), seconds=10.0).cost is None
    assert spending_of({}, pools, seconds=10.0) == Spending(cost=0.0)


def all_orders(items: Sequence[str]) -> list[tuple[str, ...]]:
    return list(itertools.permutations(items))


@pytest.mark.parametrize("order", all_orders(["fail", "diverge", "succeed"]))
def test_the_first_result_that_stands_stands(order: tuple[str, ...]) -> None:
    states = {"fail": TrialState.FAILED, "diverge": TrialState.DIVERGED, "succeed": TrialState.SUCCEEDED}
    journal = opened(MemoryFiles())
    for what in order:
        journal.append(record(0, states[what]))
    expected = next(states[what] for what in order if what != "fail")
    assert journal.records()[TRIALS[0].id].status.state is expected
    journal.close(10)
