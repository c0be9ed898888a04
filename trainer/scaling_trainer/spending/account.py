"""What was spent on each trial and in all: a fold over the beginnings and ends of attempts, over all epochs."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from scaling_api.v1alpha1.trial import TrialSpec
from scaling_trainer.spending.amounts import NOTHING, Spending


@dataclass(slots=True)
class _Open:
    """An attempt whose end nobody has seen yet."""

    whole_flops: float
    """Of its trial."""
    so_far: float | None = None
    """FLOPs, as far as it has told."""

    @property
    def lost_flops(self) -> float:
        """What it counts with if its end is never seen: whole, where it has never told how far it was."""
        return self.whole_flops if self.so_far is None else self.so_far


class Account:
    """What was spent."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.spent: dict[str, Spending] = {}
        """By epoch, attempts that are open aside."""
        self.counted_flops: defaultdict[str, float] = defaultdict(float)
        """By trial: training FLOPs of its attempts that have ended, repeated work included."""
        self.first_start: datetime | None = None
        """Of the first attempt of all."""
        self._open: dict[tuple[str, str], _Open] = {}

    def begin(self, epoch: str, trial_id: str, *, at: datetime | None, whole_flops: float) -> None:
        """An attempt begins at a trial of so many FLOPs."""
        self._open[epoch, trial_id] = _Open(whole_flops)
        self.begun_at(at)

    def begun_at(self, at: datetime | None) -> None:
        """Some attempt began then."""
        starts = [start for start in (at, self.first_start) if start is not None]
        self.first_start = min(starts, default=None)

    def end(self, epoch: str, trial_id: str, *, flops: float) -> None:
        """An attempt has ended that counts with so many FLOPs."""
        self._open.pop((epoch, trial_id), None)
        self.spend(epoch, Spending(training_flops=flops))
        self.counted_flops[trial_id] += flops

    def known(self, epoch: str, trial_id: str, *, flops: float) -> None:
        """All ended attempts of a trial together count with so many FLOPs, which are spent already."""
        self._open.pop((epoch, trial_id), None)
        self.counted_flops[trial_id] = max(self.counted_flops[trial_id], flops)

    def spend(self, epoch: str, spent: Spending) -> None:
        """So much was spent beside all that is counted elsewhere."""
        self.spent[epoch] = self.spent.get(epoch, NOTHING) + spent

    def come_to(self, epoch: str, running: Mapping[str, float]) -> None:
        """Open attempts of an epoch have spent so many FLOPs so far, by trial."""
        for trial_id, flops in running.items():
            if (attempt := self._open.get((epoch, trial_id))) is not None:
                attempt.so_far = flops

    def lost(self, epoch: str, trial_id: str) -> float:
        """Return what an open attempt counts with if it ends now and nobody sees it; 0 where none is open."""
        attempt = self._open.get((epoch, trial_id))
        return 0.0 if attempt is None else attempt.lost_flops

    def close_all(self) -> Iterator[str]:
        """End every open attempt, whose epoch is over, and yield its trial; what it counts with is not less."""
        for epoch, trial_id in list(self._open):
            self.end(epoch, trial_id, flops=self.lost(epoch, trial_id))
            yield trial_id

    def merge(self, spent: Mapping[str, Spending], first_start: datetime | None) -> None:
        """Take over what someone else has counted, by epoch, where it is more than is known."""
        self.spent |= {epoch: amounts for epoch, amounts in spent.items() if self._is_more(epoch, amounts)}
        self.begun_at(first_start)

    def total(self) -> Spending:
        """Return what all epochs have spent, open attempts aside."""
        return sum(self.spent.values(), NOTHING)

    def needed_flops(self, trial: TrialSpec) -> float:
        """Return the FLOPs that are still to be spent on a trial, if its attempts so far have left what they did."""
        return max(0.0, trial.flops - self.counted_flops.get(trial.id, 0.0))

    def _is_more(self, epoch: str, spent: Spending) -> bool:
        """Whether an epoch has spent at least what is known: two may have read the same rows."""
        known = self.spent.get(epoch, NOTHING)
        return (spent.training_flops, spent.accelerator_seconds) >= (known.training_flops, known.accelerator_seconds)
