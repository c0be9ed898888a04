"""The plan that the driver follows, and which messages may replace it."""

import threading
from collections import Counter
from dataclasses import dataclass

from scaling_api.driver_protocol import DriverPlan, Intent
from scaling_trainer.errors import ConfigurationError


class PlanConflictError(ValueError):
    """The plan is of another experiment, or of an earlier revision."""


class InvalidPlanError(ConfigurationError):
    """The plan contradicts itself."""


@dataclass(frozen=True)
class Accepted:
    """A plan that the driver follows."""

    plan: DriverPlan
    hash: str
    number: int
    """Grows with each change of the plan."""


class Desk:
    """Takes plans in. May be used from several threads."""

    def __init__(self, experiment: str) -> None:
        """Wait for a plan.

        Args:
            experiment: uid of the one whose plans are taken.
        """
        self.experiment = experiment
        self._accepted: Accepted | None = None
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)

    @property
    def accepted(self) -> Accepted | None:
        """The plan in force."""
        return self._accepted

    def put(self, plan: DriverPlan) -> bool:
        """Follow `plan` from now on; return whether it is another than before.

        Raises:
            PlanConflictError: it is of another experiment, or of an earlier revision.
            InvalidPlanError: it contradicts itself.
        """
        check_plan(plan)
        hash_ = plan.hash
        with self._changed:
            now = self._accepted
            self._refuse_conflict(plan, now)
            if now is not None and now.hash == hash_:
                return False
            self._accepted = Accepted(plan, hash_, 1 if now is None else now.number + 1)
            self._changed.notify_all()
            return True

    def wait(self, known: Accepted | None, timeout_s: float) -> Accepted | None:
        """Return the plan in force, at once where it is another than `known`, else after some time."""
        with self._changed:
            if self._accepted is known:
                self._changed.wait(timeout_s)
            return self._accepted

    def _refuse_conflict(self, plan: DriverPlan, now: Accepted | None) -> None:
        if plan.experiment != self.experiment:
            raise PlanConflictError(
                f"The plan is of the experiment {plan.experiment}; this driver works for {self.experiment}."
            )
        if now is not None and plan.revision < now.plan.revision:
            raise PlanConflictError(
                f"The plan has revision {plan.revision}; this driver follows revision {now.plan.revision} already."
            )
        if now is not None and now.plan.intent is Intent.STOP and plan.intent is not Intent.STOP:
            raise PlanConflictError("The driver was told to stop, and is about to exit.")


def check_plan(plan: DriverPlan) -> None:
    """Refuse trials that nobody could run.

    Raises:
        InvalidPlanError: two trials of one id, a parent after its child or absent, trials without a corpus.
    """
    counts = Counter(trial.id for trial in plan.trials)
    if twice := [id_ for id_, count in counts.items() if count > 1]:
        raise InvalidPlanError(f"The trial {twice[0]} is in the plan {counts[twice[0]]} times.")
    seen: set[str] = set()
    for trial in plan.trials:
        if missing := [parent for parent in trial.parents if parent not in seen]:
            raise InvalidPlanError(
                f"The trial {trial.id} starts from {missing[0]}, which is not before it in the plan."
            )
        seen.add(trial.id)
    if plan.trials and plan.task.language is not None and plan.corpus_fingerprint is None:
        raise InvalidPlanError("The plan has trials, and no corpusFingerprint, which their ids depend on.")
