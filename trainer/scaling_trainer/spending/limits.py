"""The hard stops of an experiment: what may begin, and when everything ends.

Training FLOPs are known before they are spent, so a trial that does not fit is not begun. Accelerator time, cost and
wall time go by by themselves: when one of them is used up, what runs is interrupted.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from scaling_api.v1alpha1.durations import seconds_of
from scaling_api.v1alpha1.execution import Budget
from scaling_api.v1alpha1.trial import TrialSpec
from scaling_trainer.spending.amounts import Spending

_TOLERANCE: Final = 1e-9  # a budget of exactly the plan's FLOPs admits the plan, in whatever order it was added up


@dataclass(frozen=True)
class Used:
    """What has been used up of a budget, at a moment."""

    spent: Spending
    first_start: datetime | None
    """Of the experiment's first attempt."""
    now: datetime


def used_up(budget: Budget, used: Used) -> str | None:
    """Return a sentence on the limit that is reached, where time alone has reached one: everything is to end."""
    hours, spent = used.spent.accelerator_seconds / 3600, used.spent
    if budget.accelerator_hours is not None and hours >= budget.accelerator_hours:
        return f"budget.acceleratorHours is used up: {hours:.4g} of {budget.accelerator_hours:g} hours."
    if budget.cost is not None and spent.cost is not None and spent.cost >= budget.cost:
        return f"budget.cost is used up: {spent.cost:.4g} of {budget.cost:g}."
    start = used.first_start
    if budget.wall_time is None or start is None:
        return None
    if used.now - start >= timedelta(seconds=seconds_of(budget.wall_time)):
        since = start.isoformat(timespec="seconds")
        return f"budget.wallTime is used up: {budget.wall_time} have passed since the first start at {since}."
    return None


def most_flops(limit: float) -> float:
    """Return the training FLOPs that are within a limit, in whatever order they were added up."""
    return limit * (1 + _TOLERANCE)


def does_not_fit(budget: Budget, trial: TrialSpec, *, flops_with: float) -> str | None:
    """Return a sentence on why a trial may not begin: the FLOPs with it, and all that run, are beyond the limit.

    Args:
        budget: the limits.
        trial: that could begin.
        flops_with: what will have been spent when it and all that run have ended.
    """
    limit = budget.training_flops
    if limit is None or flops_with <= most_flops(limit):
        return None
    return (
        f"budget.trainingFlops is used up: with the trial {trial.id}, which takes {trial.flops:.4g} FLOPs, "
        f"{flops_with:.4g} would be spent, and the limit is {limit:.4g}."
    )
