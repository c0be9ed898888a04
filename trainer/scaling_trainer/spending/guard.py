"""Holds work to its budget: what may begin, and whether everything is to end."""

from collections.abc import Callable, Sequence

from scaling_api.v1alpha1.execution import Budget
from scaling_api.v1alpha1.trial import TrialSpec
from scaling_trainer.spending.choice import cheapest_points
from scaling_trainer.spending.limits import Used, does_not_fit, most_flops, used_up


class BudgetGuard:
    """One stretch of work within a budget, which may change meanwhile."""

    def __init__(
        self, *, used: Callable[[], Used], flops_with: Callable[[TrialSpec, Sequence[TrialSpec]], float]
    ) -> None:
        """Begin with no limit reached.

        Args:
            used: what has been used up, until now.
            flops_with: FLOPs that will have been spent when a trial and others that run have ended.
        """
        self.used_up: str | None = None
        """A sentence on the limit of time or money that is reached: everything is to end."""
        self._budget = Budget()
        self._refused: str | None = None
        self._chosen: frozenset[str] | None = None
        self._used = used
        self._flops_with = flops_with

    def follow(
        self, trials: Sequence[TrialSpec], budget: Budget, *, needed_flops: Callable[[TrialSpec], float]
    ) -> None:
        """Spend the budget's FLOPs on these trials; where they are too few for all, on the cheapest points.

        Args:
            trials: the plan, parents before children.
            budget: the limits.
            needed_flops: what is still to be spent on a trial; 0 for one that has its result.
        """
        self._budget = budget
        if budget.training_flops is None:
            self._chosen = None
            return
        left = most_flops(budget.training_flops) - self._used().spent.training_flops
        self._chosen = cheapest_points(trials, needed_flops=needed_flops, left_flops=left)

    def look(self, budget: Budget) -> bool:
        """Hold to this budget from now on; return whether everything is to end."""
        self._budget = budget
        has_clock = any(limit is not None for limit in (budget.accelerator_hours, budget.cost, budget.wall_time))
        self.used_up = used_up(budget, self._used()) if has_clock else None
        return self.used_up is not None

    def admits(self, trial: TrialSpec, running: Sequence[TrialSpec]) -> bool:
        """Whether a trial may begin beside those that run."""
        if self.used_up is not None:
            return False
        is_chosen = self._chosen is None or trial.id in self._chosen
        flops_with = self._flops_with(trial, running)
        why = does_not_fit(self._budget, trial, flops_with=flops_with) if is_chosen else self._not_chosen(trial)
        self._refused = why or self._refused
        return why is None

    def reached(self, *, is_complete: bool) -> str | None:
        """Return a sentence on the limit that has ended the work, if one has.

        Args:
            is_complete: every trial has its result, or was given up.
        """
        return self.used_up or (None if is_complete else self._refused)

    def _not_chosen(self, trial: TrialSpec) -> str:
        return (
            f"budget.trainingFlops is used up: with the trial {trial.id} and the points that need it, more than the "
            f"limit of {self._budget.training_flops:.4g} would be spent; cheaper points come first."
        )
