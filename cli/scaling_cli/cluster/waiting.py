"""Waiting for an experiment: watch it until it stands still."""

import queue
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Final

from scaling_cli.cluster.client import Cluster
from scaling_cli.cluster.experiments import ClusterExperiment
from scaling_cli.cluster.following import Followed, sources
from scaling_cli.cluster.standing import standing_of
from scaling_cli.cluster.watching import Message, Watch
from scaling_cli.errors import CommandError, ExitCode

_TICK_S: Final = 0.25
_UNSEEN_S: Final = 20.0
"""An operator that runs has seen an experiment by then."""


class WaitedEnoughError(CommandError):
    """The time for waiting is over; the experiment goes on."""

    def __init__(self, message: str) -> None:
        super().__init__(message, exit_code=ExitCode.TIMED_OUT)


def wait_for(
    cluster: Cluster,
    experiment: ClusterExperiment,
    *,
    timeout_s: float | None,
    show: Callable[[Followed, Iterable[str]], None],
) -> ClusterExperiment:
    """Return the experiment once nothing more will happen to it by itself.

    Args:
        cluster: where it is.
        experiment: as it was last read.
        timeout_s: seconds to wait at most; None waits as long as it takes.
        show: called several times a second with what is known, and sentences that are new.

    Raises:
        CommandError: the time is over, it was deleted, or it can't be read any more.
    """
    followed = Followed(experiment, datetime.now(UTC))
    with _Messages(cluster, experiment.name) as messages:
        begin = time.monotonic()
        is_told = False
        while not is_at_rest(followed):
            elapsed_s = time.monotonic() - begin
            if timeout_s is not None and elapsed_s >= timeout_s:
                raise WaitedEnoughError(_still(followed))
            sentences = messages.taken(followed)
            if not is_told and elapsed_s > _UNSEEN_S and not followed.experiment.is_seen:
                is_told = True
                sentences.append(f"No operator has seen {experiment.name} for {_UNSEEN_S:.0f} s: does one run here?")
            show(followed, sentences)
        return followed.experiment


def is_at_rest(followed: Followed) -> bool:
    """Whether nothing more will happen by itself: it is over, or it is suspended from the start as a dry run.

    Raises:
        CommandError: it was deleted.
    """
    experiment = followed.experiment
    if followed.is_deleted:
        raise CommandError(f"{experiment.name} was deleted meanwhile.", exit_code=ExitCode.TRIALS_FAILED)
    standing = standing_of(experiment)
    return standing.is_over or standing.word == "Suspended"


def _still(followed: Followed) -> str:
    experiment = followed.experiment
    standing = standing_of(experiment)
    done = f"{followed.finished:,} of {followed.total:,} trials are finished" if followed.total else standing.why
    return f"The time is over. {experiment.name} goes on; it is {standing.word}: {done.rstrip('.')}."


class _Messages:
    """Watches of an experiment, and their messages."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._queue: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._watches = [Watch(cluster, source, self._queue.put) for source in sources(cluster, name)]

    def __enter__(self) -> "_Messages":
        for watch in self._watches:
            watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        for watch in self._watches:
            watch.close()

    def taken(self, followed: Followed) -> list[str]:
        """Follow what has come within a moment; return sentences for people."""
        sentences: list[str] = []
        until = time.monotonic() + _TICK_S
        while (left := until - time.monotonic()) > 0:
            try:
                sentences += followed.take(self._queue.get(timeout=left))
            except queue.Empty:
                break
        return sentences
