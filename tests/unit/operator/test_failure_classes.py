"""Whose fault a state is: each row is a state as Kubernetes, KubeRay or Kueue reports it."""

from dataclasses import replace
from typing import Any

import pytest
from scene import NOW, head, job, unscheduled, worker

from scaling_operator.failure_table import RULES, UNKNOWN, Retry, Source
from scaling_operator.failures import creation_trouble, has_ended, pod_trouble, queue_trouble, ray_job_end
from scaling_operator.observed import ConditionSeen, ContainerSeen, PodSeen, RayClusterSeen, WarningSeen, WorkloadSeen

INFRA, CONFIG, APP = "Infrastructure", "Configuration", "Application"


def waiting(reason: str, message: str = "", **fields: Any) -> PodSeen:
    container = ContainerSeen("ray", waiting=reason, waiting_message=message, **fields)
    return head(phase="Pending", is_ready=False, containers=(container,))


def ended(reason: str, code: int) -> PodSeen:
    return worker(phase="Failed", is_ready=False, containers=(ContainerSeen("ray", terminated=reason, exit_code=code),))


def failed(reason: str, message: str = "") -> PodSeen:
    return worker(phase="Failed", is_ready=False, reason=reason, message=message)


def disrupted(reason: str) -> PodSeen:
    return worker(conditions=(ConditionSeen("DisruptionTarget", "True", reason=reason),))


def pending(message: str) -> PodSeen:
    return worker(phase="Pending", is_ready=False, conditions=unscheduled(message))


PODS = [
    (waiting("ImagePullBackOff", 'Back-off pulling image "x"'), INFRA, "ImageNotPulled"),
    (waiting("ErrImagePull", "rpc error: not found"), INFRA, "ImageNotPulled"),
    (waiting("RegistryUnavailable"), INFRA, "ImageNotPulled"),
    (waiting("ErrImageNeverPull", "not present with pull policy of Never"), CONFIG, "ImageAbsent"),
    (waiting("InvalidImageName", "couldn't parse image"), CONFIG, "InvalidImageName"),
    (waiting("SignatureValidationFailed"), CONFIG, "ImageNotTrusted"),
    (waiting("CreateContainerConfigError", 'secret "token" not found'), CONFIG, "ContainerConfigInvalid"),
    (waiting("CreateContainerConfigError", "container has runAsNonRoot"), CONFIG, "ContainerConfigInvalid"),
    (waiting("CreateContainerError", "context deadline exceeded"), INFRA, "ContainerNotCreated"),
    (waiting("RunContainerError", 'exec: "ray": executable file not found in $PATH'), CONFIG, "CommandNotFound"),
    (waiting("RunContainerError", "failed to create shim task"), INFRA, "ContainerNotStarted"),
    (waiting("CrashLoopBackOff"), APP, "CrashLoop"),
    (waiting("CrashLoopBackOff", terminated="OOMKilled", exit_code=137), INFRA, "OutOfMemory"),
    (waiting("CrashLoopBackOff", terminated="Error", exit_code=127), CONFIG, "CommandNotFound"),
    (waiting("SomethingNew", "of a later version"), INFRA, "ContainerWaiting"),
    (ended("OOMKilled", 137), INFRA, "OutOfMemory"),
    (ended("StartError", 128), CONFIG, "CommandNotFound"),
    (ended("ContainerStatusUnknown", 137), INFRA, "NodeLost"),
    (ended("Error", 137), INFRA, "Killed"),
    (ended("Error", 143), INFRA, "Killed"),
    (ended("Error", 126), CONFIG, "CommandNotFound"),
    (ended("Error", 1), INFRA, "RayExited"),
    (failed("Evicted", "The node was low on resource: ephemeral-storage."), INFRA, "Evicted"),
    (failed("Evicted"), INFRA, "Evicted"),
    (failed("NodeLost"), INFRA, "NodeLost"),
    (worker(phase="Unknown"), INFRA, "NodeLost"),
    (failed("NodeShutdown"), INFRA, "NodeShutdown"),
    (failed("Terminated", "Pod was terminated in response to imminent node shutdown."), INFRA, "NodeShutdown"),
    (failed("Preempting", "Preempted in order to admit critical pod"), INFRA, "Preempted"),
    (failed("OutOfcpu"), INFRA, "NodeRefused"),
    (failed("OutOfnvidia.com/gpu"), INFRA, "NodeRefused"),
    (failed("UnexpectedAdmissionError", "Allocate failed"), INFRA, "NodeRefused"),
    (failed("TopologyAffinityError"), INFRA, "NodeRefused"),
    (failed("SysctlForbidden"), CONFIG, "NodeForbids"),
    (failed("DeadlineExceeded"), INFRA, "DeadlineExceeded"),
    (failed("OfALaterVersion"), INFRA, "PodFailed"),
    (disrupted("PreemptionByScheduler"), INFRA, "Preempted"),
    (disrupted("EvictionByEvictionAPI"), INFRA, "Drained"),
    (disrupted("DeletionByTaintManager"), INFRA, "NodeTainted"),
    (disrupted("DeletionByPodGC"), INFRA, "NodeLost"),
    (disrupted("TerminationByKubelet"), INFRA, "NodePressure"),
    (pending("0/3 nodes are available: 3 Insufficient nvidia.com/gpu."), INFRA, "WaitingForNodes"),
    (pending("0/3 nodes are available: 3 node(s) had untolerated taint {gpu: true}."), CONFIG, "TaintNotTolerated"),
    (pending("0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector."), CONFIG, "NoSuchNode"),
    (pending("pod has unbound immediate PersistentVolumeClaims."), INFRA, "ClaimPending"),
    (pending('persistentvolumeclaim "results" not found'), CONFIG, "ClaimMissing"),
    (pending("1 node(s) had volume node affinity conflict"), INFRA, "VolumeElsewhere"),
    (pending("no nodes available to schedule pods"), INFRA, "WaitingForNodes"),
]  # fmt: skip


