"""From objects of the API server to what a pass sees of them: odd ones are left out, never a crash."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lying_driver import RECORD

from scaling_operator.cluster import seen
from scaling_operator.cluster.experiment import read_spec, read_status
from scaling_operator.cluster.seen import Key
from scaling_operator.settings import AccessMode

CREATED = "2026-01-02T03:04:05Z"
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LABELS = {
    "scalinglaws.dev/experiment": "bytes-lm",
    "scalinglaws.dev/experiment-uid": "uid-1",
    "scalinglaws.dev/attempt": "3",
}


def manifest(name: str, **more: Any) -> dict[str, Any]:
    metadata = {"namespace": "ns", "name": name, "uid": "u", "creationTimestamp": CREATED, "labels": dict(LABELS)}
    return {"metadata": {**metadata, **more.pop("metadata", {})}, **more}


def test_a_ray_job_is_found_by_its_name_and_is_whose_its_controller_says() -> None:
    owners = [{"kind": "X", "uid": "other"}, {"kind": "ScalingExperiment", "uid": "uid-1", "controller": True}]
    group = {
        "maxReplicas": 4,
        "numOfHosts": 2,
        "template": {"spec": {"containers": [{"resources": {"limits": {"nvidia.com/gpu": "8", "cpu": "4"}}}]}},
    }
    job = manifest(
        "bytes-lm-a12",
        metadata={"ownerReferences": owners, "deletionTimestamp": CREATED},
        spec={"suspend": True, "rayClusterSpec": {"workerGroupSpecs": [group, {"maxReplicas": 3}]}},
        status={"jobStatus": "RUNNING", "jobDeploymentStatus": "Running", "rayClusterName": "c", "startTime": CREATED},
    )
    found = seen.ray_job_found(job)
    assert seen.ray_job_key(job) == Key("ns", "bytes-lm")
    assert (found.seen.attempt, found.controller_uid, found.ray_cluster) == (12, "uid-1", "c")
    assert found.seen.is_deleting
    assert found.seen.is_suspended
    assert found.seen.started_at == AT
    assert found.accelerators == 64
    assert seen.ray_job_key(manifest("bytes-lm")) is None
    assert seen.ray_job_key(manifest("bytes-lm-a")) is None


def test_a_pod_tells_its_role_its_containers_and_its_end() -> None:
    pod = manifest(
        "p",
        metadata={"labels": {**LABELS, "ray.io/node-type": "worker", "ray.io/group": "a100"}},
        spec={"nodeName": "n1"},
        status={
            "phase": "Failed",
            "reason": "Evicted",
            "startTime": CREATED,
            "conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}],
            "initContainerStatuses": [{"name": "init", "state": {"waiting": {"reason": "ImagePullBackOff"}}}],
            "containerStatuses": [
                {
                    "name": "ray-worker",
                    "restartCount": 2,
                    "state": {"terminated": {"reason": "OOMKilled", "exitCode": 137, "finishedAt": CREATED}},
                }
            ],
        },
    )
    found = seen.pod_found(pod).seen
    assert (found.role, found.pool, found.attempt, found.node, found.reason) == ("worker", "a100", 3, "n1", "Evicted")
    assert found.ended_at == AT
    init, main = found.containers
    assert init.waiting == "ImagePullBackOff"
    assert (main.terminated, main.exit_code, main.restarts) == ("OOMKilled", 137, 2)
    assert found.conditions[0].type == "DisruptionTarget"


def test_a_container_that_runs_again_still_tells_its_last_end() -> None:
    pod = manifest("p", status={
        "phase": "Running",
        "containerStatuses": [
            {"name": "c", "state": {"running": {}}, "lastState": {"terminated": {"reason": "Error", "exitCode": 1}}}
        ],
    })  # fmt: skip
    container = seen.pod_found(pod).seen.containers[0]
    assert (container.terminated, container.exit_code) == ("Error", 1)
    assert seen.pod_found(pod).seen.ended_at is None


def test_objects_of_a_ray_job_lead_to_its_experiment() -> None:
    cluster = manifest("c", metadata={"labels": {"ray.io/originated-from-cr-name": "bytes-lm-a1"}})
    workload = manifest("w", metadata={"ownerReferences": [{"kind": "RayJob", "name": "bytes-lm-a1"}]})
    assert seen.ray_cluster_key(cluster) == seen.workload_key(workload) == Key("ns", "bytes-lm")
    assert seen.workload_found(workload).ray_job == "bytes-lm-a1"
    assert seen.ray_cluster_key(manifest("c")) is None
    assert seen.workload_key(manifest("w")) is None


def test_a_trial_is_a_record_or_what_someone_has_made_of_it() -> None:
    found = seen.trial_found(manifest("t", spec=RECORD["spec"], status=RECORD["status"]))
    assert found.record is not None
    assert found.record.status.metrics.loss == 1.25
    assert found.experiment_uid == "uid-1"
    assert seen.trial_found(manifest("t", spec={"id": "x"})).record is None
    assert seen.trial_found(manifest("t")).record is None


def test_claims_warnings_and_applied_objects() -> None:
    claim = manifest("c", spec={"accessModes": ["ReadWriteOnce"]}, status={"phase": "Bound"})
    assert seen.claim_found(claim).mode is AccessMode.READ_WRITE_ONCE
    assert seen.claim_found(manifest("c")).phase == "Pending"
    event = manifest(
        "e",
        type="Warning",
        reason="FailedMount",
        message="no",
        involvedObject={"kind": "Pod", "name": "p"},
        lastTimestamp=None,
        eventTime=CREATED,
    )
    warning = seen.warning_seen(event)
    assert warning is not None
    assert (warning.about, warning.reason, warning.at) == ("Pod/p", "FailedMount", AT)
    assert seen.warning_seen({**event, "type": "Normal"}) is None
    policy = manifest("p", kind="NetworkPolicy", metadata={"annotations": {"digest": "abc"}})
    assert seen.applied_found(policy, digest_annotation="digest").digest == "abc"


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
WORDS = ["status", "spec", "phase", "conditions", "containerStatuses", "state", "startTime", "rayClusterSpec"]


@given(st.dictionaries(st.sampled_from(WORDS), junk, max_size=5))
def test_no_object_however_odd_ends_a_watch(odd: dict[str, Any]) -> None:
    found = manifest("bytes-lm-a1", **{"spec": odd, "status": odd, **odd})
    for shape in (seen.ray_job_found, seen.pod_found, seen.ray_cluster_found, seen.workload_found, seen.claim_found):
        shape(found)
    seen.trial_found(found)
    seen.warning_seen(found)


def test_a_spec_that_does_not_hold_names_every_problem() -> None:
    read = read_spec(manifest("e", spec={"task": {}, "sweep": {"seeds": "many"}}))
    assert read.spec is None
    assert {problem.path for problem in read.problems} >= {"spec.task", "spec.sweep.seeds"}


def test_what_is_not_valid_in_a_status_does_not_take_the_rest_with_it(caplog: pytest.LogCaptureFixture) -> None:
    status = {
        "rayJob": {"name": "e-a3", "attempt": 3},
        "laws": "none",
        "ofTheFuture": {"a": 1},
        "spent": {"trainingFlops": 5.0, "acceleratorSeconds": 1.0},
    }
    found = read_status(manifest("e", status=status))
    assert found.ray_job is not None
    assert found.ray_job.attempt == 3
    assert found.spent.training_flops == 5.0
    assert "left out" in caplog.text
    assert read_status(manifest("e")).ray_job is None
