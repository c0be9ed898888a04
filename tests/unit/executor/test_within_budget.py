"""A budget on one machine: what all runs in a results folder have spent counts, whoever ended them."""

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import pytest
from scripted_plan import AT, ended, experiment, started, task, trial, trial_id

from scaling_api.v1alpha1.execution import Budget, Execution, Pool
from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.training import Training
from scaling_api.v1alpha1.trial import TrialKind, TrialSpec
from scaling_trainer.context import TrialContext
from scaling_trainer.executors.local import LocalExecutor
from scaling_trainer.executors.within_budget import Done, Work, run_within_budget
from scaling_trainer.journal import JournalRow, Metered
from scaling_trainer.results import ResultsFolder
from scaling_trainer.spending.amounts import Spending
from scaling_trainer.spending.expenses import Expenses

PRICED = Execution(pools=(Pool(name="cpu", hourly_price=3600.0),))
A = trial_id("a")


def run(folder: Path, trials: Iterable[TrialSpec], budget: Budget, script: str = "") -> Done:
    """Run trials on two lanes, which cost 1 a second each."""
    context = TrialContext(task=task(script), training=Training(), corpus_fingerprint="0" * 64, folder=folder)
    with ResultsFolder.open(folder, experiment(scripts=script)) as results:
        executor = LocalExecutor(context, lanes=2, run="scripted_trials:run_trial")
        work = Work(tuple(trials), PRICED, budget)
        return run_within_budget(executor, work, results=results, on_event=lambda event: None)


def test_a_trial_that_would_not_fit_does_not_begin_and_the_next_run_knows(tmp_path: Path) -> None:
    trials = [trial(str(i), flops=10.0, kind=TrialKind.DENSE) for i in range(5)]
    first = run(tmp_path, trials, Budget(training_flops=35.0))
    assert len(first.outcome.records) == 3
    assert first.budget_exhausted is not None
    assert "budget.trainingFlops" in first.budget_exhausted
    assert first.spent.training_flops == 30.0
    again = run(tmp_path, trials, Budget(training_flops=35.0))
    assert again.outcome.records.keys() == first.outcome.records.keys()
    assert again.budget_exhausted == first.budget_exhausted
    assert again.spent.accelerator_seconds > first.spent.accelerator_seconds > 0
    whole = run(tmp_path, trials, Budget(training_flops=50.0))
    assert len(whole.outcome.records) == 5
    assert whole.budget_exhausted is None


@pytest.mark.parametrize(
    ("budget", "word"),
    [
        (Budget(accelerator_hours=4.0 / 3600), "acceleratorHours"),
        (Budget(cost=4.0), "cost"),
        (Budget(wall_time="2s"), "wallTime"),
    ],
)
def test_when_time_or_money_is_used_up_what_runs_is_interrupted(tmp_path: Path, budget: Budget, word: str) -> None:
    endless = [trial(f"t{i}", steps=100_000, flops=1e6) for i in range(3)]
    done = run(tmp_path, endless, budget, "pause=0.05")
    assert done.outcome.records == {}
    assert not done.outcome.interrupted
    assert done.budget_exhausted is not None
    assert f"budget.{word} is used up" in done.budget_exhausted
    assert 0 < done.spent.training_flops < 1e5, "interrupted trials count by their steps"
    assert done.spent.cost == pytest.approx(done.spent.accelerator_seconds)
    again = run(tmp_path, endless, budget, "pause=0.05")
    assert again.budget_exhausted is not None
    assert again.spent.training_flops == done.spent.training_flops, "nothing was begun"


def test_a_budget_that_is_used_up_does_not_matter_where_all_is_done(tmp_path: Path) -> None:
    run(tmp_path, [trial("a")], Budget())
    assert run(tmp_path, [trial("a")], Budget(accelerator_hours=1e-9)).budget_exhausted is None


def begun(*, flops: float) -> JournalRow:
    return started("a").model_copy(update={"flops": flops})


def metered(so_far: float) -> Metered:
    return Metered(at=AT, spent=Spending(accelerator_seconds=20.0), running={A: so_far})


@pytest.mark.parametrize(
    ("rows", "flops"),
    [
        ([begun(flops=8.0)], 8.0),
        ([begun(flops=8.0), metered(3.0)], 3.0),
        ([begun(flops=8.0), metered(3.0), begun(flops=8.0)], 11.0),
        ([begun(flops=8.0), metered(3.0), ended("a").model_copy(update={"flops": 8.0})], 8.0),
    ],
)
def test_a_run_that_was_killed_counts_as_far_as_it_told(rows: list[JournalRow], flops: float) -> None:
    expenses = Expenses(rows)
    assert expenses.spent().training_flops == flops
    assert expenses.first_start == AT


def test_what_an_earlier_version_has_written_counts_whole() -> None:
    whole = trial("a", flops=8.0)
    row = ended("a")
    status = row.record.status.model_copy(update={"attempts": 1})
    unbegun = row.record.model_copy(update={"spec": trial("b", flops=8.0)})
    old = [
        started("a"),
        row.model_copy(update={"record": row.record.model_copy(update={"spec": whole, "status": status})}),
        row.model_copy(update={"record": unbegun}),
    ]
    assert Expenses(old).spent().training_flops == 8.0


def test_only_what_is_left_of_a_resumed_trial_is_needed() -> None:
    one = trial("a", flops=8.0)
    expenses = Expenses([begun(flops=8.0), metered(3.0)])
    assert expenses.flops_with(one, ()) == 8.0
    expenses.follow([one])
    expenses.begin(started("a", 2).model_copy(update={"flops": 8.0}))
    assert expenses.flops_with(trial("b", flops=1.0), [one]) == 9.0
    row = expenses.end(ended("a", TrialState.PENDING))
    assert row.flops == 8.0, "it never told how far it came"
    assert expenses.meter(Spending(), at=AT + timedelta(seconds=1)).running == {}