@pytest.mark.parametrize(("pod", "failure_class", "reason"), PODS, ids=[f"{r}-{i}" for i, (_, _, r) in enumerate(PODS)])
def test_pods(pod: PodSeen, failure_class: str, reason: str) -> None:
    verdict = pod_trouble(pod)
    assert verdict is not None
    assert (verdict.failure_class, verdict.reason) == (failure_class, reason)
    assert verdict.retry is Retry.WAIT, "KubeRay replaces pods; a RayJob is not given up for one"
    assert pod.name in verdict.message
    assert verdict.message.endswith(".")
    assert ": ." not in verdict.message


@pytest.mark.parametrize(
    "pod",
    [
        head(),
        worker(),
        head(phase="Pending", is_ready=False),
        waiting("ContainerCreating"),
        waiting("PodInitializing"),
        worker(containers=(ContainerSeen("ray", is_ready=True, terminated="OOMKilled", exit_code=137, restarts=1),)),
        worker(phase="Succeeded", is_ready=False),
        worker(conditions=(ConditionSeen("DisruptionTarget", "False"), ConditionSeen("PodScheduled", "True"))),
    ],
)
def test_a_pod_that_is_well_or_coming_up_is_no_trouble(pod: PodSeen) -> None:
    assert pod_trouble(pod) is None


@pytest.mark.parametrize(
    ("reason", "message", "failure_class", "name"),
    [
        ("FailedMount", 'MountVolume.SetUp failed: secret "bytes-driver" not found', CONFIG, "MountMissing"),
        ("FailedMount", "MountVolume.MountDevice failed: rpc error", INFRA, "VolumeNotMounted"),
        ("FailedAttachVolume", "Multi-Attach error", INFRA, "VolumeNotMounted"),
        ("FailedCreatePodSandBox", "plugin type=cni failed", INFRA, "NetworkNotReady"),
    ],
)
def test_events_of_a_pod_that_has_not_come_up(reason: str, message: str, failure_class: str, name: str) -> None:
    pod = head(phase="Pending", is_ready=False)
    warnings = [WarningSeen(f"Pod/{pod.name}", reason, message, at=NOW)]
    verdict = pod_trouble(pod, warnings)
    assert verdict is not None
    assert (verdict.failure_class, verdict.reason) == (failure_class, name)
    assert pod_trouble(head(), warnings) is None, "they stay for an hour after it is over"
    assert pod_trouble(pod, [replace(warnings[0], about="Pod/another")]) is None
    assert pod_trouble(pod, [replace(warnings[0], reason="Unhealthy")]) is None


@pytest.mark.parametrize(
    ("message", "failure_class", "name"),
    [
        ('pods "x" is forbidden: exceeded quota: gpus, requested: nvidia.com/gpu=8', INFRA, "QuotaExceeded"),
        ('pods "x" is forbidden: violates PodSecurity "restricted:latest"', CONFIG, "PodSecurityForbids"),
        ('pods "x" is forbidden: error looking up service account lab/trainer', CONFIG, "ServiceAccountMissing"),
        ('pods "x" is forbidden: no PriorityClass with name high was found', CONFIG, "PriorityClassMissing"),
        ('admission webhook "policy" denied the request: no', CONFIG, "AdmissionDenied"),
        ("etcdserver: request timed out", INFRA, "PodNotCreated"),
    ],
)
def test_pods_that_cannot_be_created(message: str, failure_class: str, name: str) -> None:
    condition = ConditionSeen("ReplicaFailure", "True", reason="FailedCreateHeadPod", message=message)
    verdict = creation_trouble(RayClusterSeen("bytes-a1-x", (condition,)))
    assert verdict is not None
    assert (verdict.failure_class, verdict.reason) == (failure_class, name)
    assert creation_trouble(RayClusterSeen("bytes-a1-x", (replace(condition, status="False"),))) is None
    assert creation_trouble(RayClusterSeen("bytes-a1-x")) is None


EXIT = "Job entrypoint command failed with exit code {}, last available logs (truncated to 20,000 chars): ..."


