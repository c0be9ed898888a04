"""Holds work to its budget: what may begin, and whether everything is to end."""

from collections.abc import Callable, Sequence

from scaling_api.v1alpha1.execution import Budget
from scaling_api.v1alpha1.trial import TrialSpec
from scaling_trainer.spending.limits import Used, does_not_fit, used_up


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
        self._used = used
        self._flops_with = flops_with

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
        why = does_not_fit(self._budget, trial, flops_with=self._flops_with(trial, running))
        self._refused = why or self._refused
        return why is None

    def reached(self, *, is_complete: bool) -> str | None:
        """Return a sentence on the limit that has ended the work, if one has.

        Args:
            is_complete: every trial has its result, or was given up.
        """
        return self.used_up or (None if is_complete else self._refused)
