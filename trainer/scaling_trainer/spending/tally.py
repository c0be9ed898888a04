"""Training FLOPs of attempts that run, counted by the steps that they have told of."""

from collections.abc import Iterable
from dataclasses import dataclass

from scaling_api.v1alpha1.trial import TrialSpec
from scaling_trainer.spending.account import Account
from scaling_trainer.spending.amounts import Spending


@dataclass(slots=True)
class _Attempt:
    trial: TrialSpec
    number: int
    needed_flops: float
    """Of the trial, when the attempt began."""
    first_step: int | None = None
    last_step: int | None = None

    def counted(self, last_step: int) -> float:
        """Return the FLOPs until a step; an attempt that is not the first begins one step before its first report."""
        trial = self.trial
        begun = trial.start_step if self.number == 1 or self.first_step is None else self.first_step - 1
        steps = trial.end_step - trial.start_step
        return trial.flops if steps == 0 else trial.flops * min(1.0, max(0, last_step - begun) / steps)


class Tally:
    """The attempts that run."""

    def __init__(self, account: Account) -> None:
        """Begin with none, beside those that have ended."""
        self._account = account
        self._attempts: dict[str, _Attempt] = {}

    def begin(self, trial: TrialSpec, *, number: int) -> None:
        """Count an attempt from here on."""
        self._attempts[trial.id] = _Attempt(trial, number, self._account.needed_flops(trial))

    def progress(self, trial_id: str, step: int) -> None:
        """An attempt has come to a step."""
        if (attempt := self._attempts.get(trial_id)) is not None:
            attempt.first_step = step if attempt.first_step is None else attempt.first_step
            attempt.last_step = max(step, attempt.last_step or 0)

    def end(self, trial_id: str, *, has_succeeded: bool) -> float:
        """End an attempt, and return its FLOPs: all of the trial, where it never told how far it came."""
        attempt = self._attempts.pop(trial_id, None)
        if attempt is None:
            return 0.0
        if has_succeeded:
            return attempt.counted(attempt.trial.end_step)
        return attempt.trial.flops if attempt.last_step is None else attempt.counted(attempt.last_step)

    def so_far(self) -> dict[str, float]:
        """Return the FLOPs of each attempt that has told how far it is, by trial id."""
        return {
            id_: attempt.counted(attempt.last_step)
            for id_, attempt in self._attempts.items()
            if attempt.last_step is not None
        }

    def spent(self) -> Spending:
        """Return what was spent over all epochs, by attempts that run too, as far as they have told."""
        return self._account.total() + Spending(training_flops=sum(self.so_far().values()))

    def needed_flops(self, trial: TrialSpec) -> float:
        """Return the FLOPs that are still to be spent on a trial, if its attempts so far have left what they did.

        Of one that runs, what it has told of is spent already.
        """
        attempt = self._attempts.get(trial.id)
        if attempt is None:
            return self._account.needed_flops(trial)
        so_far = 0.0 if attempt.last_step is None else attempt.counted(attempt.last_step)
        return max(0.0, attempt.needed_flops - so_far)

    def flops_with(self, trial: TrialSpec, running: Iterable[TrialSpec]) -> float:
        """Return the FLOPs that will have been spent when `trial` and all that run have ended, if nothing fails."""
        ended = self._account.total().training_flops
        return ended + self._committed(running) + self._account.needed_flops(trial)

    def _committed(self, running: Iterable[TrialSpec]) -> float:
        """Return the FLOPs that trials which run will have spent, in the attempts that run, when they end."""
        so_far = self.so_far()
        found = [(self._attempts.get(trial.id), trial) for trial in running]
        return sum(
            trial.flops if attempt is None else max(attempt.needed_flops, so_far.get(trial.id, 0.0))
            for attempt, trial in found
        )
