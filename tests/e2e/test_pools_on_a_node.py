"""Accelerators that the scheduler and Ray count, though there are none; and a queue of Kueue."""

from collections.abc import Iterator

import pytest
from documents import Run, small
from experiments import Experiment
from installation import Site

GPU_POOL = {
    "name": "gpus",
    "accelerator": {"resource": "nvidia.com/gpu", "perNode": 2},
    "resources": {"cpu": 2, "memory": "4Gi"},
    "minNodes": 0,
    "maxNodes": 1,
}


@pytest.fixture
def no_fallback(site: Site) -> Iterator[None]:
    """The operator as it is by default: a missing accelerator is a failure."""
    site.install(cpuFallback=False)
    yield
    site.install()


def test_a_pool_of_gpus_has_a_lane_for_each(run: Run, gpus: int) -> None:
    experiment = run(small(execution={"pools": [GPU_POOL]}))
    experiment.wait_until(lambda it: it.pods("worker"), "a worker", timeout_s=300)
    (worker,) = experiment.pods("worker")
    asked = experiment.must("get", "pod", worker, "-o", "jsonpath={.spec.containers[0].resources.limits}")
    assert '"nvidia.com/gpu":"2"' in asked
    experiment.wait_for("Complete", timeout_s=600)


def test_a_missing_accelerator_is_never_a_silent_training_on_the_cpu(run: Run, gpus: int, no_fallback: None) -> None:
    experiment = run(small(execution={"pools": [GPU_POOL]}))
    experiment.wait_until(says_that_it_is_missing, "AcceleratorMissing", timeout_s=600)
    assert not experiment.losses()


def says_that_it_is_missing(experiment: Experiment) -> bool:
    conditions = experiment.get().get("status", {}).get("conditions", [])
    events = experiment.must("get", "events", "-o", "jsonpath={.items[*].reason}")
    return "AcceleratorMissing" in events or any(each["reason"] == "AcceleratorMissing" for each in conditions)


def test_kueue_lets_an_experiment_in(run: Run, queue: str) -> None:
    experiment = run(small(execution={"queueName": queue}))
    experiment.wait_until(lambda it: "True" in it.must("get", "workloads", "-o", ADMITTED), "admission", timeout_s=300)
    experiment.wait_for("Complete", timeout_s=600)


ADMITTED = "jsonpath={.items[*].status.conditions[?(@.type=='Admitted')].status}"
