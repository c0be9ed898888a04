"""Lanes that could not start: how long to wait before the next, and when to stop trying."""

import time
from collections.abc import Callable
from typing import Final

from scaling_api.v1alpha1.trial import Failure, FailureClass
from scaling_trainer.executors.attempts import RunStoppedError
from scaling_trainer.executors.failures import failure

_MAX_FAILED: Final = 3
_MAX_LOST: Final = 20  # to what happens to machines; with the pauses between, that is eight minutes
_FIRST_PAUSE_S: Final = 0.25
_LONGEST_PAUSE_S: Final = 30.0


class Starts:
    """Failed starts in a row."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin without any."""
        self._clock = clock
        self._failed = 0
        self._not_before = 0.0

    @property
    def may_open(self) -> bool:
        """Whether it is time to try again."""
        return self._failed == 0 or self._clock() >= self._not_before

    def succeeded(self) -> None:
        """Forget earlier failures."""
        self._failed = 0

    def failed(self, why: Failure, *, is_unusable: bool, is_any_left: bool) -> None:
        """Count a failure.

        Args:
            why: what happened.
            is_unusable: the lane's process itself said that no trial can run in it.
            is_any_left: another lane is ready or at work.

        Raises:
            RunStoppedError: a person must act, or it has failed too often.
        """
        if why.failure_class is FailureClass.CONFIGURATION:
            raise RunStoppedError(why)
        self._failed += 1
        self._not_before = self._clock() + min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0**self._failed)
        is_infrastructure = why.failure_class is FailureClass.INFRASTRUCTURE
        limit = _MAX_LOST if is_infrastructure and not is_unusable else _MAX_FAILED
        if self._failed >= limit and not is_any_left:
            raise RunStoppedError(why if is_infrastructure else _cannot_start(why))


def _cannot_start(why: Failure) -> Failure:
    message = f"No process can be started to run trials: {why.message}"
    return failure(FailureClass.CONFIGURATION, "WorkersCannotStart", message)
