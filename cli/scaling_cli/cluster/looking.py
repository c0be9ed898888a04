"""One look at an experiment and everything around it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from scaling_api.v1alpha1.status import TrialState
from scaling_cli.cluster.client import Cluster
from scaling_cli.cluster.events import ClusterEvent, read_warnings
from scaling_cli.cluster.experiments import ClusterExperiment, read_experiment
from scaling_cli.cluster.ray import Pod, RayJob, read_pods, read_ray_job
from scaling_cli.cluster.trials import ClusterTrials, read_trials
from scaling_cli.errors import CommandError

T = TypeVar("T")
_SHOWN = (TrialState.RUNNING, TrialState.FAILED, TrialState.DIVERGED, TrialState.INTERRUPTED)
"""Trials that a page about an experiment names."""


@dataclass(frozen=True)
class Look:
    """What was seen; what could not be seen is said so."""

    experiment: ClusterExperiment
    trials: ClusterTrials
    """Those that run, wait after an interruption, or have failed."""
    warnings: tuple[ClusterEvent, ...]
    ray_job: RayJob | None
    pods: tuple[Pod, ...]
    unseen: tuple[str, ...] = ()
    """Sentences."""

    @property
    def has_head(self) -> bool:
        """Whether there is a pod whose log the driver writes."""
        return any(pod.is_head for pod in self.pods)


def look(cluster: Cluster, name: str) -> Look:
    """Return what there is to see of an experiment, five questions asked at once.

    Raises:
        CommandError: the experiment itself can't be read.
    """
    experiment = read_experiment(cluster, name)
    unseen: list[str] = []

    def asked(read: Callable[[], T], otherwise: T) -> T:
        try:
            return read()
        except CommandError as error:
            unseen.append(str(error))
            return otherwise

    with ThreadPoolExecutor(max_workers=4) as pool:
        trials = pool.submit(asked, lambda: read_trials(cluster, experiment, states=_SHOWN), ClusterTrials(()))
        warnings = pool.submit(asked, lambda: read_warnings(cluster, experiment), ())
        job = pool.submit(asked, lambda: read_ray_job(cluster, experiment), None)
        pods = pool.submit(asked, lambda: read_pods(cluster, experiment), ())
        return Look(
            experiment, trials.result(), warnings.result(), job.result(), pods.result(), tuple(sorted(set(unseen)))
        )
