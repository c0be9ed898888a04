"""Budgets: what has been spent, what is left, and which limit is reached."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from scaling_api.v1alpha1.durations import seconds_of
from scaling_api.v1alpha1.execution import Budget, Pool
from scaling_api.v1alpha1.status import PlanStatus, Spent
from scaling_api.v1alpha1.trial import TrialSpec
from scaling_operator.desired.quantities import slots_of
from scaling_operator.observed import PodSeen

_SLACK: Final = 1.01
"""Of FLOPs: the driver stops at the limit itself, and the last trial that it admitted may use the budget up."""

_CHEAPEST_FIRST: Final = "It is spent on the cheapest points."
_LONGEST_FIRST: Final = "The longest trials come first, so that there may be too few points for a law."


def most(one: Spent, other: Spent) -> Spent:
    """Return the larger of each amount: what was spent only grows, whoever has seen more of it."""
    costs = [spent.cost for spent in (one, other) if spent.cost is not None]
    return Spent(
        training_flops=max(one.training_flops, other.training_flops),
        accelerator_seconds=max(one.accelerator_seconds, other.accelerator_seconds),
        cost=max(costs) if costs else None,
    )


def spent_on_pods(pods: Iterable[PodSeen], pools: Iterable[Pool], *, before: Spent, now: datetime) -> Spent:
    """Return what was spent at least: `before`, and the workers' pods that can be seen, from start to end.

    Pods that are gone cannot be seen: the driver's ledger knows more, and this is the check on it.
    """
    by_name = {pool.name: pool for pool in pools}
    seconds, cost = before.accelerator_seconds, before.cost
    for pod in pods:
        pool = by_name.get(pod.pool or "")
        if pool is None or pod.role != "worker" or pod.started_at is None:
            continue
        lasted = max(0.0, ((pod.ended_at or now) - pod.started_at).total_seconds()) * slots_of(pool)
        seconds += lasted
        if pool.hourly_price is not None:
            cost = (cost or 0.0) + pool.hourly_price * lasted / 3600
    return Spent(training_flops=before.training_flops, accelerator_seconds=seconds, cost=cost)


def wall_time_left_s(budget: Budget, *, started_at: datetime | None, now: datetime) -> float | None:
    """Return the seconds until budget.wallTime is over; None where there is no such limit."""
    if budget.wall_time is None:
        return None
    passed = 0.0 if started_at is None else (now - started_at).total_seconds()
    return seconds_of(budget.wall_time) - passed


def limit_reached(budget: Budget, spent: Spent, *, started_at: datetime | None, now: datetime) -> str | None:
    """Return a sentence on the first limit that is reached; None where there is room below all."""
    flops, hours, cost = budget.training_flops, budget.accelerator_hours, budget.cost
    if flops is not None and spent.training_flops > flops * _SLACK:
        return f"The budget of {flops:g} training FLOPs (budget.trainingFlops) is spent."
    if hours is not None and spent.accelerator_seconds >= hours * 3600:
        return f"The budget of {hours:g} accelerator-hours (budget.acceleratorHours) is spent."
    if cost is not None and (spent.cost or 0.0) >= cost:
        return f"The budget of {cost:g} (budget.cost) is spent."
    left_s = wall_time_left_s(budget, started_at=started_at, now=now)
    if left_s is not None and left_s <= 0:
        return f"The time of {budget.wall_time} since the first start (budget.wallTime) is over."
    return None


def below_plan(budget: Budget, plan: PlanStatus) -> str | None:
    """Return a sentence where the plan takes more than a limit allows, so that the sweep will end early."""
    limits = (
        (plan.training_flops, budget.training_flops, "training FLOPs", "trainingFlops"),
        (plan.accelerator_hours, budget.accelerator_hours, "accelerator-hours, as estimated,", "acceleratorHours"),
        (plan.cost, budget.cost, "in cost, as estimated,", "cost"),
    )
    for takes, allowed, what, name in limits:
        if takes is not None and allowed is not None and takes > allowed:
            order = _CHEAPEST_FIRST if name == "trainingFlops" else _LONGEST_FIRST
            early = (
                f"The plan takes {takes:.3g} {what} and budget.{name} allows {allowed:.3g}: the sweep will end early."
            )
            return f"{early} {order}"
    return None


def none_fits(budget: Budget, spent: Spent, unfinished: Mapping[str, TrialSpec]) -> str | None:
    """Return a sentence where not even the cheapest trial that could begin is within budget.trainingFlops."""
    if budget.training_flops is None or not unfinished:
        return None
    ready = (trial for trial in unfinished.values() if not any(parent in unfinished for parent in trial.parents))
    cheapest = min(trial.flops for trial in ready)
    if spent.training_flops + cheapest <= budget.training_flops:
        return None
    return (
        f"The budget of {budget.training_flops:g} training FLOPs (budget.trainingFlops) has no room for another trial: "
        f"the cheapest that is left takes {cheapest:.3g}."
    )
