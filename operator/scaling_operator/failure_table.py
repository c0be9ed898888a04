"""The table of failures: one rule a state that other programs report, in their own words. The first match counts."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from scaling_api.v1alpha1.trial import FailureClass

APPLICATION, INFRASTRUCTURE, CONFIGURATION = (
    FailureClass.APPLICATION,
    FailureClass.INFRASTRUCTURE,
    FailureClass.CONFIGURATION,
)


class Source(Enum):
    """Whose state it is."""

    WAITING = "why a container waits"
    TERMINATED = "how a container ended; `Error` with its exit code"
    POD = "why a pod ended"
    DISRUPTION = "a pod's condition DisruptionTarget"
    SCHEDULING = "a pod's condition PodScheduled"
    WARNING = "an Event of a pod that has not come up"
    CREATION = "why pods cannot be created"
    RAY_JOB = "how a RayJob ended; `AppFailed` with the driver's exit code"
    QUEUE = "why Kueue holds a RayJob back"


class Retry(Enum):
    """What follows."""

    WAIT = "it is left as it is and may pass by itself"
    REPLACE = "the next RayJob, after a pause that grows"
    STOP = "nothing, until a person changes something"


@dataclass(frozen=True)
class Verdict:
    """What a state means."""

    failure_class: FailureClass
    reason: str
    """One word, of a condition and an Event."""
    message: str
    """Full sentences: which object, what happened, what to do."""
    retry: Retry

    @property
    def event_type(self) -> str:
        """Type of the Kubernetes Event: what only waits its turn is no warning."""
        return "Normal" if self.reason in WAITS_ITS_TURN else "Warning"


@dataclass(frozen=True)
class Rule:
    """One state, and what it means."""

    source: Source
    when: str
    """Matches the whole reason (regular expression)."""
    failure_class: FailureClass
    name: str
    """Our reason."""
    retry: Retry
    sentence: str
    """With {about}, {reason} and, where it does not change from look to look, {detail}."""
    said: str = ""
    """Found in the message, whatever the case (regular expression)."""


WAITS_ITS_TURN: Final = frozenset({"WaitingForQuota", "WaitingForNodes", "SchedulingGated"})
W, R, S = Retry.WAIT, Retry.REPLACE, Retry.STOP
_QUEUED = "It starts by itself once it is admitted."

RULES: Final[tuple[Rule, ...]] = (
    # Containers that wait. Messages of pulls alternate between two wordings and count seconds: they are not quoted.
    Rule(Source.WAITING, "ImagePullBackOff|ErrImagePull|RegistryUnavailable|ImageInspectError", INFRASTRUCTURE,
         "ImageNotPulled", W,
         "{about} waits for its image, which the node cannot pull. It is tried again; check execution.image, the "
         "registry and its pull secret."),
    Rule(Source.WAITING, "ErrImageNeverPull", CONFIGURATION, "ImageAbsent", W,
         "{about} may not pull its image, and the node does not have it. Load the image, or let nodes pull it "
         "(settings.trainer.pullPolicy)."),
    Rule(Source.WAITING, "InvalidImageName", CONFIGURATION, "InvalidImageName", W,
         "{about} has an image whose name cannot be one: {detail}. Correct execution.image."),
    Rule(Source.WAITING, "SignatureValidationFailed", CONFIGURATION, "ImageNotTrusted", W,
         "{about} has an image whose signature the node refuses: {detail}."),
    Rule(Source.WAITING, "CreateContainerConfigError", CONFIGURATION, "ContainerConfigInvalid", W,
         "{about} cannot be made as it is asked for: {detail}. It starts by itself once what is missing is there."),
    Rule(Source.WAITING, "CreateContainerError|PreCreateHookError|PostStartHookError", INFRASTRUCTURE,
         "ContainerNotCreated", W, "{about} cannot be created by the node: {detail}. It is tried again."),
    Rule(Source.WAITING, "RunContainerError", CONFIGURATION, "CommandNotFound", W,
         "{about} has an image in which its command does not exist: {detail}. Use an image that contains the trainer.",
         said="executable file not found|no such file or directory|exec format error|permission denied"),
    Rule(Source.WAITING, "RunContainerError", INFRASTRUCTURE, "ContainerNotStarted", W,
         "{about} cannot be started by the node: {detail}. It is tried again."),
    Rule(Source.WAITING, "CrashLoopBackOff", APPLICATION, "CrashLoop", W,
         "{about} ends again and again soon after its start; its log says why. It is tried again."),

    # Containers that ended.
    Rule(Source.TERMINATED, "OOMKilled", INFRASTRUCTURE, "OutOfMemory", W,
         "{about} was killed because it used more memory than it may. What ran in it is tried again; ask for more "
         "memory, or for fewer trials at a time."),
    Rule(Source.TERMINATED, "StartError|ContainerCannotRun|Error 12[67]", CONFIGURATION, "CommandNotFound", W,
         "{about} has an image in which its command cannot run. Use an image that contains the trainer."),
    Rule(Source.TERMINATED, "ContainerStatusUnknown", INFRASTRUCTURE, "NodeLost", W,
         "{about} was lost with its node. What ran in it is tried again."),
    Rule(Source.TERMINATED, "Error (137|143|-9|-15)", INFRASTRUCTURE, "Killed", W,
         "{about} was killed from outside. What ran in it is tried again."),
    Rule(Source.TERMINATED, "DeadlineExceeded", INFRASTRUCTURE, "DeadlineExceeded", W,
         "{about} ran into a deadline of its pod. What ran in it is tried again."),
    Rule(Source.TERMINATED, "Error -?[0-9]+|Error|Error None", INFRASTRUCTURE, "RayExited", W,
         "{about} ended by itself ({reason}): Ray's own process did, not a trial. What ran in it is tried again."),

    # Pods that ended.
    Rule(Source.POD, "Evicted", INFRASTRUCTURE, "Evicted", W,
         "{about} was evicted by its node: {detail}. What ran in it is tried again; ask for more ephemeralStorage or "
         "memory if it happens again.", said="ephemeral|memory|disk|inode|threshold"),
    Rule(Source.POD, "Evicted", INFRASTRUCTURE, "Evicted", W,
         "{about} was evicted. What ran in it is tried again."),
    Rule(Source.POD, "NodeLost|PhaseUnknown", INFRASTRUCTURE, "NodeLost", W,
         "{about} was lost: its node does not answer. What ran in it is tried again."),
    Rule(Source.POD, "NodeShutdown|Shutdown|Terminated", INFRASTRUCTURE, "NodeShutdown", W,
         "{about} ended because its node was shut down. What ran in it is tried again."),
    Rule(Source.POD, "Preempt(ing|ed)", INFRASTRUCTURE, "Preempted", W,
         "{about} made room for a pod of higher priority. What ran in it is tried again."),
    Rule(Source.POD, "OutOf.*|UnexpectedAdmissionError|TopologyAffinityError|NodeAffinity", INFRASTRUCTURE,
         "NodeRefused", W, "{about} was refused by its node ({reason}): {detail}. It is scheduled again."),
    Rule(Source.POD, "SysctlForbidden|AppArmor|SeccompNotSupported|PodOSNotSupported", CONFIGURATION, "NodeForbids", W,
         "{about} asks for what its node does not allow ({reason}): {detail}."),
    Rule(Source.POD, "DeadlineExceeded", INFRASTRUCTURE, "DeadlineExceeded", W,
         "{about} ran into its deadline. What ran in it is tried again."),

    # Pods that are being taken away.
    Rule(Source.DISRUPTION, "Preempt.*", INFRASTRUCTURE, "Preempted", W,
         "{about} makes room for a pod of higher priority. What ran in it is tried again."),
    Rule(Source.DISRUPTION, "EvictionByEvictionAPI", INFRASTRUCTURE, "Drained", W,
         "{about} was evicted, as when its node is drained. What ran in it is tried again."),
    Rule(Source.DISRUPTION, "DeletionByTaintManager", INFRASTRUCTURE, "NodeTainted", W,
         "{about} goes because its node has a taint that it does not accept, as one that does not answer gets. What "
         "ran in it is tried again."),
    Rule(Source.DISRUPTION, "DeletionByPodGC", INFRASTRUCTURE, "NodeLost", W,
         "{about} was removed because its node is gone. What ran in it is tried again."),
    Rule(Source.DISRUPTION, "TerminationByKubelet", INFRASTRUCTURE, "NodePressure", W,
         "{about} was ended by its node, for want of resources or because it shuts down. What ran in it is tried "
         "again."),

    # Pods that are not scheduled. The scheduler names every cause in one message: the rarer cause is looked for first.
    Rule(Source.SCHEDULING, "SchedulingGated", INFRASTRUCTURE, "SchedulingGated", W,
         "{about} waits until it is let in by a scheduling gate, as Kueue sets it."),
    Rule(Source.SCHEDULING, "Unschedulable", CONFIGURATION, "ClaimMissing", W,
         "{about} cannot be scheduled, because its volume claim does not exist: {detail}. It starts by itself once the "
         "claim is there.", said=r"persistentvolumeclaim \S+ not found"),
    Rule(Source.SCHEDULING, "Unschedulable", INFRASTRUCTURE, "ClaimPending", W,
         "{about} cannot be scheduled, because its volume claim has no volume yet: {detail}. Check the storage class.",
         said="unbound.*persistentvolumeclaim|waiting for.*volume|provision"),
    Rule(Source.SCHEDULING, "Unschedulable", INFRASTRUCTURE, "VolumeElsewhere", W,
         "{about} cannot be scheduled where its volume is: {detail}.", said="volume node affinity conflict"),
    Rule(Source.SCHEDULING, "Unschedulable", INFRASTRUCTURE, "WaitingForNodes", W,
         "{about} waits for a node with room: {detail}.", said="insufficient|too many pods"),
    Rule(Source.SCHEDULING, "Unschedulable", CONFIGURATION, "TaintNotTolerated", W,
         "{about} fits no node, because it does not accept their taints: {detail}. Add tolerations to the pool.",
         said="untolerated taint|had taint"),
    Rule(Source.SCHEDULING, "Unschedulable", CONFIGURATION, "NoSuchNode", W,
         "{about} fits no node, because none has the labels that it asks for: {detail}. Check the pool's "
         "nodeSelector.", said="affinity|selector"),
    Rule(Source.SCHEDULING, "Unschedulable", INFRASTRUCTURE, "WaitingForNodes", W,
         "{about} waits for a node: {detail}."),

    # Events of pods that have not come up.
    Rule(Source.WARNING, "FailedMount", CONFIGURATION, "MountMissing", W,
         "{about} cannot mount what it needs, because it does not exist: {detail}. It starts by itself once it is "
         "there.", said="(secret|configmap|persistentvolumeclaim).*not found"),
    Rule(Source.WARNING, "FailedMount|FailedAttachVolume|FailedMapVolume", INFRASTRUCTURE, "VolumeNotMounted", W,
         "{about} waits for a volume that its node cannot mount. It is tried again; `kubectl describe` says why."),
    Rule(Source.WARNING, "FailedCreatePodSandBox|NetworkNotReady", INFRASTRUCTURE, "NetworkNotReady", W,
         "{about} waits for its node's network. It is tried again; `kubectl describe` says why."),

    # Pods that cannot be created.
    Rule(Source.CREATION, ".*", INFRASTRUCTURE, "QuotaExceeded", W,
         "{about} may not create a pod, because the namespace's quota is used up: {detail}. It is tried again.",
         said="exceeded quota|insufficient quota"),
    Rule(Source.CREATION, ".*", CONFIGURATION, "PodSecurityForbids", W,
         "{about} may not create a pod, because the namespace's pod security level forbids it: {detail}.",
         said="podsecurity"),
    Rule(Source.CREATION, ".*", CONFIGURATION, "ServiceAccountMissing", W,
         "{about} cannot create a pod, because its service account does not exist: {detail}.",
         said="serviceaccount.*not found|error looking up service account"),
    Rule(Source.CREATION, ".*", CONFIGURATION, "PriorityClassMissing", W,
         "{about} cannot create a pod, because its priority class does not exist: {detail}.",
         said="no priorityclass"),
    Rule(Source.CREATION, ".*", CONFIGURATION, "AdmissionDenied", W,
         "{about} may not create a pod, because the cluster's policy denies it: {detail}.",
         said="denied the request|is forbidden|is invalid|limitrange"),

    # RayJobs that ended.
    Rule(Source.RAY_JOB, "ValidationFailed", CONFIGURATION, "RayJobRefused", S,
         "{about} is refused by KubeRay: {detail}. Change spec.execution."),
    Rule(Source.RAY_JOB, "SubmissionFailed", INFRASTRUCTURE, "SubmissionFailed", R,
         "{about} ended because the driver could not be submitted to Ray."),
    Rule(Source.RAY_JOB, "DeadlineExceeded", INFRASTRUCTURE, "DeadlineExceeded", R,
         "{about} ended at its deadline."),
    Rule(Source.RAY_JOB, "PreRunningDeadlineExceeded", INFRASTRUCTURE, "NeverRan", R,
         "{about} ended because its cluster did not come up in time."),
    Rule(Source.RAY_JOB, "JobDeploymentStatusTransitionGracePeriodExceeded|JobStatusCheckTimeoutExceeded",
         INFRASTRUCTURE, "HeadLost", R, "{about} ended because its head did not answer KubeRay."),
    Rule(Source.RAY_JOB, "(AppFailed|FAILED) 75", INFRASTRUCTURE, "DriverUnanswered", R,
         "{about} ended because its driver was not spoken to for hours. Its rows are in storage and are read again."),
    Rule(Source.RAY_JOB, "(AppFailed|FAILED) 76", INFRASTRUCTURE, "DriverSuperseded", R,
         "{about} ended because a later driver of the experiment has begun."),
    Rule(Source.RAY_JOB, "(AppFailed|FAILED) 64", CONFIGURATION, "DriverTooOld", S,
         "{about} ended because its driver does not understand how it was started. Use an image of this version."),
    Rule(Source.RAY_JOB, "(AppFailed|FAILED) (137|143|-9|-15)", INFRASTRUCTURE, "DriverKilled", R,
         "{about} ended because its driver was killed, as the system does when memory runs out; ask for more "
         "execution.head.resources.memory if it happens again."),
    Rule(Source.RAY_JOB, "(AppFailed|FAILED) (126|127)", CONFIGURATION, "CommandNotFound", S,
         "{about} ended because its image does not contain the driver. Use an image that contains the trainer."),
    Rule(Source.RAY_JOB, "(AppFailed|FAILED)( -?[0-9]+)?", APPLICATION, "DriverFailed", R,
         "{about} ended because its driver failed ({reason}); its log says why."),
    Rule(Source.RAY_JOB, "STOPPED", INFRASTRUCTURE, "JobStopped", R, "{about} was stopped from outside."),

    # RayJobs that Kueue holds back.
    Rule(Source.QUEUE, "NoWorkload", CONFIGURATION, "KueueSilent", W,
         "{about} waits for Kueue, which has not taken note of it. Check that Kueue manages RayJobs there."),
    Rule(Source.QUEUE, "Inadmissible", CONFIGURATION, "QueueInadmissible", W,
         "{about} cannot be admitted by Kueue: {detail}. Check execution.queueName."),
    Rule(Source.QUEUE, "Pending", CONFIGURATION, "QueueInadmissible", W,
         "{about} cannot be admitted by Kueue: {detail}. Check execution.queueName.",
         said="doesn't exist|not found|is inactive|is stopped"),
    Rule(Source.QUEUE, "(Evicted)?(Inactive.*|Deactivated.*|WorkloadInactive)", CONFIGURATION, "QueueDeactivated", W,
         "{about} was deactivated in Kueue: {detail}. Activate its workload to go on."),
    Rule(Source.QUEUE, "(Evicted)?(Preempted|InClusterQueue|InCohort.*)", INFRASTRUCTURE, "PreemptedByQueue", W,
         f"{{about}} was preempted by Kueue and waits for quota. {_QUEUED}"),
    Rule(Source.QUEUE, "(Evicted)?PodsReadyTimeout", INFRASTRUCTURE, "RequeuedNotReady", W,
         f"{{about}} was put back by Kueue, because its pods were not ready in time. {_QUEUED}"),
    Rule(Source.QUEUE, "(Evicted)?(ClusterQueueStopped|LocalQueueStopped)", INFRASTRUCTURE, "QueueStopped", W,
         f"{{about}} was put back by Kueue, because its queue is stopped. {_QUEUED}"),
    Rule(Source.QUEUE, "(Evicted)?(AdmissionCheck.*|NodeFailures)", INFRASTRUCTURE, "Requeued", W,
         f"{{about}} was put back by Kueue ({{reason}}). {_QUEUED}"),
    Rule(Source.QUEUE, ".*", INFRASTRUCTURE, "WaitingForQuota", W,
         f"{{about}} waits for quota in Kueue. {_QUEUED}"),
)  # fmt: skip


def _unknown(source: Source, name: str, retry: Retry, sentence: str) -> Rule:
    return Rule(source, ".*", INFRASTRUCTURE, name, retry, sentence)


UNKNOWN: Final[Mapping[Source, Rule]] = {
    Source.WAITING: _unknown(Source.WAITING, "ContainerWaiting", W, "{about} waits ({reason}): {detail}."),
    Source.TERMINATED: _unknown(Source.TERMINATED, "ContainerEnded", W, "{about} ended ({reason})."),
    Source.POD: _unknown(Source.POD, "PodFailed", W, "{about} failed ({reason}): {detail}."),
    Source.DISRUPTION: _unknown(Source.DISRUPTION, "Disrupted", W, "{about} is taken away ({reason})."),
    Source.SCHEDULING: _unknown(Source.SCHEDULING, "WaitingForNodes", W, "{about} is not scheduled ({reason})."),
    Source.WARNING: _unknown(Source.WARNING, "PodNotStarted", W, "{about} has not started ({reason})."),
    Source.CREATION: _unknown(Source.CREATION, "PodNotCreated", W, "{about} cannot create a pod: {detail}."),
    Source.RAY_JOB: _unknown(Source.RAY_JOB, "RayJobFailed", R, "{about} ended ({reason})."),
    Source.QUEUE: _unknown(Source.QUEUE, "WaitingForQuota", W, "{about} waits for quota in Kueue."),
}
"""What is done with a state that no rule knows."""
