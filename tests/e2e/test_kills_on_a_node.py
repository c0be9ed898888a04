"""Pods that are deleted in the middle of a sweep change nothing of what it comes to."""

from collections.abc import Callable

import pytest
from documents import Run, lasting
from experiments import Experiment
from installation import NAMESPACE, Site
from local_run import LocalRun, assert_same


def the_head(experiment: Experiment) -> None:
    """KubeRay makes another and submits the driver again, from the start."""
    experiment.must("delete", "pod", *experiment.pods("head"), "--wait=false")


def a_worker(experiment: Experiment) -> None:
    """Its trials go on elsewhere, from their checkpoints."""
    experiment.must("delete", "pod", experiment.pods("worker")[0], "--wait=false")


def a_worker_at_once(experiment: Experiment) -> None:
    """As when a node is lost: no process has time for anything."""
    experiment.must("delete", "pod", experiment.pods("worker")[0], "--wait=false", "--grace-period=0", "--force")


def the_operator(experiment: Experiment) -> None:
    experiment.server.must("-n", NAMESPACE, "delete", "pods", "--all", "--wait=false")


@pytest.mark.parametrize("kill", [the_head, a_worker, a_worker_at_once, the_operator])
def test_a_sweep_comes_to_the_same(
    run: Run, lasting_here: LocalRun, kill: Callable[[Experiment], None], site: Site
) -> None:
    experiment = run(lasting())
    experiment.wait_until(lambda it: it.finished() >= 2, "two finished trials", timeout_s=600)
    assert experiment.finished() < experiment.get()["status"]["plan"]["trials"]
    kill(experiment)
    experiment.wait_for("Complete", timeout_s=900)
    assert_same(experiment, lasting_here)
