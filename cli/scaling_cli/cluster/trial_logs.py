"""What all pods of an experiment say about one trial: the driver in the head, lanes and gangs where they train."""

import queue
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from scaling_cli.cluster.client import Cluster
from scaling_cli.cluster.experiments import read_experiment
from scaling_cli.cluster.logs import LogLine, PodLog
from scaling_cli.cluster.ray import Pod, read_pods
from scaling_cli.cluster.standing import standing_of
from scaling_cli.cluster.trials import read_trials
from scaling_cli.errors import CommandError

_AT_A_TIME: Final = 8
_LOOK_AGAIN_S: Final = 3.0


def trial_lines(cluster: Cluster, name: str, trial: str) -> list[LogLine]:
    """Return the lines of all logs that name a trial, in the order of their times.

    Raises:
        CommandError: the experiment or its pods cannot be read.
    """
    pods = read_pods(cluster, read_experiment(cluster, name))
    with ThreadPoolExecutor(_AT_A_TIME) as threads:
        found = threads.map(lambda pod: _naming(PodLog(cluster, pod), trial), pods)
        return sorted((line for lines in found for line in lines), key=lambda line: line.at)


def followed_trial_lines(cluster: Cluster, name: str, trial: str) -> Iterator[LogLine]:
    """Yield lines that name a trial as they come, those of pods that come later too, until the experiment is over.

    Raises:
        CommandError: the experiment or its pods cannot be read.
    """
    following = _Following(cluster, trial)
    while True:
        experiment = read_experiment(cluster, name)
        pods = read_pods(cluster, experiment)
        following.follow(pods)
        yield from following.heard(_LOOK_AGAIN_S)
        if not pods and standing_of(experiment).is_over:
            return


def word_on_trial(cluster: Cluster, name: str, trial: str) -> str:
    """Return a sentence on a trial that no log names, by its record.

    Raises:
        CommandError: the experiment cannot be read.
    """
    records = read_trials(cluster, read_experiment(cluster, name)).records
    found = [record for record in records if record.spec.id.startswith(trial)]
    if not found:
        return f"{name} has no trial {trial}, as far as its records go; see: scaling trials {name}"
    status = found[0].status
    why = f" {status.failure.message}" if status.failure else ""
    return (
        f"No log that is still there names the trial {found[0].spec.id}: logs go with their pods. "
        f"Its record says: {status.state}, {status.attempts} attempts.{why}"
    )


def _naming(log: PodLog, trial: str) -> list[LogLine]:
    with suppress(CommandError):  # a pod that has no log yet, or none any more
        return [line for line in log.timed() if trial in line.text]
    return []


@dataclass
class _Following:
    """A thread for each pod's log, while there is one."""

    cluster: Cluster
    trial: str
    _said: "queue.SimpleQueue[LogLine]" = field(default_factory=queue.SimpleQueue)
    _logs: dict[tuple[str, int], PodLog] = field(default_factory=dict)
    _read: set[tuple[str, int]] = field(default_factory=set)

    def follow(self, pods: tuple[Pod, ...]) -> None:
        """Read the logs of these pods that are not being read; each goes on where it ended."""
        for pod in pods:
            key = (pod.name, pod.restarts)
            if key not in self._read:
                self._read.add(key)
                log = self._logs.setdefault(key, PodLog(self.cluster, pod))
                threading.Thread(target=self._copy, args=(key, log), name=pod.name, daemon=True).start()

    def heard(self, seconds: float) -> Iterator[LogLine]:
        """Yield what is said until nothing was said for so long."""
        with suppress(queue.Empty):
            while True:
                yield self._said.get(timeout=seconds)

    def _copy(self, key: tuple[str, int], log: PodLog) -> None:
        try:
            with suppress(CommandError):  # it is tried again as long as the pod is there
                for line in log.timed(follow=True):
                    if self.trial in line.text:
                        self._said.put(line)
        finally:
            self._read.discard(key)


def shown(line: LogLine) -> str:
    """Return a line as people read it: one of a worker begins with its pod."""
    return line.text if line.pod.is_head else f"{line.pod.name}: {line.text}"
