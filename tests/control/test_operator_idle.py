"""Experiments that rest cost nothing: not one write in ten minutes, the Lease aside."""

import time

import pytest
from kuberay_stand_in import kuberay
from operators import Bed, experiment, running, wait_until

IDLE_S = 600.0
FEW = {
    "model": {"parameters": ["10k", "20k"]},
    "data": {"tokens": ["0.6M", "0.8M"]},
    "limits": {"tokensPerParameter": {"min": 0}},
}
SETTINGS = {"resyncSeconds": 60}  # ten looks at each of them


# What the operator writes to; pods, volumes and their Events are other controllers' business.
WRITTEN = "scalingexperiments,scalingtrials,rayjobs,secrets,networkpolicies,serviceaccounts,persistentvolumeclaims"


def versions(bed: Bed) -> dict[str, str]:
    """Return the version of every object that the operator could write, as the API server knows them."""
    events = [event for event in bed.get("events.events.k8s.io") if event["regarding"]["kind"] == "ScalingExperiment"]
    named = {f"{each['kind']}/{each['metadata']['name']}": each["metadata"] for each in (*bed.get(WRITTEN), *events)}
    return {name: metadata["resourceVersion"] for name, metadata in named.items()}


def suspended_and_fitted(bed: Bed, name: str) -> bool:
    status = bed.status(name)
    is_fitted = status.get("fitted", {}).get("trials") == status.get("trials", {}).get("succeeded")
    return is_fitted and bed.condition(name, "Suspended")[0] == "True"


@pytest.mark.slow
def test_experiments_that_are_complete_or_suspended_cost_no_write_in_ten_minutes(bed: Bed) -> None:
    with running(bed.operator(settings=SETTINGS)) as operator, kuberay(bed, trial_s=0.3, lanes=2):
        bed.apply(experiment("complete", sweep=FEW))
        bed.apply(experiment("planned", suspend=True))
        wait_until(lambda: bed.condition("complete", "Complete")[0] == "True", "it is complete", timeout_s=300)
        bed.apply(experiment("stopped"))
        wait_until(
            lambda: bed.status("stopped").get("trials", {}).get("succeeded", 0) > 3, "trials have run", timeout_s=300
        )
        bed.patch("stopped", {"suspend": True})
        wait_until(lambda: suspended_and_fitted(bed, "stopped"), "it is suspended, with laws", timeout_s=300)
        wait_until(lambda: not bed.get("rayjobs"), "the RayJobs are gone")
        wait_until(lambda: bed.status("planned").get("plan"), "the dry run is planned")
        time.sleep(5)
        before, sent, passes = versions(bed), operator.writes(), operator.samples()["scaling_reconcile_seconds_count"]
        time.sleep(IDLE_S)
        assert operator.samples()["scaling_reconcile_seconds_count"] >= passes + 3 * IDLE_S / 60 / 2
        assert operator.writes() == sent
        assert versions(bed) == before
