"""Logs of an experiment's pods, through the API server."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from scaling_cli.cluster.client import Cluster
from scaling_cli.cluster.errors import RefusedError
from scaling_cli.cluster.experiments import ClusterExperiment
from scaling_cli.cluster.ray import HEAD_CONTAINER, Pod
from scaling_cli.cluster.standing import standing_of
from scaling_cli.cluster.watching import lines_of
from scaling_cli.errors import CommandError

_QUIET_S: Final = 3600.0
"""A log may say nothing for long."""
_READ_S: Final = 60.0


@dataclass
class PodLog:
    """The log of a pod's Ray container; read again, it goes on where it ended."""

    cluster: Cluster
    pod: Pod
    _last: str = field(default="", init=False)
    """Time of the last line, as the API server wrote it."""

    def lines(self, *, follow: bool = False, previous: bool = False, tail: int | None = None) -> Iterator[str]:
        """Yield lines that were not yielded before.

        Raises:
            CommandError: there is no log.
        """
        return (line.text for line in self.timed(follow=follow, previous=previous, tail=tail))

    def timed(self, *, follow: bool = False, previous: bool = False, tail: int | None = None) -> "Iterator[LogLine]":
        """Yield the same lines with their times."""
        pod = self.pod
        query = {"container": HEAD_CONTAINER if HEAD_CONTAINER in pod.containers else (*pod.containers, "")[0]}
        query |= {"timestamps": "true"} | ({"follow": "true"} if follow else {})
        query |= {"previous": "true"} if previous else {}
        query |= {"tailLines": str(tail)} if tail is not None and not self._last else {}
        query |= {"sinceTime": self._last} if self._last else {}
        path = f"{self.cluster.path('pods', pod.name, group='v1')}/log"
        quiet_s = _QUIET_S if follow else _READ_S
        try:
            with self.cluster.stream(path, what=f"the log of {pod.name}", query=query, quiet_s=quiet_s) as answer:
                yield from self._new(lines_of(answer))
        except RefusedError as error:
            if error.status == 400:
                raise CommandError(_no_log(pod, previous=previous)) from None
            raise

    def _new(self, lines: Iterator[bytes]) -> "Iterator[LogLine]":
        """Yield lines that are new; sinceTime counts whole seconds, so that some come twice."""
        begin = self._last
        for line in lines:
            time, _, text = line.decode(errors="replace").partition(" ")
            if time > begin:
                self._last = max(self._last, time)
                yield LogLine(time, self.pod, text)


@dataclass(frozen=True)
class LogLine:
    """A line of a container's log."""

    at: str
    """When it was written, as the API server has it: RFC 3339, so that the order of texts is that of times."""
    pod: Pod
    text: str


def head_of(experiment: ClusterExperiment, pods: tuple[Pod, ...]) -> Pod:
    """Return the pod that the driver runs in.

    Raises:
        CommandError: there is none; the message says why.
    """
    head = next((pod for pod in pods if pod.is_head), None)
    if head is not None:
        return head
    standing = standing_of(experiment)
    why = f" {standing.why}" if standing.why else ""
    ended = " Logs go with their pods; the records of the trials stay." if standing.is_over else ""
    raise CommandError(f"{experiment.name} has no head pod now, so there is no log. It is {standing.word}.{why}{ended}")


def _no_log(pod: Pod, *, previous: bool) -> str:
    if previous:
        return f"The container of the pod {pod.name} has not restarted: it has no earlier log."
    return f"The pod {pod.name} has no log yet: {pod.trouble or f'it is {pod.phase}'}."
