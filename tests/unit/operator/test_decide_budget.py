"""How a budget ends an experiment, and what a raised one opens again."""

import pytest
from scene import NOW, DriverPhase, Spent, answer, hash_of, is_idle, record, row, running, scene, stopped

from scaling_api.driver_protocol import Intent
from scaling_api.v1alpha1.status import TrialState

BUDGET = {"budget": {"trainingFlops": 1e11}}


def test_a_driver_that_has_no_room_ends_the_sweep_and_laws_are_fitted_on_what_there_is() -> None:
    begun = running(BUDGET)
    rows = [row(1, record(begun.trials[1], TrialState.SUCCEEDED))]
    full = {"plan_hash": hash_of(begun), "budget_exhausted": "No trial fits into budget.trainingFlops."}
    working = begun.but(driver=answer(DriverPhase.RUNNING, rows, **full)).settled()
    assert working.says("BudgetExhausted") == ("False", "WithinBudget"), "what runs may still end"
    over = stopped(working.but(driver=answer(DriverPhase.FINISHED, read=1, **full)))
    assert over.says("BudgetExhausted") == ("True", "LimitReached")
    assert over.says("Complete") == ("True", "BudgetExhausted")
    assert over.says("TrialsComplete") == ("False", "BudgetExhausted")
    assert over.says("Failed") == ("False", "NoFailure")
    assert over.status.fitted is not None
    assert over.status.fitted.trials == 1
    assert is_idle(over.decide())


@pytest.mark.parametrize(
    ("budget", "spent", "says"),
    [
        ({"trainingFlops": 1e11}, Spent(training_flops=1.02e11), "budget.trainingFlops"),
        ({"acceleratorHours": 2}, Spent(accelerator_seconds=7200.0), "budget.acceleratorHours"),
        ({"cost": 5}, Spent(cost=5.0), "budget.cost"),
    ],
)
def test_the_operator_is_a_second_guard_of_the_budget(budget: dict[str, float], spent: Spent, says: str) -> None:
    begun = running({"budget": budget})
    over = begun.but(driver=answer(plan_hash=hash_of(begun), spent=spent))
    decision = over.decide()
    assert decision.message is not None
    assert decision.message.intent is Intent.PAUSE
    assert says in over.passed().condition("BudgetExhausted").message


def test_the_last_trial_may_use_the_budget_up() -> None:
    begun = running(BUDGET)
    last = begun.but(driver=answer(plan_hash=hash_of(begun), spent=Spent(training_flops=1e11 * (1 + 1e-12))))
    assert last.passed().says("BudgetExhausted") == ("False", "WithinBudget")


def test_wall_time_ends_the_sweep_and_wakes_the_operator() -> None:
    begun = running({"budget": {"wallTime": "1h"}})
    assert begun.status.started_at == NOW
    assert begun.decide().look_again_after_s == 3600
    over = begun.later(3600)
    assert over.passed().says("BudgetExhausted") == ("True", "LimitReached")
    assert over.decide().message is not None


def test_a_raised_budget_opens_the_experiment_again_where_something_fits() -> None:
    begun = running(BUDGET)
    full = {"plan_hash": hash_of(begun), "budget_exhausted": "No trial fits.", "spent": Spent(training_flops=9.9e10)}
    over = stopped(begun.but(driver=answer(DriverPhase.FINISHED, **full)))
    same = over.with_spec({**BUDGET, "ask": {"trainingFlops": [1e18]}}).settled()
    assert same.says("BudgetExhausted") == ("True", "LimitReached"), "no cluster is started to find that out again"
    assert not same.observed.ray_jobs
    raised = over.with_spec({"budget": {"trainingFlops": 1e13}}).settled()
    assert raised.says("BudgetExhausted") == ("False", "WithinBudget")
    assert raised.observed.ray_jobs


@pytest.mark.parametrize("limit", [{"trainingFlops": 1e8}, {"acceleratorHours": 1e-9}])
def test_a_budget_below_the_plan_is_said_once_and_before_anything_is_created(limit: dict[str, float]) -> None:
    planned = scene({"budget": limit})
    decision = planned.decide()
    assert not decision.creates
    (told,) = (event for event in decision.events if event.reason == "BudgetBelowPlan")
    assert f"budget.{next(iter(limit))} allows {next(iter(limit.values())):.3g}" in told.message
    after = planned.passed()
    assert told.message in after.condition("Accepted").message
    assert "BudgetBelowPlan" not in {event.reason for event in after.decide().events}
    enough = after.with_spec({"budget": {"trainingFlops": 1e18}}).passed()
    assert "budget." not in enough.condition("Accepted").message
