"""Hard stops, enforced by a real driver alone."""

import time
from collections import Counter
from collections.abc import Callable

import pytest
from driving import Driving, plan
from scripted_plan import family, trial

from scaling_api.driver_protocol import DriverPhase
from scaling_api.v1alpha1.execution import Budget, Execution, Pool, Retries
from scaling_api.v1alpha1.status import Spent
from scaling_api.v1alpha1.trial import TrialKind

Make = Callable[..., Driving]


def states(driver: Driving) -> Counter[str]:
    return Counter(record.status.state.value for record in driver.client.records().values())


def test_a_trial_that_would_not_fit_does_not_start(driving: Make) -> None:
    driver = driving().started()
    trials = [trial(f"t{i}", flops=10.0) for i in range(6)]
    driver.client.put(plan(trials, budget=Budget(training_flops=35.0)))
    state = driver.finished()
    assert states(driver) == {"Succeeded": 3}
    assert state.spent.training_flops == 30.0
    assert state.budget_exhausted is not None
    assert "budget.trainingFlops" in state.budget_exhausted
    driver.client.put(plan(trials, budget=Budget(training_flops=60.0), revision=2))
    assert driver.finished().budget_exhausted is None
    assert states(driver) == {"Succeeded": 6}


def test_lost_attempts_are_spent_too_and_survive_the_driver(driving: Make) -> None:
    driver = driving(lanes=1).started()
    execution = Execution(retries=Retries(application=3))
    flaky = plan([trial("t", steps=10, flops=10.0)], "pause=0.1 fault=raise once at=5", execution=execution)
    driver.client.put(flaky)
    spent = driver.finished().spent.training_flops
    assert 10.0 < spent <= 20.0
    driver.kill()
    driver.started()
    assert driver.client.state().spent.training_flops == pytest.approx(spent)


def test_spent_goes_on_from_what_the_operator_knows(driving: Make) -> None:
    driver = driving().started()
    known = Spent(training_flops=25.0, accelerator_seconds=1e6)
    sweep = plan([trial("a", flops=10.0)], budget=Budget(training_flops=30.0))
    driver.client.put(sweep.model_copy(update={"spent": known}))
    state = driver.finished()
    assert state.spent.training_flops == 25.0
    assert state.spent.accelerator_seconds >= 1e6
    assert states(driver) == {}
    assert state.budget_exhausted is not None
    driver.client.put(sweep.model_copy(update={"spent": Spent(training_flops=1.0)}))
    assert driver.client.state().spent.training_flops == 25.0, "it never shrinks"


@pytest.mark.parametrize(
    ("budget", "word"),
    [
        (Budget(accelerator_hours=12.0 / 3600), "acceleratorHours"),
        (Budget(cost=6.0), "cost"),
        (Budget(wall_time="3s"), "wallTime"),
    ],
)
def test_when_time_or_money_is_used_up_everything_ends(driving: Make, budget: Budget, word: str) -> None:
    driver = driving().started()
    execution = Execution(pools=(Pool(name="cpu", hourly_price=1800.0),))
    endless = plan([trial(f"t{i}", steps=10_000) for i in range(4)], "pause=0.05", budget=budget, execution=execution)
    begin = time.monotonic()
    driver.client.put(endless)
    state = driver.finished(timeout_s=30)
    assert time.monotonic() - begin < 20
    assert state.budget_exhausted is not None
    assert f"budget.{word}" in state.budget_exhausted
    assert states(driver) == {"Interrupted": 2}
    assert state.spent.accelerator_seconds > 0
    assert state.lanes == 0
    driver.kill()
    driver.started()
    driver.wait_until(lambda: driver.client.state().phase is DriverPhase.FINISHED)
    assert states(driver)["Running"] == 0
    assert driver.client.state().budget_exhausted is not None, "the next driver knows"


def test_a_budget_of_exactly_the_plan_admits_the_plan(driving: Make) -> None:
    driver = driving().started()
    trials = [one.model_copy(update={"flops": 0.1 * (i + 1)}) for i, one in enumerate(family(3))]
    driver.client.put(plan(trials, budget=Budget(training_flops=sum(one.flops for one in reversed(trials)))))
    state = driver.finished()
    assert state.budget_exhausted is None
    assert states(driver) == {"Succeeded": len(trials)}


def test_a_plan_that_is_sent_again_while_it_runs_still_has_its_budget(driving: Make) -> None:
    driver = driving(lanes=1).started()
    trials = [trial("a", steps=40, flops=10.0), trial("b", steps=3, flops=10.0)]
    driver.client.put(plan(trials, "pause=0.05 every=1", budget=Budget(training_flops=20.0)))
    driver.wait_until(lambda: 1.0 < driver.client.state().spent.training_flops < 9.0)
    again = plan(trials, "pause=0.05 every=1", budget=Budget(training_flops=20.0), revision=2)
    driver.client.put(again)
    assert driver.finished().budget_exhausted is None
    assert states(driver) == {"Succeeded": 2}


def test_a_budget_below_the_plan_buys_points_and_not_the_longest_trunk(driving: Make) -> None:
    driver = driving(lanes=1).started()
    large = [trial("large", steps=10, flops=60.0), trial("large.point", "large", kind=TrialKind.DENSE, flops=20.0)]
    small = [trial("small", steps=5, flops=30.0), trial("small.point", "small", kind=TrialKind.DENSE, flops=10.0)]
    driver.client.put(plan([*large, *small], budget=Budget(training_flops=70.0)))
    state = driver.finished()
    assert sorted(driver.client.records()) == sorted(one.id for one in small)
    assert state.spent.training_flops == 40.0
    assert state.budget_exhausted is not None
    assert state.budget_exhausted.startswith("budget.trainingFlops is used up: with the trial")