@pytest.mark.parametrize(
    ("fields", "failure_class", "name", "retry"),
    [
        ({"deployment_status": "ValidationFailed", "message": "no head"}, CONFIG, "RayJobRefused", Retry.STOP),
        ({"reason": "SubmissionFailed"}, INFRA, "SubmissionFailed", Retry.REPLACE),
        ({"reason": "DeadlineExceeded"}, INFRA, "DeadlineExceeded", Retry.REPLACE),
        ({"reason": "PreRunningDeadlineExceeded"}, INFRA, "NeverRan", Retry.REPLACE),
        ({"reason": "JobDeploymentStatusTransitionGracePeriodExceeded"}, INFRA, "HeadLost", Retry.REPLACE),
        ({"reason": "AppFailed", "message": EXIT.format(75)}, INFRA, "DriverUnanswered", Retry.REPLACE),
        ({"reason": "AppFailed", "message": EXIT.format(76)}, INFRA, "DriverSuperseded", Retry.REPLACE),
        ({"reason": "AppFailed", "message": EXIT.format(137)}, INFRA, "DriverKilled", Retry.REPLACE),
        ({"reason": "AppFailed", "message": EXIT.format(-9)}, INFRA, "DriverKilled", Retry.REPLACE),
        ({"reason": "AppFailed", "message": EXIT.format(127)}, CONFIG, "CommandNotFound", Retry.STOP),
        ({"reason": "AppFailed", "message": EXIT.format(64)}, CONFIG, "DriverTooOld", Retry.STOP),
        ({"reason": "AppFailed", "message": EXIT.format(1)}, APP, "DriverFailed", Retry.REPLACE),
        ({"job_status": "FAILED", "message": ""}, APP, "DriverFailed", Retry.REPLACE),
        ({"job_status": "STOPPED"}, INFRA, "JobStopped", Retry.REPLACE),
        ({"reason": "OfALaterVersion"}, INFRA, "RayJobFailed", Retry.REPLACE),
    ],
)
def test_ray_jobs_that_ended(fields: dict[str, str], failure_class: str, name: str, retry: Retry) -> None:
    verdict = ray_job_end(job(**{"deployment_status": "Failed", "job_status": "", **fields}))
    assert verdict is not None
    assert (verdict.failure_class, verdict.reason, verdict.retry) == (failure_class, name, retry)


def test_a_ray_job_that_runs_or_was_stopped_by_us_is_no_failure() -> None:
    assert ray_job_end(job()) is None
    stopped = job(job_status="SUCCEEDED", deployment_status="Complete")
    assert ray_job_end(stopped) is None
    assert has_ended(stopped)


def workload(**conditions: tuple[str, str, str]) -> WorkloadSeen:
    seen = (
        ConditionSeen(kind, status, reason=reason, message=text) for kind, (status, reason, text) in conditions.items()
    )
    return WorkloadSeen("rayjob-bytes-a1", tuple(seen))


FREE = ("False", "Pending", "couldn't assign flavors to pod set workers: insufficient unused quota")


@pytest.mark.parametrize(
    ("seen", "failure_class", "name"),
    [
        (None, CONFIG, "KueueSilent"),
        (workload(), INFRA, "WaitingForQuota"),
        (workload(QuotaReserved=FREE), INFRA, "WaitingForQuota"),
        (workload(QuotaReserved=("False", "Inadmissible", "LocalQueue x doesn't exist")), CONFIG, "QueueInadmissible"),
        (workload(QuotaReserved=("False", "Pending", "ClusterQueue x is inactive")), CONFIG, "QueueInadmissible"),
        (workload(QuotaReserved=FREE, Evicted=("True", "Preempted", "")), INFRA, "PreemptedByQueue"),
        (workload(QuotaReserved=FREE, Evicted=("True", "PodsReadyTimeout", "")), INFRA, "RequeuedNotReady"),
        (workload(QuotaReserved=FREE, Evicted=("True", "ClusterQueueStopped", "")), INFRA, "QueueStopped"),
        (workload(QuotaReserved=FREE, Evicted=("True", "AdmissionCheck", "")), INFRA, "Requeued"),
        (workload(QuotaReserved=FREE, Evicted=("True", "DeactivatedByLimit", "")), CONFIG, "QueueDeactivated"),
        (workload(Evicted=("True", "InactiveWorkload", "deactivated")), CONFIG, "QueueDeactivated"),
    ],
)  # fmt: skip
def test_ray_jobs_that_kueue_holds_back(seen: WorkloadSeen | None, failure_class: str, name: str) -> None:
    verdict = queue_trouble(seen, ray_job="bytes-a1")
    assert (verdict.failure_class, verdict.reason) == (failure_class, name)
    assert verdict.event_type == ("Normal" if name == "WaitingForQuota" else "Warning")


def test_the_table_has_a_rule_for_what_no_rule_knows() -> None:
    assert set(UNKNOWN) == set(Source)
    assert all(rule.sentence.endswith(".") and "{about}" in rule.sentence for rule in (*RULES, *UNKNOWN.values()))
    assert len(PODS) > 40
