"""Results that storage holds already: of other experiments, or of attempts whose end nobody has journalled."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import TrialRecord, TrialSpec, TrialStatus
from scaling_trainer.storage.store import Store

_AT_A_TIME: Final = 16


def found_results(
    trials: Iterable[TrialSpec], store: Store, *, attempts: Callable[[str], int]
) -> Iterator[TrialRecord]:
    """Yield a record of each trial that has a committed result in storage.

    It is Cached where another experiment has run the trial, and what it was where this one has.

    Args:
        trials: to look for.
        store: of the storage.
        attempts: how many this experiment has begun at a trial.

    Raises:
        StorageError: storage cannot be used.
    """
    there = set(store.files.folders("trials"))
    wanted = [trial for trial in trials if trial.id in there]
    with ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="cached") as threads:
        for trial, found in zip(wanted, threads.map(lambda trial: store.find(trial.id), wanted), strict=True):
            if found.committed:
                status = found.committed[0].result.status
                yield TrialRecord(spec=trial, status=_status(status, attempts=attempts(trial.id)))


def _status(status: TrialStatus, *, attempts: int) -> TrialStatus:
    is_anothers = attempts == 0 and status.state is TrialState.SUCCEEDED
    state = TrialState.CACHED if is_anothers else status.state
    return status.model_copy(update={"state": state, "attempts": attempts})
